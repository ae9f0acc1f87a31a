//! Logins that take a person, at a terminal of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use towline_tunnel::{LogIn, Master, MasterConfig, SshError};

use crate::harness::{Sshd, eventually, process_group_of, signal_process};
use crate::screen::{Screen, login_program};

const PASSWORD: &str = "'s password: ";

/// No process that was to become the master of this sshd is left, nor a socket.
async fn assert_nothing_left(sshd: &Sshd) {
    let socket = sshd.master().control_path();
    let words = format!("-S {}", socket.display());
    eventually("no ssh is left", async || process_group_of(&words).is_none()).await;
    assert!(!socket.exists());
    assert!(!sshd.master().needs_person(), "nothing is remembered of a login that was not made");
}

#[tokio::test]
async fn a_key_and_a_password_are_one_login_for_everybody() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let master =
        Master::new(MasterConfig { login_command: Some("app login".into()), ..sshd.config() }).unwrap();
    let error = master.session().await.expect_err("nobody typed the password");
    let SshError::Denied { login, .. } = &error else { panic!("{error}") };
    assert_eq!(login.as_deref(), Some("app login"), "{error}");

    let mut screen = Screen::run(&sshd, "$LOGIN");
    screen.shows(PASSWORD, 1).await;
    let meanwhile = sshd.master().session().await.expect_err("logged in by itself");
    assert!(matches!(meanwhile, SshError::NotLoggedIn { .. }), "at once, not after the lock: {meanwhile}");
    screen.types("secret\n");
    let (code, shown) = screen.ends().await;
    assert!(code == 0 && shown.contains("Typed("), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");

    sshd.master().session().await.unwrap().check().await.unwrap();
    let login = sshd.master().login().await.unwrap();
    assert!(login.is_ours && login.since.unwrap().elapsed().unwrap() < Duration::from_secs(60), "{login:?}");
    let again = Screen::run(&sshd, "$LOGIN").ends().await;
    assert!(again.0 == 0 && again.1.contains("Before("), "{}", again.1);
    assert_eq!(sshd.typed_logins(), 1);
}

#[tokio::test]
async fn a_code_is_asked_for_by_keyboard_interactive() {
    let Some(sshd) = Sshd::start_asking("publickey,keyboard-interactive") else { return };
    let mut screen = Screen::run(&sshd, "$LOGIN");
    screen.shows("Password: ", 1).await;
    screen.types("wrong\n");
    screen.shows("Password: ", 2).await;
    screen.types("secret\n");
    let (code, shown) = screen.ends().await;
    assert!(code == 0 && shown.contains("Typed("), "{shown}");
    sshd.master().session().await.unwrap().check().await.unwrap();
    assert_eq!(sshd.typed_logins(), 1);
}

#[tokio::test]
async fn without_its_master_nobody_tries_to_log_in_again() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let mut screen = Screen::run(&sshd, "$LOGIN");
    screen.shows(PASSWORD, 1).await;
    screen.types("secret\n");
    assert_eq!(screen.ends().await.0, 0);
    let master = sshd.master();
    assert!(master.needs_person());
    signal_process("-KILL", master.pid().await.unwrap().unwrap());
    eventually("the master is gone", async || master.pid().await.unwrap().is_none()).await;
    let connections = sshd.connections();
    for _ in 0..5 {
        let error = sshd.master().session().await.expect_err("logged in by itself");
        assert!(matches!(error, SshError::NotLoggedIn { .. }), "{error}");
    }
    assert_eq!(sshd.connections(), connections, "the host was asked");

    assert!(!master.stop().await.unwrap(), "there was nothing to end");
    assert!(!master.needs_person());
    let error = sshd.master().session().await.expect_err("nobody typed the password");
    assert!(matches!(error, SshError::Denied { .. }), "a login is tried again: {error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_in_the_words_of_ssh() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    sshd.configure("  NumberOfPasswordPrompts 2");
    let mut screen = Screen::run(&sshd, "$LOGIN");
    for count in [1, 2] {
        screen.shows(PASSWORD, count).await;
        screen.types("wrong\n");
    }
    let (code, shown) = screen.ends().await;
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("ssh: Permission denied, please try again."), "{shown}");
    assert!(shown.contains("Permission denied (password)"), "{shown}");
    assert_nothing_left(&sshd).await;
}

#[tokio::test]
async fn an_unknown_host_key_is_a_question() {
    let Some(sshd) = Sshd::start() else { return };
    std::fs::write(sshd.path("known_hosts"), "").unwrap();
    let mut screen = Screen::run(&sshd, "$LOGIN");
    screen.shows("(yes/no/[fingerprint])? ", 1).await;
    screen.types("no\n");
    let (code, shown) = screen.ends().await;
    assert!(code == 1 && shown.contains("HostKeyUnknown"), "{shown}");
    assert_eq!(std::fs::read_to_string(sshd.path("known_hosts")).unwrap(), "");
    assert_nothing_left(&sshd).await;

    let mut screen = Screen::run(&sshd, "$LOGIN");
    screen.shows("(yes/no/[fingerprint])? ", 1).await;
    screen.types("yes\n");
    assert_eq!(screen.ends().await.0, 0);
    assert!(!std::fs::read_to_string(sshd.path("known_hosts")).unwrap().is_empty());
    assert!(!sshd.master().needs_person(), "from now on the key alone does");
}

