//! Forwards without anything else of Towline: opened, used, healed, closed, and given up half-way.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use towline_tunnel::{Forward, ForwardError, HttpProbe, Master, MasterConfig, Side, SshError};

use crate::contract::listeners;
use crate::harness::{Sshd, eventually, free_port, processes_with, signal_process};
use crate::web::{Web, fetch, ok};

/// How often a future is polled at most before it is dropped, in the tests that drop one at each point.
const POINTS: usize = 40;

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Polls a future so often, and drops it unless it was done by then.
async fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Lets a future run so long, and drops it unless it was done by then: between two of its polls as well.
async fn run_for<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let over = tokio::task::spawn_blocking(move || std::thread::sleep(time));
    tokio::select! {
        biased;
        _ = over => None,
        output = future => Some(output),
    }
}

async fn pid(master: &Master) -> u32 {
    master.pid().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_forward_is_opened_used_healed_and_closed() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let master = sshd.master();
    let forward = master.forward("127.0.0.1", web.port, None).await.unwrap();
    assert_eq!(forward.to_string(), format!("127.0.0.1:{}", web.port));
    assert_eq!(forward.url(), format!("http://127.0.0.1:{}", forward.local_port()));
    assert_eq!(fetch(forward.local_port()).await.unwrap(), "hello");
    assert_eq!(master.heal(&forward).await.unwrap(), forward, "nothing was lost");

    signal_process("-KILL", pid(&master).await);
    let healed = master.heal(&forward).await.unwrap();
    assert_eq!(healed.local_port(), forward.local_port());
    assert_eq!(fetch(healed.local_port()).await.unwrap(), "hello");
    assert_eq!(sshd.logins(), 2);

    // Any process may close it.
    Forward::from_handle(&healed.handle()).unwrap().close().await.unwrap();
    assert!(is_free(healed.local_port()));
    healed.close().await.unwrap();
    assert!(matches!(Forward::from_handle("4711"), Err(ForwardError::BadHandle(_))));
}

#[tokio::test]
async fn a_chosen_port_is_kept_and_one_that_is_taken_left_alone() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let master = sshd.master();
    let port = free_port();
    let forward = master.forward("127.0.0.1", web.port, Some(port)).await.unwrap();
    assert_eq!(master.forward("127.0.0.1", web.port, Some(port)).await.unwrap(), forward, "done twice");
    assert_eq!(fetch(port).await.unwrap(), "hello");
    forward.close().await.unwrap();

    let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    for error in [
        master.forward("127.0.0.1", web.port, Some(port)).await.unwrap_err(),
        master.heal(&forward).await.unwrap_err(),
    ] {
        assert!(matches!(error, ForwardError::PortTaken { port: taken } if taken == port), "{error}");
        assert_eq!(error.side(), Side::ThisMachine);
    }
    for (host, port, local) in [("", 1, None), ("c1", 0, None), ("c\0", 1, None), ("c1", 1, Some(0))] {
        let error = master.forward(host, port, local).await.unwrap_err();
        assert!(matches!(error, ForwardError::BadTarget { .. }), "{error}");
    }
}

#[tokio::test]
async fn every_failure_says_on_which_side_it_is() {
    let Some(sshd) = Sshd::start_with("PermitOpen 127.0.0.1:* nosuch.invalid:*") else { return };
    let (web, mute) = (Web::saying(ok("hello")).await, Web::silent().await);
    let ill = Web::saying("HTTP/1.1 503 Loading\r\nContent-Length: 0\r\n\r\n").await;
    let master = sshd.master();
    let probe = HttpProbe::new(Duration::from_millis(500));
    let look = async |host: &str, port| {
        let forward = master.forward(host, port, None).await.unwrap();
        let found = probe.look(&forward, "/").await;
        forward.close().await.unwrap();
        found
    };
    look("127.0.0.1", web.port).await.unwrap();
    for (host, port, side, words) in [
        ("127.0.0.1", ill.port, Side::FarSide, "HTTP status 503"),
        ("127.0.0.1", mute.port, Side::FarSide, "no answer within"),
        ("127.0.0.1", free_port(), Side::FarSide, "refused the connection"),
        ("127.0.0.2", 80, Side::SshHost, "administratively prohibited"),
        ("nosuch.invalid", 80, Side::SshHost, "cannot be reached from the ssh host"),
    ] {
        let miss = look(host, port).await.unwrap_err();
        assert!(miss.side == side && miss.to_string().contains(words), "{miss:?}");
    }

    let forward = master.forward("127.0.0.1", mute.port, None).await.unwrap();
    sshd.freeze(true);
    let miss = probe.look(&forward, "/").await.unwrap_err();
    sshd.freeze(false);
    assert_eq!(miss.side, Side::SshHost, "{miss}");
    assert_eq!(probe.look(&forward, "no path").await.unwrap_err().side, Side::ThisMachine);
    forward.close().await.unwrap();
    assert_eq!(probe.look(&forward, "/").await.unwrap_err().side, Side::ThisMachine);

    let login = async |settings: &str| {
        sshd.configure(settings);
        let master = Master::new(MasterConfig {
            control_dir: sshd.path(&format!("d{}", settings.len())),
            ..sshd.config()
        });
        let error = master.unwrap().forward("127.0.0.1", 1, None).await.unwrap_err();
        assert!(matches!(error, ForwardError::Login(_)), "{error}");
        error.side()
    };
    assert_eq!(login("  HostName nosuch.invalid").await, Side::ThisMachine);
    assert_eq!(login(&format!("  Port {}", free_port())).await, Side::SshHost);
    sshd.know_host_key("stranger");
    assert_eq!(login("").await, Side::SshHost);
    let long = MasterConfig { control_dir: Path::new("/tmp").join("d".repeat(90)), ..sshd.config() };
    let error = Master::new(long).unwrap_err();
    assert!(matches!(error, SshError::ControlPathTooLong { .. }) && error.side() == Side::ThisMachine);
}

