//! SUBMITTED to UNHEALTHY: what goes on, and where it breaks.

use std::time::Duration;

use towline_core::job::JobState;
use towline_core::lifecycle::{Absence, Doubt, Echo, Job, Phase, PingRecord, Run, Stage, StopWish};
use towline_core::testing::sample_service;
use towline_core::why::{Evidence, Outlook, Topic};

use crate::support::{NOW, ago, assert_says, at, doubt, job, log, on, running, unhealthy, waiting, why};

fn reached() -> Evidence {
    Evidence { reached: Some(true), ..Evidence::default() }
}

fn unreached() -> Evidence {
    Evidence { reached: Some(false), ..Evidence::default() }
}

#[test]
fn a_submission_that_is_being_settled_says_so_and_for_how_long() {
    let mut service = sample_service(1, "web");
    service.life.phase = Phase::Sending { since: ago(200) };
    service.life.absence = Some(Absence { since: ago(100), told_since: None });
    service.life.terms.settle = Duration::from_secs(300);
    let told = why(&service, &reached());
    assert_says(
        &told.sentence,
        &["is being submitted", "its answer has not come", "none is submitted again before"],
    );
    assert_says(&told.advice, &["for 3 min more", "towline stop web", "cancels whatever appears"]);
    assert_eq!(told.outlook, Outlook::Waits);
    service.life.phase = Phase::Intent;
    assert_says(&why(&service, &reached()).sentence, &["nothing is sent to the scheduler yet"]);
    let accepted = at(Stage::Accepted, Job { state: None, ..job(JobState::Queued, "x") });
    assert_says(&why(&accepted, &reached()).sentence, &["accepted as job 7", "not seen in the queue yet"]);
}

#[test]
fn a_start_is_told_with_its_time_its_grace_and_its_log() {
    let mut service = at(Stage::Starting, running());
    service.life.terms.grace = Duration::from_secs(160);
    let told = why(&service, &log("loading shards 1/9\nloading shards 2/9\n"));
    assert_says(&told.sentence, &["job 7 runs on c1 for 100 s", "has not answered"]);
    assert_eq!(on(&told, Topic::Grace), Some("60 s left of 2 min"));
    assert_says(on(&told, Topic::Run).unwrap(), &["for 100 s"]);
    assert_eq!(told.log, ["loading shards 1/9", "loading shards 2/9"]);
    assert_eq!(on(&told, Topic::Port), Some("c1:4711"));
    service.life.terms.grace = Duration::from_secs(100);
    assert_says(on(&why(&service, &reached()), Topic::Grace).unwrap(), &["are over"]);
    let told = why(&service, &log("ModuleNotFoundError: No module named 'torch'"));
    assert!(told.sentence.ends_with("its server has not answered /health"), "{}", told.sentence);
    assert_says(
        &told.advice,
        &["towline logs -f web", "may matter, by which a Python module is missing", "--setup"],
    );
    assert_eq!(on(&told, Topic::Log), Some("ModuleNotFoundError: No module named 'torch'"));
}

#[test]
fn a_server_that_answers_with_another_status_is_said_to() {
    let mut service = at(Stage::Starting, running());
    let mut told = |status: &str| {
        let echo = Echo::Silent(format!("HTTP status {status}"));
        service.life.ping = Some(PingRecord { at: ago(2), echo, counted: true });
        why(&service, &log("cat: notes: No such file or directory"))
    };
    let missing = told("404");
    assert_says(
        &missing.sentence,
        &["its server answers /health with HTTP status 404, where only a 2xx counts"],
    );
    assert_says(&missing.advice, &["start it again with `--health PATH`"]);
    assert!(!missing.advice.contains("its path"), "the log is no cause: {}", missing.advice);
    assert_eq!(missing.outlook, Outlook::Blocked);
    let loading = told("503");
    // Of a server whose own statuses count, these are told.
    let mut choosy = at(Stage::Starting, running());
    choosy.life.ping =
        Some(PingRecord { at: ago(2), echo: Echo::Silent("HTTP status 404".into()), counted: true });
    std::sync::Arc::make_mut(&mut choosy.spec).ready.status =
        vec!["2xx".parse().unwrap(), "429".parse().unwrap()];
    assert_says(&why(&choosy, &log("")).sentence, &["where only a 2xx or 429 counts"]);
    assert_says(&loading.sentence, &["HTTP status 503"]);
    assert_says(&loading.advice, &["wait: many servers answer so while they load", "`--health PATH`"]);
    assert_eq!(loading.outlook, Outlook::Waits);

    let Phase::Live { job, .. } = &mut service.life.phase else { panic!("it starts") };
    job.run.as_mut().and_then(|run| run.place.as_mut()).unwrap().listening = false;
    let elsewhere = why(&service, &reached());
    assert_says(&elsewhere.sentence, &["its server has not answered /health"]);
}

