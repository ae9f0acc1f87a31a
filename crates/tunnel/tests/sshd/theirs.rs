//! Masters that the user has started: used, and never ended.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use towline_core::lifecycle::Echo;
use towline_core::ports::{Probe, Tunnels};
use towline_core::ready::Ready;
use towline_tunnel::{HttpProbe, LogIn, Master, SshTunnels};

use crate::harness::{Sshd, eventually, free_port, signal_process};
use crate::tunnels::service;
use crate::web::{Web, fetch, ok, place};

/// The user's own `ssh`, as their configuration has it.
fn ssh(sshd: &Sshd, words: &[&str]) -> bool {
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(sshd.path("ssh_config")).args(words).arg("lab");
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// An sshd to which the user has a master of their own.
fn with_master() -> Option<Sshd> {
    let sshd = Sshd::start()?;
    sshd.configure(&format!(
        "  ControlMaster auto\n  ControlPath {}/own-%r@%h:%p\n  ControlPersist yes\n  ServerAliveInterval 0",
        sshd.path("").display()
    ));
    assert!(ssh(&sshd, &["-f", "-N"]));
    assert_eq!(sshd.logins(), 1);
    Some(sshd)
}

/// The process id of the user's master.
fn pid_of_theirs(sshd: &Sshd) -> u32 {
    let mut check = Command::new("ssh");
    let output = check.arg("-F").arg(sshd.path("ssh_config")).args(["-O", "check", "lab"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.split("pid=").nth(1).unwrap().split(')').next().unwrap().parse().unwrap()
}

fn is_theirs(master: &Arc<Master>) -> bool {
    master.control_path().file_name().unwrap().to_str().unwrap().starts_with("own-")
}

#[tokio::test]
async fn it_spares_a_login_and_outlives_ours() {
    let Some(sshd) = with_master() else { return };
    let master = sshd.master();
    let login = master.login().await.unwrap();
    assert!(!login.is_ours && login.since.is_some(), "{login:?}");
    master.session().await.unwrap().check().await.unwrap();
    assert!(is_theirs(&master) && master.is_up().await);
    assert!(matches!(
        sshd.master().log_in(Duration::from_secs(5), &mut |_| {}).await.unwrap(),
        LogIn::Before(login) if !login.is_ours
    ));

    let web = Web::saying(ok("hello")).await;
    let tunnels = SshTunnels::new(master.clone());
    let tunnel = tunnels.open(service(), &web.place(), None, None).await.unwrap();
    assert_eq!(fetch(tunnel.port).await.unwrap(), "hello");
    assert!(!master.carries(&tunnel), "it does not end with a master of ours");
    let probe = HttpProbe::default();
    assert_eq!(probe.ping(&tunnel, "/", &Ready::default()).await, Echo::Answered);
    assert!(!master.stop().await.unwrap(), "there was nothing of ours to end");
    assert_eq!(fetch(tunnel.port).await.unwrap(), "hello");
    tunnels.close(&tunnel).await.unwrap();
    assert!(fetch(tunnel.port).await.is_err());
    assert!(ssh(&sshd, &["-O", "check"]), "the user's master lives");
    assert_eq!(sshd.logins(), 1);
}

/// It says nothing of why connections through it are cut, and is not taken for a server's silence.
#[tokio::test]
async fn what_cannot_be_known_behind_it_is_no_silence() {
    let Some(sshd) = with_master() else { return };
    let tunnels = SshTunnels::new(sshd.master());
    let tunnel = tunnels.open(service(), &place(free_port()), None, None).await.unwrap();
    let echo = HttpProbe::default().ping(&tunnel, "/", &Ready::default()).await;
    assert!(matches!(&echo, Echo::NoRoute(why) if why.contains("which is your own")), "{echo:?}");
}

#[tokio::test]
async fn when_it_ends_ours_takes_over_with_the_same_ports() {
    let Some(sshd) = with_master() else { return };
    let web = Web::saying(ok("hello")).await;
    let tunnels = SshTunnels::new(sshd.master());
    let id = service();
    let tunnel = tunnels.open(id, &web.place(), None, None).await.unwrap();
    assert!(ssh(&sshd, &["-O", "exit"]));
    eventually("the port is free", async || fetch(tunnel.port).await.is_err()).await;
    let again = tunnels.open(id, &web.place(), Some(tunnel.port), Some(&tunnel)).await.unwrap();
    assert_eq!((again.port, sshd.logins()), (tunnel.port, 2));
    assert_eq!(fetch(again.port).await.unwrap(), "hello");
}

/// Stopped, it answers nothing; it is passed over, and goes on once it is continued.
#[tokio::test]
async fn one_that_hangs_is_passed_over_and_left_alone() {
    let Some(sshd) = with_master() else { return };
    let web = Web::saying(ok("hello")).await;
    let id = service();
    let tunnel = SshTunnels::new(sshd.master()).open(id, &web.place(), None, None).await.unwrap();
    let theirs = pid_of_theirs(&sshd);
    signal_process("-STOP", theirs);
    let master = sshd.master();
    let moved = SshTunnels::new(master.clone()).open(id, &web.place(), None, Some(&tunnel)).await;
    signal_process("-CONT", theirs);
    assert!(matches!(moved, Err(towline_core::ports::TunnelError::PortTaken { .. })), "{moved:?}");
    assert!(!is_theirs(&master) && sshd.logins() == 2);
    assert!(ssh(&sshd, &["-O", "check"]), "it was not ended");
}

/// Its own check lies when nothing comes back over the connection.
#[tokio::test]
async fn one_over_which_nothing_comes_back_is_passed_over() {
    let Some(sshd) = with_master() else { return };
    sshd.freeze(true);
    let master = sshd.master();
    let session = master.session().await;
    sshd.freeze(false);
    session.unwrap().check().await.unwrap();
    assert!(!is_theirs(&master));
    assert_eq!(sshd.logins(), 2);
}

#[tokio::test]
async fn a_socket_of_somebody_else_is_not_used() {
    let Some(sshd) = with_master() else { return };
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a file away");
        return;
    }
    let socket = sshd.master().login().await.unwrap().socket;
    std::os::unix::fs::chown(&socket, Some(65_534), None).unwrap();
    assert_eq!(sshd.master().login().await, None);
}
