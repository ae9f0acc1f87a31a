//! Pings through a real connection, and what their failures say.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use towline_core::id::JobId;
use towline_core::job::Place;
use towline_core::lifecycle::{Echo, Job, Phase, PingRecord, Run, Stage, Tunnel};
use towline_core::ports::{Probe, Tunnels};
use towline_core::ready::{HeaderTest, JsonTest, Ready};
use towline_core::testing::sample_service;
use towline_core::time::Timestamp;
use towline_core::why::{FarEnd, Reach};
use towline_tunnel::{HttpProbe, Master, SshTunnels};

use crate::harness::{Sshd, free_port, signal_process};
use crate::web::{Web, ok, place};

async fn open(master: &Arc<Master>, place: &Place) -> Tunnel {
    let id = "0199aaaa-0000-7000-8000-000000000001".parse().unwrap();
    SshTunnels::new(Arc::clone(master)).open(id, place, Some(free_port()), None).await.unwrap()
}

fn probe() -> HttpProbe {
    HttpProbe::new(Duration::from_secs(2))
}

fn assert_silent(echo: &Echo, part: &str) {
    assert!(matches!(echo, Echo::Silent(why) if why.contains(part)), "{echo:?}");
}

/// What becomes of a service whose server was pinged so, while its job says that it listens.
fn reach(echo: &Echo) -> Reach {
    let mut service = sample_service(1, "web");
    let job = Job { run: Some(run(place(8000))), ..Job::accepted(JobId::new("7")) };
    service.life.phase = Phase::Live { stage: Stage::Unhealthy, job };
    service.life.ping = Some(PingRecord { at: Timestamp::from_secs(1), echo: echo.clone(), counted: false });
    FarEnd::of(&service).reach
}

fn run(place: Place) -> Run {
    let at = Timestamp::from_secs(0);
    Run {
        mark: None,
        since: at,
        before: Duration::ZERO,
        verified_at: Some(at),
        ends_at: None,
        place: Some(place),
    }
}

fn assert_no_route(echo: &Echo, part: &str) {
    assert!(matches!(echo, Echo::NoRoute(why) if why.contains(part)), "{echo:?}");
}

