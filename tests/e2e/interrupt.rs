//! Commands that are interrupted, killed, or not listened to.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Lab, Running, SOON, eventually};

const SLEEP: [&str; 3] = ["--", "sleep", "600"];

#[test]
fn ctrl_c_leaves_the_service_and_says_so() {
    let lab = Lab::new();
    let run = lab.start(&[&["run", "--profile", "lab", "--name", "web"][..], &SLEEP].concat());
    eventually("the start", SOON, || run.stderr().contains("STARTING").then_some(()));
    run.signal(Signal::INT);
    let hint = "hint: `towline wait web` goes on waiting, `towline stop web` ends it";
    run.finish(SOON).fails(130, &["interrupted: service web is STARTING and is left as it is", hint]);
    assert_eq!(lab.show("web")["status"], "STARTING");
    assert_eq!(lab.living_jobs().len(), 1);

    let stop = lab.start(&["stop", "web", "--delay", "1h"]);
    eventually("the wish", SOON, || stop.stderr().contains("stop is recorded").then_some(()));
    stop.signal(Signal::INT);
    stop.finish(SOON).fails(130, &["the stop of service web is recorded"]);
    assert_eq!(lab.living_jobs().len(), 1);
}

#[test]
fn a_killed_run_is_found_again() {
    let lab = Lab::new();
    let server = ["--health", "/", "--", "python3", "-m", "http.server", "{port}"];
    let run = lab.start(&[&["run", "--profile", "lab", "--name", "web"][..], &server].concat());
    eventually("the job", SOON, || (!lab.living_jobs().is_empty()).then_some(()));
    run.signal(Signal::KILL);
    assert_eq!(run.finish(SOON).code, 137);
    let service = lab.wait_for("web", "HEALTHY", SOON);
    let job = service["job_id"].as_str().unwrap();
    assert_eq!(lab.living_jobs(), [job], "exactly one job");
    lab.run("web", &SLEEP).fails(7, &["web"]);
    assert_eq!(lab.living_jobs(), [job]);
}

/// Killed at any moment, a run leaves at most one job, and none that the ledger does not know.
#[test]
fn a_run_killed_at_any_moment_leaves_no_second_job() {
    let lab = Lab::new();
    lab.towline(&["doctor", "--profile", "lab"]).code(0);
    for step in 0..12 {
        let name = format!("k{step}");
        let run = lab.start(&[&["run", "--profile", "lab", "--name", &name][..], &SLEEP].concat());
        sleep(Duration::from_millis(10 * step));
        run.signal(Signal::KILL);
        run.finish(SOON);
    }
    let look = || {
        let listed = lab.towline(&["ls", "--json"]).json();
        let services = listed.as_array().unwrap().clone();
        let known: BTreeSet<String> =
            services.iter().filter_map(|service| Some(service["job_id"].as_str()?.to_owned())).collect();
        (services, known)
    };
    // A submission on its way when its command was killed still arrives, and is settled by those that follow.
    let (services, known) = eventually("ledger and queue agree", SOON, || {
        let (services, known) = look();
        let living: BTreeSet<String> = lab.living_jobs().into_iter().collect();
        (living == known).then_some((services, known))
    });
    let with_job = services.iter().filter(|service| service["job_id"].is_string()).count();
    assert_eq!(with_job, known.len(), "no job belongs to two services");
    assert!(!known.is_empty(), "some were submitted before they were killed: {services:?}");
    for service in services.iter().filter(|service| service["job_id"].is_null()) {
        assert_eq!(service["status"], "SUBMITTED", "{service}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lab = Lab::new();
    lab.run("web", &["--detach", "--sbatch-arg=--hold", "--", "true"]).ok();
    for words in
        ["ls", "ls --json", "show web", "events web", "man", "completion bash", "config show", "--help"]
    {
        let text = format!("set -o pipefail; \"$0\" {words} | true");
        let towline = lab.command();
        let mut command = Command::new("bash");
        command.args(["-c", &text]).arg(towline.get_program()).env_clear();
        command.envs(towline.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = Running::start(&mut command, b"").finish(SOON);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    }
}
