//! Killed, or cut off, at every named point: one job or none, the right status, and nothing forgotten.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Host, Lab, Relay, Running, SOON, eventually, get, on};

const ALICE: Host = on("login").as_("alice");

/// Cases at a time: they mostly wait.
const AT_ONCE: usize = 10;

/// Plays those cases alone in whose text this is, for who looks for an error: `TOWLINE_TEST_CASES='"id-kept", Reset'`.
const ONLY: &str = "TOWLINE_TEST_CASES";

/// How long a command may take whose connection was lost: ssh notices it after 9 s, and goes on.
const LOST: Duration = Duration::from_secs(180);

/// A settling time that can be waited for, where nothing was sent.
const SETTLES_SOON: (&str, &str) = ("TOWLINE_SETTLE_SECONDS", "3");

const RUN: [&str; 13] = [
    "run",
    "--profile",
    "lab",
    "--name",
    "web",
    "--health",
    "/",
    "--",
    "python3",
    "-u",
    "-m",
    "http.server",
    "{port}",
];
const STOP: [&str; 2] = ["stop", "web"];

/// What ends while a script of the cluster is held at a step.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The process.
    Kill,
    /// The process, and before the script goes on the service is stopped.
    KillAndStop,
    /// The session on the login host.
    Session,
    /// The connection, by a reset.
    Reset,
    /// The connection, without a word: the reply is dropped.
    Lost,
}

const WAYS: [Way; 5] = [Way::Lost, Way::Kill, Way::KillAndStop, Way::Session, Way::Reset];

#[derive(Clone, Debug)]
enum Case {
    /// The process kills itself at the point.
    Crash(String),
    /// A script is held at the step, and something ends.
    Held(String, Way),
}

impl Case {
    /// The point as the program lists it.
    fn point(&self) -> String {
        match self {
            Self::Crash(point) => format!("TOWLINE_CRASH_AT={point}\n"),
            Self::Held(step, _) => format!("TOWLINE_HOLD_AT={step}\n"),
        }
    }
}

/// The points as the program itself lists them, so that none can be forgotten.
fn cases() -> VecDeque<Case> {
    let listed = Lab::new().towline(&["crash-points"]).ok();
    let (mut local, mut remote) = (Vec::new(), Vec::new());
    for line in listed.lines() {
        match line.split_once('=').unwrap() {
            ("TOWLINE_CRASH_AT", point) => local.push(point.to_owned()),
            ("TOWLINE_HOLD_AT", step) => remote.push(step.to_owned()),
            other => panic!("{other:?}"),
        }
    }
    assert!(!local.is_empty() && !remote.is_empty(), "{listed}");
    // The longest come first.
    let held = WAYS.iter().flat_map(|way| remote.iter().map(|step| Case::Held(step.clone(), *way)));
    held.chain(local.into_iter().map(Case::Crash)).collect()
}

