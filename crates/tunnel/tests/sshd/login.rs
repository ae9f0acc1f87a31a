//! Masters: one login, shared and replaced, and why there is none.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use towline_tunnel::{Master, MasterConfig, SshError};

use crate::harness::{Sshd, eventually, free_port, process_group_of, signal_process};

async fn refusal(config: MasterConfig) -> SshError {
    let master = Master::new(config).unwrap();
    let error = master.session().await.expect_err("logged in");
    assert!(!matches!(master.pid().await, Ok(Some(_))), "a master is left after: {error}");
    println!("{error}");
    error
}

#[tokio::test]
async fn a_second_master_uses_the_login_of_the_first() {
    let Some(sshd) = Sshd::start() else { return };
    let first = sshd.master();
    first.session().await.unwrap();
    let pid = first.pid().await.unwrap();
    drop(first);
    let second = sshd.master();
    second.session().await.unwrap().check().await.unwrap();
    assert_eq!(second.pid().await.unwrap(), pid);
    assert!(pid.is_some());
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn eight_launches_at_once_are_one_login() {
    let Some(sshd) = Sshd::start() else { return };
    let masters: Vec<_> = (0..8).map(|_| sshd.master()).collect();
    let sessions = masters.iter().map(|master| master.session());
    for session in futures_util::future::join_all(sessions).await {
        session.unwrap();
    }
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn a_stopped_master_is_gone_and_can_be_launched_again() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    assert!(!master.stop().await.unwrap());
    master.session().await.unwrap();
    assert!(master.stop().await.unwrap());
    assert_eq!(master.pid().await.unwrap(), None);
    assert!(!master.control_path().exists());
    master.session().await.unwrap();
    assert_eq!(sshd.logins(), 2);
}

#[tokio::test]
async fn a_killed_master_is_replaced() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    master.session().await.unwrap();
    let pid = master.pid().await.unwrap().unwrap();
    signal_process("-KILL", pid);
    eventually("the master is gone", async || master.pid().await.unwrap().is_none()).await;
    assert!(master.control_path().exists(), "the socket of a killed master stays");
    master.session().await.unwrap().check().await.unwrap();
    assert_ne!(master.pid().await.unwrap(), Some(pid));
}

#[tokio::test]
async fn a_master_that_does_not_answer_is_replaced() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    master.session().await.unwrap();
    let pid = master.pid().await.unwrap().unwrap();
    signal_process("-STOP", pid);
    master.session().await.unwrap().check().await.unwrap();
    assert_ne!(master.pid().await.unwrap(), Some(pid));
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(!state.contains(") T "), "the stopped master is still there: {state}");
}

#[tokio::test]
async fn a_login_given_up_leaves_no_process() {
    let Some(sshd) = Sshd::start() else { return };
    let proxy = format!("sleep 60.{}", sshd.port);
    sshd.configure(&format!("  ProxyCommand {proxy}"));
    let master = sshd.master();
    let login = tokio::time::timeout(Duration::from_millis(300), master.session()).await;
    assert!(login.is_err());
    let socket = master.control_path().display().to_string();
    eventually("no ssh is left", async || process_group_of(&socket).is_none()).await;
    eventually("no proxy is left", async || process_group_of(&proxy).is_none()).await;
    sshd.configure("");
    master.session().await.unwrap();
}

#[tokio::test]
async fn a_login_that_takes_too_long_is_given_up() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure("  ProxyCommand sleep 60");
    let config = MasterConfig { connect_timeout: Duration::from_secs(1), ..sshd.config() };
    assert!(matches!(refusal(config).await, SshError::TimedOut { .. }));
}

#[tokio::test]
async fn an_unknown_host_key_is_refused() {
    let Some(sshd) = Sshd::start() else { return };
    std::fs::write(sshd.path("known_hosts"), "").unwrap();
    assert!(matches!(refusal(sshd.config()).await, SshError::HostKeyUnknown { .. }));
    assert_eq!(std::fs::read_to_string(sshd.path("known_hosts")).unwrap(), "");
}