#[test]
fn what_the_log_of_a_server_that_answered_once_says_is_not_its_cause() {
    let service = unhealthy(Echo::Silent("no answer within 5 s".into()));
    let told = why(&service, &log("ImportError: No module named 'flash_attn'"));
    assert_says(
        &told.advice,
        &["look at its log with `towline logs web`", "may matter", "if so, install it"],
    );
    assert!(!told.sentence.contains("module"), "{}", told.sentence);
    assert_eq!(on(&told, Topic::Log), Some("ImportError: No module named 'flash_attn'"));
    let no_route = unhealthy(Echo::NoRoute("no ssh master answers".into()));
    assert_eq!(on(&why(&no_route, &log("No module named x")), Topic::Log), None);
}

#[test]
fn nodes_that_are_not_ready_take_no_grace() {
    let told = why(&at(Stage::Starting, job(JobState::Configuring, "CONFIGURING")), &reached());
    assert_says(&told.sentence, &["job 7 is CONFIGURING", "its command does not run"]);
    assert_eq!(on(&told, Topic::Grace), None);
}

#[test]
fn what_is_healthy_needs_nothing() {
    let mut service = at(Stage::Healthy, running());
    service.life.ping = Some(PingRecord { at: ago(3), echo: Echo::Answered, counted: true });
    let told = why(&service, &reached());
    assert_says(&told.sentence, &["service web is healthy", "for 50 s"]);
    assert_eq!((told.outlook, on(&told, Topic::Http)), (Outlook::Fine, Some("answered 3 s ago")));
    assert_says(&told.advice, &["nothing needs to be done"]);
    assert_eq!(on(&told, Topic::Age), None);
}

/// The words are those of the probe and of the engine's doubts.
#[test]
fn the_first_link_that_breaks_is_named() {
    let silent = |what: &str| unhealthy(Echo::Silent(what.into()));
    let no_route = |what: &str| unhealthy(Echo::NoRoute(what.into()));
    let cases = [
        (silent("HTTP status 503"), "its server answers on c1:4711, but not with a 2xx: HTTP status 503"),
        (silent("c1:4711 refused the connection"), "nothing listens on c1:4711 any more"),
        (silent("no answer within 5 s"), "c1:4711 is reached, and no response comes: no answer within 5 s"),
        (
            no_route("c1:4711 cannot be reached from the ssh host: No route to host"),
            "c1:4711 cannot be reached from the ssh host: No route to host; its node is down* (Not responding)",
        ),
        (no_route("open failed: administratively prohibited"), "the login host forwards no connection"),
        (no_route("no ssh master answers"), "there is no way to c1:4711: no ssh master answers"),
        (unhealthy(Echo::Answered), "the scheduler has not confirmed the job lately"),
    ];
    let evidence = Evidence { node: Some("down* (Not responding)".into()), ..reached() };
    for (service, expected) in cases {
        let told = why(&service, &evidence);
        assert_says(&told.sentence, &["service web is unhealthy since", expected]);
        assert_eq!(on(&told, Topic::Node), Some("c1 is down* (Not responding)"));
        assert_eq!((on(&told, Topic::Login), told.outlook), (Some("the cluster answers"), Outlook::Blocked));
    }
    let gone = at(Stage::Unhealthy, job(JobState::Queued, "PENDING"));
    assert_says(&why(&gone, &evidence).sentence, &["job 7 is back in the queue"]);
    let still = Job { state: Some(JobState::Suspended), ..running() };
    assert_says(&why(&at(Stage::Unhealthy, still), &evidence).sentence, &["job 7 is suspended"]);
}

#[test]
fn a_cluster_out_of_reach_breaks_the_first_link_and_gives_ages() {
    let mut service = unhealthy(Echo::NoRoute("the ssh host does not answer".into()));
    service.life.doubt = doubt("failed to reach login: timed out");
    service.life.observed_at = Some(ago(90));
    let told = why(&service, &unreached());
    assert_says(&told.sentence, &["the cluster cannot be reached: failed to reach login: timed out"]);
    assert_says(&told.advice, &["towline doctor --profile"]);
    assert_says(on(&told, Topic::Age).unwrap(), &["last known 90 s ago"]);
    let mut waits = waiting("Resources");
    waits.life.observed_at = None;
    let told = why(&waits, &unreached());
    assert_says(&told.sentence, &["what it asks for is in use by other jobs"]);
    assert_eq!(on(&told, Topic::Age), Some("nothing of it was ever seen"));
    waits.life.doubt = doubt("the scheduler gave no answer");
    assert!(on(&why(&waits, &reached()), Topic::Age).is_some(), "a doubt makes what is known old");
}

