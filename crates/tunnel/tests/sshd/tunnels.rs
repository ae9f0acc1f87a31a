//! Forwards through a real connection.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use towline_core::id::ServiceId;
use towline_core::ports::{TunnelError, Tunnels};
use towline_tunnel::{SshError, SshTunnels};

use crate::harness::{Sshd, eventually, free_port, signal_process};
use crate::web::{Web, fetch, ok, place};

/// A service that no other test has.
pub(crate) fn service() -> ServiceId {
    use std::hash::{BuildHasher, RandomState};
    let half = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", half(), half()).parse().unwrap()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[tokio::test]
async fn a_tunnel_carries_http_and_outlives_its_opener() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let opener = SshTunnels::new(sshd.master());
    let tunnel = opener.open(service(), &web.place(), None, None).await.unwrap();
    drop(opener);
    assert_eq!(tunnel.host, "127.0.0.1");
    assert_eq!(fetch(tunnel.port).await.unwrap(), "hello");

    let closer = SshTunnels::new(sshd.master());
    closer.close(&tunnel).await.unwrap();
    assert!(is_free(tunnel.port));
    closer.close(&tunnel).await.unwrap();
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn opening_twice_is_opening_once() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let tunnels = SshTunnels::new(sshd.master());
    let id = service();
    let first = tunnels.open(id, &web.place(), None, None).await.unwrap();
    assert_eq!(tunnels.open(id, &web.place(), None, Some(&first)).await.unwrap(), first);
    assert_eq!(
        tunnels.open(id, &web.place(), None, None).await.unwrap(),
        first,
        "an unrecorded tunnel is found"
    );
    let port = free_port();
    let moved = tunnels.open(id, &web.place(), Some(port), Some(&first)).await.unwrap();
    assert_eq!(moved.port, port);
    assert!(is_free(first.port));
    assert_eq!(tunnels.open(id, &web.place(), Some(port), None).await.unwrap(), moved);
}

#[tokio::test]
async fn a_master_that_was_killed_a_moment_ago_is_replaced() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let master = sshd.master();
    let tunnels = SshTunnels::new(master.clone());
    let before = tunnels.open(service(), &web.place(), None, None).await.unwrap();
    signal_process("-KILL", master.pid().await.unwrap().unwrap());
    eventually("its port is free", async || is_free(before.port)).await;
    let after = tunnels.open(service(), &web.place(), None, Some(&before)).await.unwrap();
    assert_eq!(fetch(after.port).await.unwrap(), "hello");
    assert_eq!(sshd.logins(), 2);
}

#[tokio::test]
async fn a_tunnel_keeps_its_port_when_the_place_moves() {
    let Some(sshd) = Sshd::start() else { return };
    let (here, there) = (Web::saying(ok("here")).await, Web::saying(ok("there")).await);
    let tunnels = SshTunnels::new(sshd.master());
    let id = service();
    let before = tunnels.open(id, &here.place(), None, None).await.unwrap();
    assert_eq!(fetch(before.port).await.unwrap(), "here");
    let after = tunnels.open(id, &there.place(), None, Some(&before)).await.unwrap();
    assert_eq!(after.port, before.port);
    assert_eq!(fetch(after.port).await.unwrap(), "there");
    tunnels.close(&before).await.unwrap();
    assert_eq!(fetch(after.port).await.unwrap(), "there", "an old handle does not close the new tunnel");
    tunnels.close(&after).await.unwrap();
    assert!(is_free(after.port));
}

#[tokio::test]
async fn a_port_of_another_program_is_left_alone() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let tunnels = SshTunnels::new(sshd.master());
    let id = service();
    for address in ["127.0.0.1", "0.0.0.0"] {
        let other = TcpListener::bind((address, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let error = tunnels.open(id, &web.place(), Some(port), None).await.unwrap_err();
        assert!(matches!(error, TunnelError::PortTaken { port: taken } if taken == port), "{error}");
    }
    let first = tunnels.open(id, &web.place(), None, None).await.unwrap();
    tunnels.close(&first).await.unwrap();
    let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, first.port)).unwrap();
    let second = tunnels.open(id, &web.place(), None, None).await.unwrap();
    assert_ne!(second.port, first.port);
    let error = tunnels.open(id, &web.place(), None, Some(&first)).await.unwrap_err();
    assert!(matches!(error, TunnelError::PortTaken { .. }), "the port of before is kept or none is: {error}");
}

#[tokio::test]
async fn a_tunnel_comes_back_on_its_port_after_its_master_died() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let master = sshd.master();
    let tunnels = SshTunnels::new(Arc::clone(&master));
    let tunnel = tunnels.open(service(), &web.place(), None, None).await.unwrap();
    signal_process("-KILL", master.pid().await.unwrap().unwrap());
    tunnels.close(&tunnel).await.unwrap();
    let again = tunnels.open(service(), &web.place(), None, Some(&tunnel)).await.unwrap();
    assert_eq!(again, tunnel);
    assert_eq!(fetch(again.port).await.unwrap(), "hello");
    assert_eq!(sshd.logins(), 2);
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let Some(sshd) = Sshd::start() else { return };
    let tunnels = SshTunnels::new(sshd.master());
    let nowhere = towline_core::job::Place { host: String::new(), ..place(1) };
    assert!(matches!(tunnels.open(service(), &nowhere, None, None).await, Err(TunnelError::Failed(_))));
    assert!(!sshd.path("c").exists(), "no login is spent on it");
    sshd.configure("  HostName nosuch.invalid");
    let error = tunnels.open(service(), &place(1), None, None).await.unwrap_err();
    let TunnelError::Unreachable(source) = error else { panic!("{error}") };
    assert!(matches!(source.downcast_ref(), Some(SshError::Unresolved { .. })), "{source}");
}
