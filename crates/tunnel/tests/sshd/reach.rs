//! Hosts that are out of reach and come back, connections that fall silent, and what is left of tunnels meanwhile.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use towline_core::ports::Tunnels;
use towline_tunnel::{Master, MasterConfig, SshError, SshTunnels, Standing};

use crate::harness::{Sshd, eventually, free_port, process_group_of, signal_process};
use crate::tunnels::service;
use crate::web::{Web, fetch, ok};

#[tokio::test]
async fn a_host_that_is_back_is_found_by_the_first_that_asks() {
    let Some(sshd) = Sshd::start() else { return };
    let (one, other) = (sshd.master(), sshd.master());
    assert!(!one.reconnect().await, "nobody has wanted it yet");
    sshd.configure(&format!("  Port {}", free_port()));
    assert!(matches!(one.session().await, Err(SshError::Refused { .. })));
    assert!(!one.reconnect().await && !other.reconnect().await);
    sshd.configure("");
    assert!(other.reconnect().await, "another process finds it as well");
    assert!(!one.reconnect().await, "it is no news any more");
    assert!(one.last_failure().is_none());
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn a_login_that_was_refused_is_not_tried_again() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure(&format!("  IdentityFile {}", sshd.path("stranger").display()));
    std::fs::write(sshd.path("authorized_keys"), "").unwrap();
    let master = sshd.master();
    assert!(matches!(master.session().await, Err(SshError::Denied { .. })));
    let refused = sshd.refusals();
    assert!(!master.reconnect().await);
    assert_eq!(sshd.refusals(), refused);
    assert!(matches!(master.last_failure(), Some(SshError::Denied { .. })));
}

/// One that is given up says nothing of the host.
#[tokio::test]
async fn a_login_that_was_given_up_does_not_make_one_forget() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure(&format!("  Port {}", free_port()));
    assert!(matches!(sshd.master().session().await, Err(SshError::Refused { .. })));
    let proxy = format!("sleep 62.{}", sshd.port);
    sshd.configure(&format!("  ProxyCommand {proxy}"));
    let master = sshd.master();
    tokio::select! {
        login = master.session() => panic!("{login:?}"),
        () = eventually("a login under way", async || process_group_of(&proxy).is_some()) => {}
    }
    assert!(matches!(master.last_failure(), Some(SshError::Refused { .. })));
    sshd.configure("");
    assert!(sshd.master().reconnect().await, "the host is known to be out of reach");
    assert!(master.last_failure().is_none());
}

/// Else a host that answers and then hangs would be asked again and again.
#[tokio::test]
async fn a_login_that_took_too_long_is_no_host_out_of_reach() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.configure(&format!("  Port {}", free_port()));
    assert!(matches!(sshd.master().session().await, Err(SshError::Refused { .. })));
    sshd.configure(&format!("  ProxyCommand sleep 63.{}", sshd.port));
    let hasty = MasterConfig { connect_timeout: Duration::from_millis(300), ..sshd.config() };
    let master = Master::new(hasty).unwrap();
    assert!(matches!(master.session().await, Err(SshError::TimedOut { .. })));
    assert!(master.last_failure().is_none());
    assert!(!master.reconnect().await);
}

/// A person may have something to do there, once.
#[tokio::test]
async fn what_is_in_between_is_waited_for_in_one_try() {
    let Some(sshd) = Sshd::start() else { return };
    let (jump, tries) = (sshd.path("jump_config"), sshd.path("tries"));
    std::fs::copy(sshd.path("ssh_config"), &jump).unwrap();
    sshd.configure(&format!(
        "  ProxyCommand sh -c 'echo >>{}; sleep 5; exec ssh -F {} -W %h:%p lab'",
        tries.display(),
        jump.display()
    ));
    sshd.master().session().await.unwrap().check().await.unwrap();
    assert_eq!(std::fs::read_to_string(tries).unwrap(), "\n");
}

/// A relay that takes connections at once, and carries them late.
async fn slow_relay(to: u16, late: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            drop(tokio::spawn(async move {
                sleep(late).await;
                let mut to = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await.unwrap();
                let _either_end = copy_bidirectional(&mut from, &mut to).await;
            }));
        }
    }));
    port
}

#[tokio::test]
async fn a_host_that_is_slow_has_all_the_time_there_is() {
    let Some(sshd) = Sshd::start() else { return };
    // More than half of the harness's connect_timeout.
    let port = slow_relay(sshd.port, Duration::from_secs(11)).await;
    sshd.configure(&format!("  Port {port}\n  HostKeyAlias [127.0.0.1]:{}", sshd.port));
    sshd.master().session().await.unwrap().check().await.unwrap();
}

#[tokio::test]
async fn whoever_waits_on_a_connection_that_fell_silent_is_told() {
    let Some(sshd) = Sshd::start() else { return };
    let (master, web) = (sshd.master(), Web::saying(ok("hello")).await);
    let tunnels = SshTunnels::new(Arc::clone(&master));
    let tunnel = tunnels.open(service(), &web.place(), None, None).await.unwrap();
    assert_eq!(fetch(tunnel.port).await.unwrap(), "hello");
    sshd.freeze(true);
    let began = std::time::Instant::now();
    let error = fetch(tunnel.port).await.unwrap_err();
    println!(
        "a request over a connection that fell silent: {error} after {:.1} s",
        began.elapsed().as_secs_f32()
    );
    assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error:?}");
    eventually("refused", async || {
        fetch(tunnel.port).await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    })
    .await;
    assert_eq!(tunnels.standing(&[&tunnel]).await, [Standing::NoMaster]);
    sshd.freeze(false);
    assert!(master.reconnect().await, "a connection that fell silent is worth a try");
    tunnels.open(service(), &web.place(), None, Some(&tunnel)).await.unwrap();
    assert_eq!(fetch(tunnel.port).await.unwrap(), "hello");
    assert_eq!(sshd.logins(), 2);
}

#[tokio::test]
async fn what_is_left_of_a_tunnel_is_told_apart() {
    let Some(sshd) = Sshd::start() else { return };
    let (master, web) = (sshd.master(), Web::saying(ok("hello")).await);
    let tunnels = SshTunnels::new(Arc::clone(&master));
    let tunnel = tunnels.open(service(), &web.place(), None, None).await.unwrap();
    let standing = async || tunnels.standing(&[&tunnel]).await[0];
    assert_eq!(standing().await, Standing::Open);

    let forward = format!("127.0.0.1:{}:{}:{}", tunnel.port, tunnel.place.host, tunnel.place.port);
    let mut cancel = Command::new("ssh");
    cancel.args(["-F", "none", "-O", "cancel", "-L", &forward, "-S"]).arg(master.control_path());
    assert!(cancel.arg("x").status().unwrap().success());
    assert_eq!(standing().await, Standing::NoListener);
    tunnels.open(service(), &web.place(), None, Some(&tunnel)).await.unwrap();
    assert_eq!(standing().await, Standing::Open);

    let pid = master.pid().await.unwrap().unwrap();
    signal_process("-STOP", pid);
    assert_eq!(standing().await, Standing::MasterHangs);
    signal_process("-CONT", pid);
    assert_eq!(standing().await, Standing::Open);
    signal_process("-KILL", pid);
    eventually("the master is gone", async || standing().await == Standing::NoMaster).await;
    assert_eq!(tunnels.standing(&[]).await, []);
}