#[tokio::test]
async fn an_opening_that_is_dropped_at_any_point_leaves_no_listener() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let master = sshd.master();
    drop(master.session().await.unwrap());
    let of_master = pid(&master).await;
    let (mut dropped, mut done) = (0, 0);
    for point in 0..2 * POINTS {
        // A forward takes some hundred microseconds.
        let (times, time) = (point / 2, Duration::from_micros(25 * point as u64));
        let opening = master.forward("127.0.0.1", web.port, None);
        let opened =
            if point % 2 == 0 { poll_times(times, opening).await } else { run_for(time, opening).await };
        match opened {
            Some(forward) => {
                done += 1;
                let forward = forward.unwrap();
                assert_eq!(fetch(forward.local_port()).await.unwrap(), "hello");
                let dropped = poll_times(times, master.heal(&forward)).await;
                assert_eq!(
                    fetch(forward.local_port()).await.unwrap(),
                    "hello",
                    "an open one stays: {dropped:?}"
                );
                forward.close().await.unwrap();
            }
            None => dropped += 1,
        }
    }
    assert!(dropped > 3 && done > 3, "{dropped} dropped, {done} done");
    eventually("no listener is left", async || listeners(of_master) == 0).await;
    assert_eq!((pid(&master).await, sshd.logins()), (of_master, 1));
}

#[tokio::test]
async fn a_login_that_is_dropped_at_any_point_leaves_no_process() {
    let Some(sshd) = Sshd::start() else { return };
    let mark = sshd.path("c").display().to_string();
    let mut dropped = 0;
    for step in 0..POINTS as u64 {
        // A login takes some hundred milliseconds here.
        let master = sshd.master();
        let opened = tokio::time::timeout(
            Duration::from_millis(8 * step),
            poll_times(
                if step % 2 == 0 { usize::MAX } else { step as usize },
                master.forward("127.0.0.1", 1, None),
            ),
        );
        if let Ok(Some(forward)) = opened.await {
            forward.unwrap().close().await.unwrap();
        } else {
            dropped += 1;
        }
        eventually("no ssh is left but a master that can be used", async || {
            let left: BTreeSet<u32> = processes_with(&mark).collect();
            left.is_empty() || left == master.pid().await.unwrap().into_iter().collect()
        })
        .await;
        if let Some(pid) = master.pid().await.unwrap() {
            eventually("it listens nowhere", async || listeners(pid) == 0).await;
        }
        master.stop().await.unwrap();
    }
    assert!(dropped > 3, "{dropped}");
    eventually("nothing is left", async || processes_with(&mark).next().is_none()).await;
}

#[tokio::test]
async fn a_closing_and_a_ping_that_are_dropped_harm_nothing() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::saying(ok("hello")).await;
    let master = sshd.master();
    let probe = HttpProbe::default();
    for times in 0..POINTS {
        let forward = master.forward("127.0.0.1", web.port, None).await.unwrap();
        drop(poll_times(times, probe.look(&forward, "/")).await);
        probe.look(&forward, "/").await.unwrap();
        drop(poll_times(times, forward.close()).await);
        forward.close().await.unwrap();
        assert!(is_free(forward.local_port()));
    }
    assert_eq!(listeners(pid(&master).await), 0);
    assert_eq!(sshd.logins(), 1);
}
