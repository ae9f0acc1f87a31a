//! Commands that never become a healthy service: how they end, and what is said about it.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Host, Lab, Running, SOON, cluster_script, eventually, get, on};

const ALICE: Host = on("login").as_("alice");

/// All jobs have ended: what a spent grace period owes is done at once or by the next command.
#[track_caller]
fn assert_no_jobs(lab: &Lab) {
    eventually("the end of all jobs", SOON, || {
        lab.towline(&["ls"]).ok();
        lab.living_jobs().is_empty().then_some(())
    });
}

#[track_caller]
fn assert_ended(lab: &Lab, status: &str, cause: &str) {
    let service = lab.show("web");
    assert_eq!(service["status"], status, "{service}");
    assert!(service["cause"].as_str().is_some_and(|told| told.contains(cause)), "{cause}: {service}");
    assert!(service["url"].is_null() && service["ended_at"].is_string(), "{service}");
    assert_eq!(lab.towline(&["ls", "--json"]).json(), serde_json::json!([]));
}

#[test]
fn a_command_that_does_not_exist() {
    let lab = Lab::new();
    let run = lab.run("web", &["--", "no-such-program", "--port", "{port}"]);
    let run = run.fails(8, &["service web ended as FAILED", "the end of its log:", "  | "]);
    let line = run.stderr.lines().find(|line| line.contains("no-such-program"));
    assert!(line.is_some_and(|line| line.starts_with("  | ") && line.contains("not found")), "{run:?}");
    assert_ended(&lab, "FAILED", "exit code 127");
    assert_no_jobs(&lab);
}

#[test]
fn a_command_that_ends_at_once() {
    let lab = Lab::new();
    let run = lab.run("web", &["--", "echo", "done already"]);
    let run =
        run.fails(8, &["service web ended as STOPPED: the job completed by itself", "  | done already"]);
    run.says(&["hint: a service's command must stay in the foreground"]);
    assert_ended(&lab, "STOPPED", "completed by itself");
    assert_no_jobs(&lab);
}

#[test]
fn a_command_that_fails() {
    let lab = Lab::new();
    let run = lab.run("web", &["--", "bash", "-c", "echo about to fail; exit 3"]);
    run.fails(
        8,
        &["service web ended as FAILED", "exit code 3", "  | about to fail", "hint: `towline logs web`"],
    );
    assert_ended(&lab, "FAILED", "exit code 3");
    assert!(lab.towline(&["logs", "web"]).ok().contains("about to fail\n"));
    let why = lab.towline(&["events", "web"]).ok();
    assert!(why.lines().last().unwrap().contains("exit code 3"), "{why}");
    assert_no_jobs(&lab);
}

#[test]
fn a_setup_line_that_fails() {
    let lab = Lab::new();
    let words = ["--setup", "true", "--setup", "module load no-such-module", "--", "sleep", "600"];
    let run = lab.run("web", &words).fails(8, &["service web ended as FAILED"]);
    run.says(&["line 2 of the set-up failed with exit code 127"]);
    assert_no_jobs(&lab);
}

#[test]
fn a_command_that_listens_on_the_wrong_port() {
    let lab = Lab::new();
    let words = ["--grace", "12", "--health", "/", "--", "python3", "-m", "http.server", "18999"];
    let run = lab.run("web", &words).fails(8, &["ended as TIMEOUT", "grace period of 12 s"]);
    run.says(&["listens on port 18999 and not", "hint: the server never listened on its port"]);
    assert_ended(&lab, "TIMEOUT", "grace period");
    assert_no_jobs(&lab);
    let states: Vec<String> = lab.jobs().into_values().collect();
    assert_eq!(states, ["CANCELLED"], "a spent grace period cancels the job");
}

#[test]
fn a_command_that_only_its_node_can_reach() {
    let lab = Lab::new();
    let server = ["python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1"];
    let run = lab.run("web", &[&["--grace", "8", "--health", "/", "--"][..], &server].concat());
    let run = run.fails(8, &["ended as TIMEOUT", "out of reach", "let it bind 0.0.0.0"]);
    let hint = run.stderr.lines().last().unwrap();
    assert!(hint.contains("loopback interface of c"), "{run:?}");
    assert_no_jobs(&lab);
}

#[test]
fn a_command_that_answers_with_errors() {
    let lab = Lab::new();
    let server = ["python3", "-m", "http.server", "{port}"];
    let run = lab.run("web", &[&["--grace", "8", "--health", "/no-such-page", "--"][..], &server].concat());
    run.fails(8, &["ended as TIMEOUT", "404", "name another path with --health"]);
    assert_no_jobs(&lab);
}

/// The port that the job was told to listen on, once it is.
fn attempt(lab: &Lab, id: &str) -> Option<u16> {
    let file = format!("{}/services/{id}/attempt.json", lab.remote_name());
    let record: Value = serde_json::from_str(&ALICE.run(&["cat", &file]).stdout).ok()?;
    u16::try_from(record["port"].as_u64()?).ok()
}

#[test]
fn a_port_that_somebody_else_takes_first() {
    let lab = Lab::new();
    let go = format!("/home/alice/{}/go", lab.remote_name());
    let server =
        format!("until [ -e {go} ]; do sleep 0.1; done; exec python3 -m http.server $PORT --directory /etc");
    lab.run("web", &["--detach", "--nodelist", "c1", "--health", "/", "--", "bash", "-c", &server]).ok();
    let id = lab.show("web")["id"].as_str().unwrap().to_owned();
    let first = eventually("the first port", SOON, || attempt(&lab, &id));
    // It answers every health path, and must not be taken for the service.
    let mut stranger = Command::new(cluster_script("exec"));
    stranger.args(["c1", "--user", "bob", "--", "python3", "-m", "http.server", &first.to_string()]);
    let stranger = Running::start(&mut stranger, b"");
    let second = eventually("another port", SOON, || {
        let service = lab.show("web");
        assert_ne!(service["status"], "HEALTHY", "a stranger's answer makes nothing healthy: {service}");
        attempt(&lab, &id).filter(|port| *port != first)
    });
    ALICE.run(&["touch", &go]).ok();
    let url =
        lab.towline(&["wait", "web", "--timeout", "60", "--json"]).json()["url"].as_str().unwrap().to_owned();
    assert!(get(&url).unwrap().body().contains("passwd"), "the service itself answers");
    assert_eq!(lab.show("web")["place"]["port"], second);
    let log = lab.towline(&["logs", "web"]).ok();
    assert!(log.contains(&format!("another program has taken port {first}")), "{log}");
    assert_eq!(lab.jobs().len(), 1);
    drop(stranger);
}

#[test]
fn waiting_has_a_limit_of_its_own() {
    let lab = Lab::new();
    lab.run("web", &["--detach", "--", "sleep", "600"]).ok();
    let waited = lab.start(&["wait", "web", "--timeout", "4"]).finish(Duration::from_secs(60));
    waited.fails(124, &["service web is still STARTING after 4s", "towline show web"]);
    assert_eq!(lab.living_jobs().len(), 1, "the service is never touched");
}
