//! Scripts over a real connection.

use std::sync::Arc;
use std::time::Duration;

use towline_core::ports::{RemoteShell, ShellError, ShellOutput, ShellScript};
use towline_tunnel::{Forwarding, SshError, SshShell, SshTunnels};

use crate::harness::{Sshd, eventually, signal_process};

fn script(text: impl Into<String>) -> ShellScript {
    ShellScript { text: text.into(), deadline: Duration::from_secs(30) }
}

async fn run(shell: &SshShell, text: impl Into<String>) -> ShellOutput {
    shell.run(&script(text)).await.unwrap()
}

#[tokio::test]
async fn output_and_exit_codes_come_back_whole() {
    let Some(sshd) = Sshd::start() else { return };
    let shell = SshShell::new(sshd.master());
    for (text, code) in
        [("true", 0), ("exit 3", 3), ("exit 127", 127), ("exit 255", 255), ("kill -9 $$", 137), ("if", 2)]
    {
        let output = run(&shell, format!("echo out; echo err >&2\n{text}")).await;
        assert_eq!(output.code, code, "{text}");
        if text != "if" {
            assert_eq!(output.stdout, b"out\n", "{text}");
            assert!(output.stderr.starts_with(b"err\n"), "{text}");
        }
    }
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn large_scripts_and_outputs_pass() {
    let Some(sshd) = Sshd::start() else { return };
    let shell = SshShell::new(sshd.master());
    let data = "0123456789abcde\n".repeat(65_536);
    let output = run(&shell, format!("cat <<'END'\n{data}END\necho done >&2")).await;
    assert!(output.stdout == data.as_bytes(), "{} bytes came back", output.stdout.len());
    assert_eq!(output.stderr, b"done\n");
    let output = run(&shell, "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2").await;
    assert_eq!((output.stdout.len(), output.stderr.len(), output.code), (3_000_000, 3_000_000, 0));
    let output = run(&shell, format!("exit 4\n{data}")).await;
    assert_eq!(output.code, 4);
}

#[tokio::test]
async fn a_script_that_does_not_end_in_time_is_told() {
    let Some(sshd) = Sshd::start() else { return };
    let shell = SshShell::new(sshd.master());
    run(&shell, "true").await;
    let slow = ShellScript { text: "sleep 20".into(), deadline: Duration::from_millis(500) };
    assert!(matches!(shell.run(&slow).await, Err(ShellError::TimedOut { .. })));
    assert_eq!(run(&shell, "echo still").await.stdout, b"still\n");
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_and_nothing_is_sent_twice() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let shell = SshShell::new(Arc::clone(&master));
    let marks = sshd.path("marks");
    let text = format!("echo mark >> {}; sleep 20", marks.display());
    let running = tokio::spawn(async move { shell.run(&script(text)).await });
    eventually("the script runs", async || marks.exists()).await;
    signal_process("-KILL", master.pid().await.unwrap().unwrap());
    assert!(matches!(running.await.unwrap(), Err(ShellError::Lost { .. })));
    assert_eq!(std::fs::read_to_string(marks).unwrap(), "mark\n");
    assert_eq!(run(&SshShell::new(master), "echo again").await.stdout, b"again\n");
}

#[tokio::test]
async fn what_was_not_sent_says_why() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure("  HostName nosuch.invalid");
    let error = SshShell::new(sshd.master()).run(&script("true")).await.unwrap_err();
    let ShellError::NotSent { host, source } = error else { panic!("{error}") };
    assert_eq!(host, "lab");
    assert!(matches!(source.downcast_ref(), Some(SshError::Unresolved { .. })), "{source}");
}

#[tokio::test]
async fn a_host_that_opens_no_session_in_time_was_sent_nothing() {
    let Some(sshd) = Sshd::start() else { return };
    let shell = SshShell::new(sshd.master());
    run(&shell, "true").await;
    let marks = sshd.path("marks");
    sshd.freeze(true);
    let text = format!("echo mark > {}", marks.display());
    let result = shell.run(&ShellScript { text, deadline: Duration::from_millis(300) }).await;
    sshd.freeze(false);
    assert!(matches!(result, Err(ShellError::NotSent { .. })), "{result:?}");
    run(&shell, "true").await;
    assert!(!marks.exists());
}

#[tokio::test]
async fn a_host_that_answers_nothing_is_given_up_before_its_master_notices() {
    let Some(sshd) = Sshd::start() else { return };
    let shell = SshShell::new(sshd.master());
    run(&shell, "true").await;
    sshd.freeze(true);
    let result = shell.run(&ShellScript { text: "true".into(), deadline: Duration::from_secs(600) }).await;
    sshd.freeze(false);
    let Err(ShellError::NotSent { source, .. }) = result else { panic!("{result:?}") };
    let late = source.downcast_ref::<SshError>();
    assert!(matches!(late, Some(SshError::TimedOut { .. })), "{late:?}");
}

#[tokio::test]
async fn noise_of_a_login_shell_stands_before_the_output() {
    let noisy = "ForceCommand echo Welcome; echo motd >&2; exec bash -c \"$SSH_ORIGINAL_COMMAND\"";
    let Some(sshd) = Sshd::start_with(noisy) else { return };
    let output = run(&SshShell::new(sshd.master()), "echo mine; exit 5").await;
    assert_eq!(output.stdout, b"Welcome\nmine\n");
    assert_eq!(output.stderr, b"motd\n");
    assert_eq!(output.code, 5);
}

#[tokio::test]
async fn more_scripts_than_sessions_wait_in_line() {
    let Some(sshd) = Sshd::start_with("MaxSessions 2") else { return };
    let shell = SshShell::new(sshd.master());
    let scripts = (0..20).map(|n| {
        let shell = &shell;
        async move { (n, run(shell, format!("echo {n}")).await) }
    });
    for (n, output) in futures_util::future::join_all(scripts).await {
        assert_eq!(output.stdout, format!("{n}\n").as_bytes());
    }
}

/// In whose start-up files something is printed as well.
#[tokio::test]
async fn login_shells_of_all_kinds_run_scripts_and_carry_tunnels() {
    for (shell, file) in
        [("/bin/bash", ".bashrc"), ("/bin/tcsh", ".cshrc"), ("/usr/bin/fish", ".config/fish/config.fish")]
    {
        let Some(sshd) = Sshd::start_with_shell(shell) else { continue };
        std::fs::create_dir_all(sshd.path(".config/fish")).unwrap();
        std::fs::write(sshd.path(file), "echo Welcome to the cluster\n").unwrap();
        let master = sshd.master();
        let text = "printf '%s\\n' \"it's $((6 * 7)) $PPID!\" 'a\\b'\nread line || echo empty\nexit 3";
        let output = run(&SshShell::new(master.clone()), text).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with("Welcome to the cluster\nit's 42 "), "{shell}: {said}");
        assert!(said.ends_with("!\na\\b\nempty\n"), "{shell}: {said}");
        assert_eq!(output.code, 3, "{shell}");
        assert!(master.host_answers().await, "{shell}");
        let tried = SshTunnels::new(master).try_out("127.0.0.1", sshd.port).await.unwrap();
        assert_eq!(tried, Forwarding::Works, "{shell}");
        assert_eq!(sshd.logins(), 1, "{shell}");
    }
}