#[tokio::test]
async fn a_changed_host_key_is_refused_and_named() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.know_host_key("stranger");
    let error = refusal(sshd.config()).await;
    let SshError::HostKeyChanged { words, name, file, .. } = error else { panic!("{error}") };
    assert!(words.contains(sshd.path("known_hosts").to_str().unwrap()), "{words}");
    let known = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    assert_eq!((name.as_deref(), file), (known.split(' ').next(), Some(sshd.path("known_hosts"))));
}

/// `ssh` itself goes on then, with a warning that nobody would see.
#[tokio::test]
async fn a_changed_host_key_is_refused_where_ssh_would_go_on() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure("  StrictHostKeyChecking no");
    sshd.know_host_key("stranger");
    let known = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    for _ in 0..2 {
        let error = refusal(sshd.config()).await;
        let SshError::HostKeyChanged { name, file, .. } = error else { panic!("{error}") };
        assert_eq!(file, Some(sshd.path("known_hosts")));
        // As Debian's ssh says; others say it only where they do not go on.
        assert!(name.is_none_or(|name| Some(name.as_str()) == known.split(' ').next()));
    }
    let typed = sshd.master().log_in(Duration::from_secs(20), &mut |_| {}).await;
    assert!(matches!(typed, Err(SshError::HostKeyChanged { .. })), "{typed:?}");
    let words = format!("-S {}", sshd.master().control_path().display());
    assert!(process_group_of(&words).is_none() && !sshd.master().control_path().exists());
    assert!(matches!(sshd.master().last_failure(), Some(SshError::HostKeyChanged { .. })));
    assert_eq!(std::fs::read_to_string(sshd.path("known_hosts")).unwrap(), known);
    assert_eq!(sshd.logins(), 0, "it was never let on");

    sshd.configure("  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null");
    sshd.master().session().await.unwrap().check().await.unwrap();
}

#[tokio::test]
async fn a_changed_key_of_a_jump_host_is_refused_where_its_ssh_would_go_on() {
    let Some(sshd) = Sshd::start() else { return };
    let (jump, known) = (sshd.path("jump_config"), sshd.path("jump_known"));
    sshd.know_host_key("stranger");
    std::fs::rename(sshd.path("known_hosts"), &known).unwrap();
    sshd.know_host_key("host");
    sshd.configure(&format!("  StrictHostKeyChecking no\n  UserKnownHostsFile {}", known.display()));
    std::fs::rename(sshd.path("ssh_config"), &jump).unwrap();
    sshd.configure(&format!("  ProxyCommand ssh -F {} -W %h:%p lab", jump.display()));
    let error = refusal(sshd.config()).await;
    assert!(matches!(&error, SshError::HostKeyChanged { file: Some(file), .. } if *file == known), "{error}");
    eventually("nothing is left", async || process_group_of(jump.to_str().unwrap()).is_none()).await;
}

#[tokio::test]
async fn a_refused_key_is_told() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure(&format!("  IdentityFile {}", sshd.path("stranger").display()));
    std::fs::remove_file(sshd.path("user")).unwrap();
    let error = refusal(sshd.config()).await;
    let SshError::Denied { words, .. } = error else { panic!("{error}") };
    assert!(words.contains("publickey"), "{words}");
}

#[tokio::test]
async fn a_failed_login_is_shared_and_not_repeated_at_once() {
    let Some(sshd) = Sshd::start() else { return };
    std::fs::write(sshd.path("authorized_keys"), "").unwrap();
    let master = sshd.master();
    for session in futures_util::future::join_all((0..8).map(|_| master.session())).await {
        assert!(matches!(session, Err(SshError::Denied { .. })));
    }
    assert_eq!(sshd.refusals(), 1);
}

#[tokio::test]
async fn hosts_that_cannot_be_reached_are_told_apart() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure("  HostName nosuch.invalid");
    assert!(matches!(refusal(sshd.config()).await, SshError::Unresolved { .. }));
    sshd.configure(&format!("  Port {}", free_port()));
    assert!(matches!(refusal(sshd.config()).await, SshError::Refused { .. }));
    sshd.configure("  BogusOption yes");
    assert!(matches!(refusal(sshd.config()).await, SshError::Config { .. }));
    let config = MasterConfig { ssh_config: Some(sshd.path("no_such_file")), ..sshd.config() };
    assert!(matches!(refusal(config).await, SshError::Config { .. }));
}