#[test]
fn every_crash_point_leaves_one_job_or_none() {
    let mut cases = cases();
    if let Ok(wanted) = std::env::var(ONLY) {
        cases.retain(|case| format!("{case:?}").contains(&wanted));
    }
    let all = cases.len();
    assert!(all > 0, "no case has the text of {ONLY}");
    let local = cases.iter().filter(|case| matches!(case, Case::Crash(_))).count();
    let (cases, failed, exercised) = (Mutex::new(cases), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().unwrap().pop_front() } {
                    match catch_unwind(AssertUnwindSafe(|| play(&case))) {
                        Ok(()) => exercised.lock().unwrap().push(case.point()),
                        Err(_) => failed.lock().unwrap().push(case),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!(
        "crash points: {} of {all} cases ({local} on this machine, {} on the cluster)",
        all - failed.len(),
        all - local
    );
    assert!(failed.is_empty(), "{failed:#?}");
    if std::env::var_os(ONLY).is_none() {
        let lab = Lab::new();
        let list = lab.path("exercised");
        std::fs::write(&list, exercised.into_inner().unwrap().concat()).unwrap();
        print!("{}", lab.towline(&["crash-points", "--count", list.to_str().unwrap()]).ok());
    }
}

/// Killed before anything is sent, with the terms that users have.
#[test]
#[ignore = "waits for the whole settling time of five minutes"]
fn a_submission_that_never_was_is_made_again_once_it_is_settled() {
    let lab = Lab::new();
    let killed = [("TOWLINE_CRASH_AT", "after:submission-announced")];
    assert_eq!(lab.start_with(&killed, &RUN).finish(SOON).code, 137);
    lab.towline(&["wait", "web", "--timeout", "60"]).code(124).says(&["is being settled"]);
    assert!(lab.jobs().is_empty(), "{:?}", lab.jobs());
    lab.start(&["wait", "web", "--timeout", "400"]).finish(Duration::from_secs(420)).ok();
    assert_taken_up(&lab, false);
}

#[test]
fn an_unknown_point_is_an_error() {
    let lab = Lab::new();
    for variable in ["TOWLINE_CRASH_AT", "TOWLINE_HOLD_AT", "TOWLINE_SETTLE_SECONDS"] {
        let listed = lab.start_with(&[(variable, "nowhere")], &["ls"]).finish(SOON);
        listed.fails(2, &[variable, "\"nowhere\" is unknown"]);
    }
}

fn play(case: &Case) {
    match case {
        Case::Crash(point) => crash(point),
        Case::Held(step, way) => hold(step, *way),
    }
}

/// Runs a service and stops it again, until the process dies at `point`.
fn crash(point: &str) {
    let lab = Lab::new();
    let variables = [("TOWLINE_CRASH_AT", point), SETTLES_SOON];
    let run = lab.start_with(&variables, &RUN).finish(LOST);
    if run.code == 137 {
        return assert_taken_up(&lab, point == "before:intent-saved");
    }
    run.ok();
    let stop = lab.start_with(&variables, &STOP).finish(LOST);
    assert_eq!(stop.code, 137, "{point} was never reached: {stop:?}");
    if point == "before:stop-wish-recorded" {
        return assert_taken_up(&lab, false);
    }
    assert_stopped(&lab);
}

/// Runs a service and stops it again, until a script is held at `step`; ends something, and lets the script go on.
fn hold(step: &str, way: Way) {
    let relay = Relay::to_login();
    let lab = Lab::behind(&relay);
    let held = format!("{}/held", lab.remote_name());
    let variables = [("TOWLINE_HOLD_AT", step)];
    let mut command = lab.start_with(&variables, &RUN);
    let stops = !comes_to_hold(&mut command, &held);
    if stops {
        command.finish(SOON).ok();
        command = lab.start_with(&variables, &STOP);
        assert!(comes_to_hold(&mut command, &held), "{step} was never reached: {:?}", command.finish(SOON));
    }
    match way {
        Way::Kill | Way::KillAndStop => command.signal(Signal::KILL),
        Way::Session => kill_sessions(&relay),
        Way::Reset => relay.reset(),
        Way::Lost => relay.lose(),
    }
    if matches!(way, Way::Kill | Way::KillAndStop) {
        let is_unsettled = look(&lab).is_some_and(|service| service["job_id"].is_null());
        if matches!(way, Way::KillAndStop) {
            let wished = lab.towline(&["stop", "web", "--no-wait"]).code(0);
            assert_eq!(wished.stderr.contains("is being settled"), is_unsettled, "{wished:?}");
        }
    }
    ALICE.run(&["rm", &held]).ok();
    let ended = command.finish(LOST);
    match way {
        Way::Kill | Way::KillAndStop => assert_eq!(ended.code, 137, "{ended:?}"),
        // Whose patience ends before the connection is given up says that it is not done yet.
        Way::Lost if stops => assert!([0, 6].contains(&ended.code), "{ended:?}"),
        Way::Session | Way::Reset | Way::Lost => assert_eq!(ended.code, 0, "{ended:?}"),
    }
    if stops || matches!(way, Way::KillAndStop) { assert_stopped(&lab) } else { assert_taken_up(&lab, false) }
}

/// Waits until a script is held, or the command has ended without that.
fn comes_to_hold(command: &mut Running, held: &str) -> bool {
    eventually("a script that is held", LOST, || {
        let over = command.is_over();
        let is_held = ALICE.run(&["test", "-e", held]).code == 0;
        (is_held || over).then_some(is_held)
    })
}

/// Kills what serves the connections of a relay on the login host.
fn kill_sessions(relay: &Relay) {
    for port in relay.far_ports() {
        let text = r#"pids=$(ss -Htnp "sport = :22 and dport = :$1" | grep -o 'pid=[0-9]*' | cut -d= -f2)
            [ -n "$pids" ] && kill -KILL $pids"#;
        on("login").run(&["bash", "-c", text, "kill", &port.to_string()]).ok();
    }
}

/// What is known without doubt at any moment, as `ls` tells it: one service at most and one job at most, which is its
/// own; a service whose submission is settled says so.
fn look(lab: &Lab) -> Option<Value> {
    let listed = lab.towline(&["ls", "--json"]).json();
    let services = listed.as_array().unwrap();
    assert!(services.len() <= 1, "{listed}");
    let service = services.first()?.clone();
    let jobs: Vec<String> = lab.jobs().into_keys().collect();
    let (status, why) = (service["status"].as_str().unwrap(), service["why"].as_str().unwrap());
    match service["job_id"].as_str() {
        Some(job) => assert_eq!(jobs, [job], "{service}"),
        None => {
            assert_eq!(status, "SUBMITTED", "{service}");
            assert!(why.contains("is being settled") || why.contains("its answer is awaited"), "{service}");
            assert!(jobs.len() <= 1, "{jobs:?} {service}");
        }
    }
    Some(service)
}

/// The next commands take up what was begun, with one job; and they end it.
#[track_caller]
fn assert_taken_up(lab: &Lab, is_nothing: bool) {
    let looks = [look(lab), look(lab)];
    if is_nothing {
        assert_eq!(looks, [None, None]);
        assert!(lab.jobs().is_empty(), "{:?}", lab.jobs());
        lab.towline(&STOP).fails(4, &["web"]);
        return;
    }
    lab.towline(&["wait", "web", "--timeout", "90"]).code(0);
    let service = look(lab).unwrap();
    assert_eq!(service["status"], "HEALTHY", "{service}");
    let url = service["url"].as_str().unwrap();
    assert_eq!(get(&format!("{url}/")).unwrap().status, 200);
    let port: u16 = url.rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(lab.forwarded_ports(), [port], "no forward but the ledger's");
    assert_eq!(lab.jobs().len(), 1, "{:?}", lab.jobs());
    lab.towline(&STOP).code(0);
    assert_stopped(lab);
}

/// Once the next commands have looked, the service is STOPPED, and nothing of it is left.
#[track_caller]
fn assert_stopped(lab: &Lab) {
    let service = eventually("the end", SOON, || {
        look(lab);
        let service = lab.towline(&["show", "web", "--no-refresh", "--json"]).json();
        (service["status"] == "STOPPED").then_some(service)
    });
    assert_eq!(service["cause"], "stopped on request", "{service}");
    lab.towline(&["ls"]).code(0);
    assert_eq!(lab.forwarded_ports(), Vec::<u16>::new(), "no forward is left");
    assert_eq!(lab.living_jobs(), Vec::<String>::new(), "no job is left");
    assert!(lab.jobs().len() <= 1, "{:?}", lab.jobs());
    lab.towline(&STOP).code(0).says(&["ended as STOPPED"]);
}