#[tokio::test]
async fn a_server_is_judged_by_what_it_answers() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let probe = probe();
    for (answer, silence) in [
        (ok("fine"), None),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), None),
        (
            "HTTP/1.1 503 Loading\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Some(("503", Reach::HttpError(503))),
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Some(("302", Reach::HttpError(302))),
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), Some(("not HTTP", Reach::NotHttp))),
        (String::new(), Some(("closed without an answer", Reach::Closes))),
    ] {
        let web = Web::saying(answer.clone()).await;
        let direct = Tunnel { host: "127.0.0.1".into(), port: web.port, place: web.place(), handle: None };
        for tunnel in [open(&master, &web.place()).await, direct] {
            let echo = probe.ping(&tunnel, "/health?x=1", &Ready::default()).await;
            match silence {
                None => assert_eq!(echo, Echo::Answered, "{answer:?}"),
                Some((part, far)) => {
                    assert_silent(&echo, part);
                    assert_eq!(reach(&echo), far, "{echo:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_service_may_have_its_answers_judged_otherwise() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let statuses = Ready { status: vec!["2xx".parse().unwrap(), "429".parse().unwrap()], ..Ready::default() };
    let header = HeaderTest { name: "X-Ready".into(), value: Some("yes".into()) };
    let header = Ready { header: Some(header), ..Ready::default() };
    let json = JsonTest { pointer: "/state".into(), equals: Some("up".into()) };
    let json = Ready { json: Some(json), ..Ready::default() };
    let long = format!("{{\"state\": \"up\", \"more\": \"{}\"}}", "x".repeat(2 << 20));
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"state\": \"up\"}";
    for (ready, answer, silence) in [
        (&statuses, "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n".to_owned(), None),
        (&statuses, "HTTP/1.1 503 Loading\r\nContent-Length: 0\r\n\r\n".to_owned(), Some("HTTP status 503")),
        (&header, "HTTP/1.1 200 OK\r\nx-ready: yes\r\nContent-Length: 0\r\n\r\n".to_owned(), None),
        (&header, ok(""), Some("no header X-Ready")),
        (&json, ok("{\"state\": \"up\"}"), None),
        (&json, ok("{\"state\": \"loading\"}"), Some("/state is not \"up\"")),
        (&json, ok("fine"), Some("not JSON")),
        (&json, ok(&long), Some("could not be read")),
        (&json, cut.to_owned(), Some("could not be read")),
        (&json, "HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n".to_owned(), Some("HTTP status 503")),
    ] {
        let web = Web::saying(answer.clone()).await;
        let direct = Tunnel { host: "127.0.0.1".into(), port: web.port, place: web.place(), handle: None };
        for tunnel in [open(&master, &web.place()).await, direct] {
            let echo = probe().ping(&tunnel, "/", ready).await;
            match silence {
                None => assert_eq!(echo, Echo::Answered, "{answer:.60}"),
                Some(part) => {
                    assert_silent(&echo, part);
                    let status =
                        if part.starts_with("HTTP") { Reach::HttpError(503) } else { Reach::NotReady };
                    assert_eq!(reach(&echo), status, "{echo:?}");
                }
            }
        }
    }
    let slow = Web::streaming(1000, Duration::from_millis(100)).await;
    let direct = Tunnel { host: "127.0.0.1".into(), port: slow.port, place: slow.place(), handle: None };
    assert_silent(&probe().ping(&direct, "/", &json).await, "no answer within 2 s");
    assert_eq!(probe().ping(&direct, "/", &statuses).await, Echo::Answered, "its body is not waited for");
}

#[tokio::test]
async fn a_place_where_nothing_listens_is_silent() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let probe = probe();
    let dead = place(free_port());
    let tunnel = open(&master, &dead).await;
    let direct = Tunnel { host: "127.0.0.1".into(), port: dead.port, place: dead, handle: None };
    for tunnel in [tunnel, direct] {
        let echo = probe.ping(&tunnel, "/", &Ready::default()).await;
        assert_silent(&echo, "refused");
        assert_eq!(reach(&echo), Reach::NothingListens);
    }
}

#[tokio::test]
async fn causes_of_many_pings_at_once_are_not_mixed_up() {
    let Some(sshd) = Sshd::start_with("PermitOpen 127.0.0.1:*") else { return };
    let master = sshd.master();
    let probe = probe();
    let dead = open(&master, &place(free_port())).await;
    let prohibited = open(&master, &Place { host: "127.0.0.2".into(), ..place(80) }).await;
    let pings = (0..40).map(|n| {
        let (probe, tunnel) = (&probe, if n % 2 == 0 { &dead } else { &prohibited });
        async move { (n, probe.ping(tunnel, "/", &Ready::default()).await) }
    });
    for (n, echo) in futures_util::future::join_all(pings).await {
        if n % 2 == 0 {
            assert_silent(&echo, "refused");
        } else {
            assert_no_route(&echo, "administratively prohibited");
        }
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_there_is_no_route() {
    let Some(sshd) = Sshd::start() else { return };
    let tunnel = open(&sshd.master(), &Place { host: "nosuch.invalid".into(), ..place(80) }).await;
    let echo = HttpProbe::new(Duration::from_secs(20)).ping(&tunnel, "/", &Ready::default()).await;
    assert_no_route(&echo, "nosuch.invalid:80 cannot be reached from the ssh host");
    assert_eq!(reach(&echo), Reach::NameUnresolved, "{echo:?}");
}

#[tokio::test]
async fn a_prohibited_forward_is_no_route() {
    for setting in [
        "AllowTcpForwarding no",
        "AllowTcpForwarding remote",
        "PermitOpen 127.0.0.1:1",
        "DisableForwarding yes",
    ] {
        let Some(sshd) = Sshd::start_with(setting) else { return };
        let web = Web::saying(ok("fine")).await;
        let tunnel = open(&sshd.master(), &web.place()).await;
        let echo = probe().ping(&tunnel, "/", &Ready::default()).await;
        assert_no_route(&echo, "administratively prohibited");
        assert_eq!(reach(&echo), Reach::ForwardingProhibited, "{setting}");
    }
}

#[tokio::test]
async fn silence_counts_only_while_the_way_works() {
    let Some(sshd) = Sshd::start() else { return };
    let web = Web::silent().await;
    let tunnel = open(&sshd.master(), &web.place()).await;
    let probe = HttpProbe::new(Duration::from_millis(500));
    let echo = probe.ping(&tunnel, "/", &Ready::default()).await;
    assert_silent(&echo, "no answer within");
    assert_eq!(reach(&echo), Reach::Hangs);
    sshd.freeze(true);
    let echo = probe.ping(&tunnel, "/", &Ready::default()).await;
    sshd.freeze(false);
    assert_no_route(&echo, "the ssh host does not answer");
    assert_eq!(reach(&echo), Reach::NoWay);
}

#[tokio::test]
async fn a_port_taken_over_never_makes_a_dead_tunnel_answer() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let web = Web::saying(ok("fine")).await;
    let tunnel = open(&master, &web.place()).await;
    assert_eq!(probe().ping(&tunnel, "/", &Ready::default()).await, Echo::Answered);
    signal_process("-KILL", master.pid().await.unwrap().unwrap());
    crate::harness::eventually("the master is gone", async || master.pid().await.unwrap().is_none()).await;
    assert_no_route(&probe().ping(&tunnel, "/", &Ready::default()).await, "no ssh master");
    let web = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, tunnel.port)).await.unwrap();
    assert_no_route(&probe().ping(&tunnel, "/", &Ready::default()).await, "no ssh master");
    drop(web);
}

#[tokio::test]
async fn a_closed_tunnel_is_no_route() {
    let Some(sshd) = Sshd::start() else { return };
    let master = sshd.master();
    let web = Web::saying(ok("fine")).await;
    let tunnel = open(&master, &web.place()).await;
    SshTunnels::new(Arc::clone(&master)).close(&tunnel).await.unwrap();
    assert_no_route(&probe().ping(&tunnel, "/", &Ready::default()).await, "local port");
}

#[tokio::test]
async fn directly_silence_and_unreachability_are_told_apart() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let at = |host: &str| Tunnel { host: host.into(), port, place: place(port), handle: None };
    let probe = HttpProbe::new(Duration::from_millis(300));
    assert_silent(&probe.ping(&at("127.0.0.1"), "/", &Ready::default()).await, "no answer within 0.3 s");
    assert_no_route(&probe.ping(&at("nosuch.invalid"), "/", &Ready::default()).await, "no connection");
    assert_no_route(&probe.ping(&at("127.0.0.1"), "no path", &Ready::default()).await, "no path for a GET");
    let odd = Tunnel { handle: Some("{}".into()), ..at("127.0.0.1") };
    assert_no_route(&probe.ping(&odd, "/", &Ready::default()).await, "handle cannot be read");
}