/// `ssh` hands none of our options to the one that it starts for a jump host.
#[tokio::test]
async fn a_jump_host_that_asks_is_answered_by_a_person_and_stops_nobody_else() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let jump = sshd.path("jump_config");
    std::fs::copy(sshd.path("ssh_config"), &jump).unwrap();
    sshd.configure(&format!("  ProxyCommand ssh -F {} -W %h:%p lab", jump.display()));
    let error = sshd.master().session().await.expect_err("nobody typed the password");
    assert!(matches!(error, SshError::Denied { .. }), "{error}");

    let mut screen = Screen::run(&sshd, "$LOGIN");
    for nth in [1, 2] {
        screen.shows(PASSWORD, nth).await;
        screen.types("secret\n");
    }
    let (code, shown) = screen.ends().await;
    assert!(code == 0 && shown.contains("Typed("), "{shown}");
    sshd.master().session().await.unwrap().check().await.unwrap();
}

/// Ctrl-C at the question is for ssh alone; the program and the shell above it go on, and the terminal is as it was.
#[tokio::test]
async fn ctrl_c_at_the_question_leaves_nothing() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let text =
        "stty -a >before; $LOGIN; code=$?; stty -a >after; cmp before after && echo as it was; exit $code";
    let text = format!("cd {}; {text}", sshd.path("").display());
    let mut screen = Screen::run(&sshd, &text);
    screen.shows(PASSWORD, 1).await;
    screen.types("sec\u{3}");
    let (code, shown) = screen.ends().await;
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("Interrupted") && shown.contains("as it was"), "{shown}");
    assert_nothing_left(&sshd).await;
}

/// It would stop ssh without anybody noticing; so it is a letter of a password like any other.
#[tokio::test]
async fn ctrl_z_stops_nobody() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let mut screen = Screen::run(&sshd, "$LOGIN");
    screen.shows(PASSWORD, 1).await;
    screen.types("\u{1a}\n");
    screen.shows(PASSWORD, 2).await;
    screen.types("secret\n");
    let (code, shown) = screen.ends().await;
    assert!(code == 0 && shown.contains("Typed("), "{shown}");
}

#[tokio::test]
async fn who_takes_too_long_is_not_waited_for_and_the_echo_is_on_again() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let text = format!(
        "cd {}; stty -a >before; LOGIN_WITHIN=2 $LOGIN; stty -a >after; cmp before after && echo as it was",
        sshd.path("").display()
    );
    let mut screen = Screen::run(&sshd, &text);
    screen.shows(PASSWORD, 1).await;
    screen.types("sec");
    let (_, shown) = screen.ends().await;
    assert!(shown.contains("did not end within 2 s") && shown.contains("as it was"), "{shown}");
    assert_nothing_left(&sshd).await;
}

#[tokio::test]
async fn a_key_alone_is_no_question_and_nothing_to_remember() {
    let Some(sshd) = Sshd::start() else { return };
    let login = sshd.master().log_in(Duration::from_secs(20), &mut |_| {}).await.unwrap();
    assert!(matches!(&login, LogIn::Unasked(login) if login.is_ours), "{login:?}");
    assert!(!sshd.master().needs_person());
    assert_eq!(sshd.logins(), 1);
}

/// The example in a session without a terminal, with these variables.
fn without_terminal(sshd: &Sshd, variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(login_program()).arg("lab").arg(sshd.path("c")).arg(sshd.path("ssh_config"));
    command.env_remove("SSH_ASKPASS").env_remove("DISPLAY").envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn without_a_terminal_askpass_is_asked_or_it_is_said() {
    let Some(sshd) = Sshd::start_asking("publickey,password") else { return };
    let (is_done, said) = without_terminal(&sshd, &[]);
    assert!(!is_done && said.contains("NobodyToAsk"), "{said}");
    assert_nothing_left(&sshd).await;

    let askpass = sshd.path("askpass");
    std::fs::write(&askpass, "#!/bin/sh\necho secret\n").unwrap();
    std::fs::set_permissions(&askpass, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (is_done, said) = without_terminal(&sshd, &[("SSH_ASKPASS", askpass.to_str().unwrap())]);
    assert!(is_done && said.contains("Typed("), "{said}");
    assert_eq!(sshd.typed_logins(), 1);

    // In the background of a terminal too: who asks there is stopped.
    assert!(sshd.master().stop().await.unwrap());
    let text = format!("set -m; SSH_ASKPASS={} $LOGIN & wait $!", askpass.display());
    let (code, shown) = Screen::run(&sshd, &text).ends().await;
    assert!(code == 0 && shown.contains("Typed("), "{shown}");
    assert_eq!(sshd.typed_logins(), 2);
}
