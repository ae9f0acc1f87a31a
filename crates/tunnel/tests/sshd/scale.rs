//! Many tunnels, masters, streams and scripts at once. Prints what they take; counts what they cost.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use towline_core::lifecycle::Tunnel;
use towline_core::ports::{RemoteShell, ShellScript, Tunnels};
use towline_tunnel::{Master, MasterConfig, SshShell, SshTunnels, Standing};

use crate::harness::{Sshd, eventually, signal_process};
use crate::tunnels::service;
use crate::web::{Web, fetch, ok};

const TUNNELS: usize = 200;
const MASTERS: usize = 20;
const STREAMS: usize = 64;

async fn webs(count: usize) -> Vec<Web> {
    join_all((0..count).map(|n| Web::saying(ok(&n.to_string())))).await
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[tokio::test]
async fn two_hundred_tunnels_share_one_master() {
    let Some(sshd) = Sshd::start() else { return };
    let (master, webs) = (sshd.master(), webs(TUNNELS).await);
    let tunnels = SshTunnels::new(Arc::clone(&master));
    let mut open: Vec<Tunnel> = Vec::new();
    let mut took = Vec::new();
    for web in &webs {
        let began = Instant::now();
        open.push(tunnels.open(service(), &web.place(), None, None).await.unwrap());
        took.push(began.elapsed());
    }
    let first = took.remove(0);
    let mean = took.iter().sum::<Duration>() / u32::try_from(took.len()).unwrap();
    println!(
        "{TUNNELS} tunnels: the first, with the login, {:.0} ms; each further {:.2} ms",
        millis(first),
        millis(mean)
    );

    let again = |tunnels: SshTunnels| {
        let open = &open;
        async move {
            let began = Instant::now();
            let found = open.iter().map(|it| tunnels.open(service(), &it.place, Some(it.port), Some(it)));
            let found: Vec<_> =
                join_all(found.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(found, *open);
            began.elapsed()
        }
    };
    println!("found again by another process: {:.1} ms", millis(again(SshTunnels::new(sshd.master())).await));
    let began = Instant::now();
    let standing = tunnels.standing(&open.iter().collect::<Vec<_>>()).await;
    println!("looked whether they stand: {:.1} ms", millis(began.elapsed()));
    assert!(standing.iter().all(|it| *it == Standing::Open), "{standing:?}");
    let said = join_all(open.iter().map(|tunnel| fetch(tunnel.port))).await;
    for (n, said) in said.into_iter().enumerate() {
        assert_eq!(said.unwrap(), n.to_string());
    }
    assert_eq!((sshd.logins(), sshd.sessions()), (1, 0));

    let pid = master.pid().await.unwrap().unwrap();
    signal_process("-KILL", pid);
    eventually("the master is gone", async || master.pid().await.unwrap().is_none()).await;
    println!("all open again after the master was killed: {:.0} ms", millis(again(tunnels).await));
    assert_eq!((sshd.logins(), sshd.sessions()), (2, 0));
    assert_eq!(fetch(open[TUNNELS - 1].port).await.unwrap(), (TUNNELS - 1).to_string());
}

#[tokio::test]
async fn twenty_masters_at_once() {
    let Some(sshd) = Sshd::start() else { return };
    let config = std::fs::read_to_string(sshd.path("ssh_config")).unwrap();
    std::fs::write(sshd.path("ssh_config"), config.replace("Host lab\n", "Host lab-*\n")).unwrap();
    let web = Web::saying(ok("hello")).await;
    let master = |n: usize| {
        let config = MasterConfig { host: format!("lab-{n}"), ..sshd.config() };
        Arc::new(Master::new(config).unwrap())
    };
    let began = Instant::now();
    let opened = (0..MASTERS).map(|n| {
        let (tunnels, place) = (SshTunnels::new(master(n)), web.place());
        async move {
            let open = (0..10).map(|_| tunnels.open(service(), &place, None, None)).collect::<Vec<_>>();
            join_all(open).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        }
    });
    let opened: Vec<Tunnel> = join_all(opened).await.concat();
    println!("{MASTERS} logins at once, ten tunnels each: {:.0} ms", millis(began.elapsed()));
    for said in join_all(opened.iter().map(|tunnel| fetch(tunnel.port))).await {
        assert_eq!(said.unwrap(), "hello");
    }
    assert_eq!((sshd.logins(), sshd.sessions()), (MASTERS, 0));
}

#[tokio::test]
async fn streams_are_not_held_up_by_scripts_nor_scripts_by_streams() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::streaming(20, Duration::from_millis(100)).await;
    let (tunnels, shell) = (SshTunnels::new(sshd.master()), SshShell::new(sshd.master()));
    let tunnel = tunnels.open(service(), &web.place(), None, None).await.unwrap();
    let began = Instant::now();
    let streams = join_all((0..STREAMS).map(|_| fetch(tunnel.port)));
    let scripts = async {
        let mut took = Vec::new();
        while began.elapsed() < Duration::from_secs(1) {
            let began = Instant::now();
            let script = ShellScript { text: "echo seen".into(), deadline: Duration::from_secs(20) };
            assert_eq!(shell.run(&script).await.unwrap().stdout, b"seen\n");
            took.push(began.elapsed());
        }
        took
    };
    let (said, mut took) = tokio::join!(streams, scripts);
    for said in said {
        assert_eq!(said.unwrap(), "event ".repeat(20));
    }
    took.sort();
    println!(
        "{STREAMS} streams of 2 s: {:.1} s; {} scripts beside them, {:.1} ms in the median",
        began.elapsed().as_secs_f32(),
        took.len(),
        millis(took[took.len() / 2])
    );
    assert_eq!(sshd.logins(), 1);
}

/// How many ran at once at most, by a log of `+` where one begins and `-` where it ends.
fn most_at_once(log: &str) -> i32 {
    let mut now = 0;
    let steps = log.lines().map(|line| {
        now += if line == "+" { 1 } else { -1 };
        now
    });
    steps.max().unwrap_or_default()
}

#[tokio::test]
async fn four_scripts_run_at_a_time_and_others_wait_in_line() {
    let Some(sshd) = Sshd::start() else { return };
    for masters in [1, 4] {
        let log = sshd.path(&format!("log-{masters}"));
        let mut text = String::new();
        write!(text, "echo + >>{0}; sleep 0.1; echo - >>{0}", log.display()).unwrap();
        let shells: Vec<SshShell> = (0..masters).map(|_| SshShell::new(sshd.master())).collect();
        let began = Instant::now();
        let script = ShellScript { text, deadline: Duration::from_secs(60) };
        let runs = shells.iter().flat_map(|shell| (0..24).map(|_| shell.run(&script))).collect::<Vec<_>>();
        for output in join_all(runs).await {
            assert_eq!(output.unwrap().code, 0);
        }
        let most = most_at_once(&std::fs::read_to_string(log).unwrap());
        println!(
            "24 scripts of 0.1 s by each of {masters} processes: {most} at once at most, {:.1} s",
            began.elapsed().as_secs_f32()
        );
        assert!(masters > 1 || most <= 4, "{most} at once");
    }
    assert_eq!(sshd.logins(), 1);
}
