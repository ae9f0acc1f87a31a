//! What is left of masters and logins whose files or owners have gone: ended by whoever comes next.

use std::fs;
use std::process::{Command, Stdio};

use towline_core::ports::Tunnels;
use towline_tunnel::{Master, SshTunnels};

use crate::harness::{Sshd, eventually, process_group_of};
use crate::screen::login_program;
use crate::tunnels::service;
use crate::web::{Web, fetch, ok};

/// The directory of sockets is emptied at the end of a user's session, and the master stays.
#[tokio::test]
async fn a_master_whose_directory_has_gone_makes_room_for_another() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let tunnels = SshTunnels::new(sshd.master());
    let id = service();
    let tunnel = tunnels.open(id, &web.place(), None, None).await.unwrap();
    let pid = sshd.master().pid().await.unwrap().unwrap();
    fs::remove_dir_all(sshd.path("c")).unwrap();

    let tunnels = SshTunnels::new(sshd.master());
    let again = tunnels.open(id, &web.place(), Some(tunnel.port), Some(&tunnel)).await.unwrap();
    assert_eq!(again.port, tunnel.port, "the port is free again");
    assert_eq!(fetch(again.port).await.unwrap(), "hello");
    // Nobody may have waited for it yet, so that its number is still there.
    let left = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(left.is_empty(), "the old master is still there");
    assert_eq!(sshd.logins(), 2);
}

#[tokio::test]
async fn logging_out_ends_a_master_that_cannot_be_reached() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    master.session().await.unwrap();
    let words = format!("-S {}", master.control_path().display());
    fs::remove_file(master.control_path()).unwrap();
    assert!(process_group_of(&words).is_some());
    assert!(master.stop().await.unwrap());
    assert!(process_group_of(&words).is_none());
    assert!(!master.stop().await.unwrap());
}

/// A login that hangs in a process that is killed would be done at some time, beside the next one.
#[tokio::test]
async fn a_half_done_login_of_a_killed_process_is_ended() {
    let Some(sshd) = Sshd::start() else { return };
    let proxy = format!("sleep 61.{}", sshd.port);
    sshd.configure(&format!("  ProxyCommand {proxy}"));
    let mut login = Command::new(login_program());
    login.arg("lab").arg(sshd.path("c")).arg(sshd.path("ssh_config")).stderr(Stdio::null());
    let mut login = login.spawn().unwrap();
    eventually("a login under way", async || process_group_of(&proxy).is_some()).await;
    login.kill().unwrap();
    login.wait().unwrap();
    let words = format!("-S {}", sshd.master().control_path().display());
    let half_done = process_group_of(&words);
    assert!(half_done.is_some(), "it goes on without its owner");
    sshd.configure("");
    sshd.master().session().await.unwrap().check().await.unwrap();
    assert_ne!(process_group_of(&words), half_done);
    eventually("its proxy is gone", async || process_group_of(&proxy).is_none()).await;
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_other_masters_stay() {
    let Some(sshd) = Sshd::start() else { return };
    let other =
        Master::new(towline_tunnel::MasterConfig { user: Some("root".into()), ..sshd.config() }).unwrap();
    let master = sshd.master();
    fs::create_dir(sshd.path("c")).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(sshd.path("c"), fs::Permissions::from_mode(0o700)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(master.control_path()).unwrap());
    master.session().await.unwrap().check().await.unwrap();
    if other.session().await.is_ok() {
        assert!(master.stop().await.unwrap());
        assert!(other.is_up().await, "the master of another login was ended");
        assert!(other.stop().await.unwrap());
    }
}
