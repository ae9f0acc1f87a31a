//! What the far end of a tunnel is said to be like, by the words of pings. That these are the probe's own words is tested
//! where the probe is.

use towline_core::job::{JobState, Place};
use towline_core::lifecycle::{Echo, Job, Phase, PingRecord, Stage, Tunnel, TunnelRecord};
use towline_core::service::Service;
use towline_core::why::{Evidence, FarEnd, Outlook, Reach};

use crate::support::{NOW, ago, assert_says, at, job, running, unhealthy, why};

fn reached() -> Evidence {
    Evidence { reached: Some(true), ..Evidence::default() }
}

fn far(echo: Echo) -> FarEnd {
    FarEnd::of(&unhealthy(echo))
}

fn change_place(service: &mut Service, change: impl FnOnce(&mut Place)) {
    let Phase::Live { job, .. } = &mut service.life.phase else { panic!("it lives") };
    let Some(place) = job.run.as_mut().and_then(|run| run.place.as_mut()) else { panic!("it has a place") };
    change(place);
}

fn tunnel_to(host: &str) -> TunnelRecord {
    let place = Place { host: host.into(), port: 4711, pid: 9, listening: true, loopback: false };
    let tunnel = Tunnel { host: "127.0.0.1".into(), port: 20_001, place, handle: Some("{}".into()) };
    TunnelRecord { tunnel, checked_at: ago(3) }
}

#[test]
fn what_a_ping_found_is_told_apart_with_what_to_do() {
    let silent = |what: &str| Echo::Silent(what.into());
    let no_route = |what: &str| Echo::NoRoute(what.into());
    let from_login = |what: &str| no_route(&format!("c1:4711 cannot be reached from the ssh host: {what}"));
    let cases = [
        (silent("HTTP status 404"), Reach::HttpError(404), "towline logs web`; if it has no path /health"),
        (silent("HTTP status 500"), Reach::HttpError(500), "towline logs web`"),
        (silent("c1:4711 refused the connection"), Reach::NothingListens, "towline logs web`"),
        (silent("no answer within 5 s"), Reach::Hangs, "towline logs web`"),
        (silent("the connection was closed without an answer: x"), Reach::Closes, "towline logs web`"),
        (silent("not ready: /state is not \"up\""), Reach::NotReady, "towline logs web`"),
        (silent("the answer is not HTTP: invalid HTTP version parsed"), Reach::NotHttp, "towline logs web`"),
        (
            from_login("administratively prohibited: open failed"),
            Reach::ForwardingProhibited,
            "via = \"node\"",
        ),
        (
            from_login("connect failed: Name or service not known"),
            Reach::NameUnresolved,
            "another login host",
        ),
        (
            from_login("connect failed: Temporary failure in name resolution"),
            Reach::NameUnresolved,
            "another login host",
        ),
        (from_login("connect failed: No route to host"), Reach::NodeUnreachable, "wait; if its node is down"),
        (
            no_route("failed to reach the cluster for a tunnel: failed to log in to node c1: x"),
            Reach::NodeRefuses,
            "`towline tunnel open web`",
        ),
        (no_route("no ssh master answers"), Reach::NoWay, "towline doctor --profile"),
    ];
    let mut words = std::collections::BTreeSet::new();
    for (echo, reach, advice) in cases {
        let told = far(echo.clone());
        assert_eq!(told.reach, reach, "{echo:?}");
        assert_says(&told.advice.clone().unwrap(), &[advice]);
        assert_eq!((told.at, told.is_broken()), (Some(ago(2)), true));
        words.insert(reach.as_str());

        let told = why(&unhealthy(echo), &reached());
        assert_says(&told.advice, &[advice]);
    }
    assert_eq!(words.len(), 11, "each has a word of its own: {words:?}");
}

#[test]
fn a_node_that_prohibits_forwarding_is_not_taken_for_the_login_host() {
    let told =
        far(Echo::NoRoute("c1:4711 cannot be reached from node c1: administratively prohibited: x".into()));
    assert_eq!(told.reach, Reach::ForwardingProhibited);
    assert_says(&told.text, &["the node forwards no connection"]);
    assert!(!told.advice.unwrap().contains("via = "));
}