#[tokio::test]
async fn a_jump_host_s_connection_is_out_of_reach_of_the_terminal() {
    let Some(sshd) = Sshd::start() else { return };
    let jump = sshd.path("jump_config");
    std::fs::copy(sshd.path("ssh_config"), &jump).unwrap();
    sshd.configure(&format!("  ProxyCommand ssh -F {} -W %h:%p lab", jump.display()));
    let master = sshd.master();
    master.session().await.unwrap().check().await.unwrap();
    assert_eq!(sshd.logins(), 2);
    let proxy = process_group_of(jump.to_str().unwrap()).unwrap();
    let ours = rustix::process::getpgrp().as_raw_pid().cast_unsigned();
    assert_ne!(proxy, ours, "Ctrl-C would end the master");
}

#[tokio::test]
async fn a_jump_host_that_is_down_is_named() {
    let Some(sshd) = Sshd::start() else { return };
    let port = free_port();
    sshd.configure(&format!("  ProxyJump 127.0.0.1:{port}"));
    let error = refusal(sshd.config()).await;
    let SshError::Refused { words, .. } = error else { panic!("{error}") };
    assert!(words.contains(&port.to_string()), "{words}");
}

#[tokio::test]
async fn the_users_own_forwards_commands_and_masters_do_no_harm() {
    let Some(sshd) = Sshd::start() else { return };
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = busy.local_addr().unwrap().port();
    sshd.configure(&format!(
        "  LocalForward {port} 127.0.0.1:1\n  ExitOnForwardFailure yes\n  RemoteCommand echo hello\n  \
         RequestTTY force\n  ControlMaster auto\n  ControlPath {}\n  ControlPersist 1\n  LogLevel QUIET\n",
        sshd.path("users-own").display()
    ));
    let master = sshd.master();
    master.session().await.unwrap().check().await.unwrap();
    assert!(!sshd.path("users-own").exists());
}

/// `ssh -G` prints no control path then, and one of our own is used all the same.
#[tokio::test]
async fn a_configuration_without_control_paths_is_no_obstacle() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure("  ControlMaster no\n  ControlPath none\n  ControlPersist no\n  BatchMode no");
    sshd.master().session().await.unwrap().check().await.unwrap();
    sshd.master().session().await.unwrap().check().await.unwrap();
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn a_control_directory_of_somebody_else_is_refused() {
    let Some(sshd) = Sshd::start() else { return };
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a directory away");
        return;
    }
    std::fs::create_dir(sshd.path("c")).unwrap();
    std::os::unix::fs::chown(sshd.path("c"), Some(65_534), None).unwrap();
    let error = refusal(sshd.config()).await;
    assert!(error.to_string().ends_with("belongs to another user"), "{error}");
    assert_eq!(sshd.logins(), 0);
}

/// Whoever can write there could put a socket of theirs in the place of ours.
#[tokio::test]
async fn a_living_master_in_a_directory_open_to_others_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let forward = master.forward("127.0.0.1", 1, None).await.unwrap();
    let set_mode = |mode| {
        std::fs::set_permissions(sshd.path("c"), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o777);
    let error = master.session().await.expect_err("used");
    assert!(error.to_string().ends_with("is open to other users"), "{error}");
    assert!(matches!(error, SshError::ControlDir { .. }));
    assert!(!master.is_up().await && master.login().await.is_none());
    assert!(master.pid().await.is_err() && forward.close().await.is_err());
    set_mode(0o700);
    master.session().await.unwrap().check().await.unwrap();
    forward.close().await.unwrap();
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn a_control_path_that_is_too_long_costs_no_login() {
    let Some(sshd) = Sshd::start() else { return };
    let control_dir = sshd.path(&"d".repeat(80));
    let error = Master::new(MasterConfig { control_dir, ..sshd.config() }).unwrap_err();
    assert!(matches!(error, SshError::ControlPathTooLong { .. }), "{error}");
    let longest = 90 - "/0123456789abcdef.sock".len() - sshd.path("").as_os_str().len();
    let control_dir = sshd.path(&"d".repeat(longest));
    let master = Master::new(MasterConfig { control_dir, ..sshd.config() }).unwrap();
    assert_eq!(master.control_path().as_os_str().len(), 90);
    master.session().await.unwrap();
    assert!(master.stop().await.unwrap());
}