#[test]
fn a_doubt_is_told_at_every_stage() {
    let mut lives =
        [waiting("Resources"), at(Stage::Starting, running()), at(Stage::Healthy, running())].to_vec();
    lives.push(at(Stage::Accepted, Job { state: None, ..job(JobState::Queued, "x") }));
    lives.push(unhealthy(Echo::Silent("HTTP status 503".into())));
    lives.push(at(Stage::Starting, job(JobState::Configuring, "CONFIGURING")));
    let mut sending = sample_service(1, "web");
    sending.life.phase = Phase::Sending { since: ago(200) };
    lives.push(sending);
    for mut service in lives {
        assert_eq!(on(&why(&service, &reached()), Topic::Doubt), None);
        service.life.doubt = doubt("squeue timed out");
        let told = why(&service, &reached());
        let text = on(&told, Topic::Doubt).unwrap();
        assert_says(text, &["no news since 1970-01-12T13:46:10Z: squeue timed out; the next try is in "]);
        // The next look may try it at once.
        service.life.doubt.as_mut().unwrap().last = ago(100);
        let told = why(&service, &reached());
        assert_eq!(on(&told, Topic::Doubt), Some("no news since 1970-01-12T13:46:10Z: squeue timed out"));
    }
}

#[test]
fn answers_that_miss_the_job_are_told() {
    let mut service = at(Stage::Unhealthy, running());
    service.life.absence = Some(Absence { since: ago(100), told_since: None });
    service.life.looked_at = Some(ago(1));
    let told = why(&service, &reached());
    assert_says(on(&told, Topic::Doubt).unwrap(), &["neither queue nor accounting lists job 7"]);
    assert!(on(&told, Topic::Age).is_some());
}

#[test]
fn people_are_told_whole_seconds() {
    let odd = |secs| ago(secs).plus(Duration::from_micros(243_021));
    let mut service = unhealthy(Echo::Silent("HTTP status 503".into()));
    service.life.since = odd(50);
    service.life.ping.as_mut().unwrap().at = odd(3);
    service.life.observed_at = Some(odd(9));
    service.life.doubt = doubt("squeue timed out").map(|doubt| Doubt { since: odd(30), ..doubt });
    let status = towline_core::lifecycle::EndStatus::Stopped;
    service.life.stop =
        Some(StopWish { asked_at: odd(5), due: odd(4), status, cancelled_at: None, failed: None });
    let mut healthy = service.clone();
    let run = Run { since: odd(100), ..running().run.unwrap() };
    healthy.life.phase =
        Phase::Live { stage: Stage::Healthy, job: Job { run: Some(run.clone()), ..running() } };
    let mut starting = healthy.clone();
    starting.life.phase = Phase::Live { stage: Stage::Starting, job: Job { run: Some(run), ..running() } };
    starting.life.stop.as_mut().unwrap().cancelled_at = Some(odd(3));
    starting.life.ping.as_mut().unwrap().echo = Echo::Answered;
    let mut missed = starting.clone();
    (missed.life.doubt, missed.life.absence) = (None, Some(Absence { since: odd(9), told_since: None }));
    for service in [service, healthy, starting, missed] {
        let text = format!("{:?}", why(&service, &reached()));
        assert!(text.contains("1970-01-12") && !text.contains("243"), "{text}");
    }
    let evidence = Evidence { starts_at: Some(NOW.plus(Duration::from_micros(60_243_021))), ..reached() };
    let text = format!("{:?}", why(&waiting("Resources"), &evidence));
    assert!(text.contains("in 60 s, at 1970-01-12T13:47:40Z"), "{text}");
}

#[test]
fn a_stop_that_was_asked_for_is_told() {
    let mut service = waiting("Resources");
    let status = towline_core::lifecycle::EndStatus::Stopped;
    service.life.stop =
        Some(StopWish { asked_at: ago(5), due: NOW, status, cancelled_at: None, failed: None });
    assert_says(on(&why(&service, &reached()), Topic::Stop).unwrap(), &["asked for at", "due at"]);
    service.life.stop.as_mut().unwrap().failed = doubt("scancel did not answer");
    assert_says(
        on(&why(&service, &reached()), Topic::Stop).unwrap(),
        &["does not get through: scancel did not"],
    );
}