#[test]
fn a_server_that_the_job_has_not_told_of_does_not_listen_yet() {
    let mut service = at(Stage::Starting, running());
    change_place(&mut service, |place| place.listening = false);
    for echo in [Echo::Silent("c1:4711 refused the connection".into()), Echo::Answered] {
        service.life.ping = Some(PingRecord { at: ago(1), echo, counted: false });
        assert_eq!(FarEnd::of(&service).reach, Reach::NotListeningYet);
    }
    let Phase::Live { job, .. } = &mut service.life.phase else { panic!("it lives") };
    job.run.as_mut().unwrap().place = None;
    service.life.ping = None;
    let told = FarEnd::of(&service);
    assert_eq!(
        (told.reach, told.text.as_str()),
        (Reach::NotListeningYet, "the job has not told where its server listens")
    );
    assert_eq!(FarEnd::of(&at(Stage::Starting, running())).reach, Reach::NotAsked);
}

#[test]
fn a_server_on_the_loopback_of_its_node_is_said_to_be_there() {
    let mut service = unhealthy(Echo::Silent("c1:4711 refused the connection".into()));
    change_place(&mut service, |place| place.loopback = true);
    let told = FarEnd::of(&service);
    assert_eq!(told.reach, Reach::LoopbackOnly);
    assert_says(&told.advice.unwrap(), &["0.0.0.0", "via = \"node\""]);
}

#[test]
fn a_tunnel_that_still_leads_to_the_former_node_is_wrong_whatever_the_last_ping_said() {
    let mut service = unhealthy(Echo::NoRoute("no ssh master answers".into()));
    service.life.tunnel = Some(tunnel_to("c2"));
    let told = FarEnd::of(&service);
    assert_eq!(
        (told.reach, told.text.as_str()),
        (Reach::WrongNode, "the tunnel leads to c2, and the job runs on c1")
    );
    assert_says(&told.advice.unwrap(), &["towline refresh web"]);
    assert_says(&why(&service, &reached()).sentence, &["the tunnel leads to c2, and the job runs on c1"]);

    let without_place = Job { node: Some("c3".into()), ..job(JobState::Running, "RUNNING") };
    let mut service = at(Stage::Unhealthy, without_place);
    service.life.tunnel = Some(tunnel_to("c2"));
    assert_says(&FarEnd::of(&service).text, &["leads to c2, and the job runs on c3"]);
    service.life.tunnel = Some(tunnel_to("c3"));
    assert_eq!(FarEnd::of(&service).reach, Reach::NotListeningYet);
}

#[test]
fn a_place_on_another_node_than_the_job_s_is_wrong_once_it_refuses() {
    let told = |host: &str| {
        let mut service = unhealthy(Echo::Silent("it refused the connection".into()));
        change_place(&mut service, |place| place.host = host.into());
        FarEnd::of(&service).reach
    };
    assert_eq!(told("c2"), Reach::WrongNode);
    for same in ["c1", "c1.cluster", "10.77.2.11", "fd00::1"] {
        assert_eq!(told(same), Reach::NothingListens, "{same}");
    }
}

#[test]
fn what_answers_is_not_broken() {
    let mut service = at(Stage::Healthy, running());
    service.life.ping = Some(PingRecord { at: NOW, echo: Echo::Answered, counted: true });
    let told = FarEnd::of(&service);
    assert_eq!((told.reach, told.is_broken(), told.advice), (Reach::Answers, false, None));
    assert_eq!(FarEnd::of(&unhealthy(Echo::Answered)).reach, Reach::Unconfirmed);
    let submitted = towline_core::testing::sample_service(1, "web");
    assert_eq!(FarEnd::of(&submitted).reach, Reach::NotAsked);
}

#[test]
fn a_way_that_only_a_person_can_mend_blocks_a_start() {
    let mut service = at(Stage::Starting, running());
    let mut told = |why_not: &str| {
        let echo = Echo::NoRoute(why_not.into());
        service.life.ping = Some(PingRecord { at: ago(1), echo, counted: false });
        why(&service, &reached())
    };
    let prohibited = told("c1:4711 cannot be reached from the ssh host: administratively prohibited: x");
    assert_says(
        &prohibited.sentence,
        &["job 7 runs on c1 for 100 s, and the login host forwards no connection"],
    );
    assert_says(&prohibited.advice, &["via = \"node\""]);
    assert_eq!(prohibited.outlook, Outlook::Blocked);
    assert_eq!(told("no ssh master answers").outlook, Outlook::Waits);
}
