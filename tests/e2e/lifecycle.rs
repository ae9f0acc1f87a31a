//! What may happen to a service in its life, and what becomes of it.

use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::harness::{Host, Lab, SOON, eventually, get, on};

const ALICE: Host = on("login").as_("alice");

/// A server in the foreground of which a loop waits for a file, and then ends as `end` says.
fn until_told(lab: &Lab, end: &str) -> (String, String) {
    let file = format!("/home/alice/{}/told", lab.remote_name());
    (format!("python3 -m http.server $PORT & until [ -e {file} ]; do sleep 0.2; done; {end}"), file)
}

fn job_id(service: &Value) -> &str {
    service["job_id"].as_str().unwrap_or_else(|| panic!("{service}"))
}

#[test]
fn a_healthy_service_that_fails() {
    let lab = Lab::new();
    let (command, file) = until_told(&lab, "exit 3");
    let url = lab.run("web", &["--health", "/", "--", "bash", "-c", &command]).ok();
    ALICE.run(&["touch", &file]).ok();
    let ended = lab.towline(&["wait", "web", "--for", "FAILED", "--timeout", "60", "--json"]).json();
    assert!(ended["cause"].as_str().unwrap().contains("exit code 3"), "{ended}");
    let history = lab.history("web");
    assert_eq!(history.last().map(String::as_str), Some("FAILED"), "{history:?}");
    let port: u16 = url.trim().rsplit(':').next().unwrap().parse().unwrap();
    drop(TcpListener::bind(("127.0.0.1", port)).expect("the local port is given back"));
    assert_eq!(lab.ssh_processes().len(), 1, "the login stays for the next command");
}

#[test]
fn a_service_that_comes_to_its_end() {
    let lab = Lab::new();
    let (command, file) = until_told(&lab, "exit 0");
    lab.run("web", &["--health", "/", "--", "bash", "-c", &command]).ok();
    ALICE.run(&["touch", &file]).ok();
    let ended = lab.towline(&["wait", "web", "--for", "STOPPED", "--timeout", "60", "--json"]).json();
    assert!(ended["cause"].as_str().unwrap().contains("completed by itself"), "{ended}");
}

#[test]
fn a_job_that_is_cancelled_behind_our_back() {
    let lab = Lab::new();
    lab.run_web("web", &[]);
    ALICE.run(&["scancel", job_id(&lab.show("web"))]).ok();
    let ended = lab.wait_for("web", "STOPPED", SOON);
    assert!(ended["cause"].as_str().unwrap().contains("the job was cancelled"), "{ended}");
    let again = lab.towline(&["wait", "web"]).code(8);
    assert!(again.stderr.contains("ended as STOPPED"), "{again:?}");
}

#[test]
fn a_job_that_waits_in_the_queue() {
    let lab = Lab::new();
    lab.run("held", &["--detach", "--sbatch-arg=--hold", "--", "sleep", "600"]).ok();
    let held = lab.wait_for("held", "PENDING", SOON);
    assert_eq!(held["job_reason"], "JobHeldUser");
    let table = lab.towline(&["ls"]).ok();
    assert!(table.contains("PENDING") && table.contains("JobHeldUser"), "{table}");
    lab.run("late", &["--detach", "--time", "5", "--partition", "short", "--", "sleep", "600"]).ok();
    assert_eq!(lab.wait_for("late", "PENDING", SOON)["job_reason"], "PartitionTimeLimit");
    lab.towline(&["stop", "held", "late"]).code(0);
    for name in ["held", "late"] {
        assert_eq!(lab.show(name)["status"], "STOPPED");
    }
    assert_eq!(lab.living_jobs(), Vec::<String>::new());
}

#[test]
fn queueing_never_eats_the_grace_period() {
    let lab = Lab::new();
    let server = ["--health", "/", "--", "python3", "-m", "http.server", "{port}"];
    let run = lab.run("web", &[&["--grace", "15", "--sbatch-arg=--begin=now+20"][..], &server].concat());
    let run = run.code(0).says(&["PENDING", "BeginTime", "STARTING", "HEALTHY"]);
    assert!(run.stdout.starts_with("http://127.0.0.1:"), "{run:?}");
}

#[test]
fn a_job_that_needs_more_memory_than_it_asked_for() {
    let lab = Lab::new();
    let plugins = ALICE.run(&["scontrol", "show", "config"]).ok();
    if !plugins.lines().any(|line| line.starts_with("TaskPlugin ") && line.contains("cgroup")) {
        println!("this cluster cannot watch over memory; nothing is told");
        return;
    }
    let hog = "python3 -c 'x = bytearray(400_000_000); import time; time.sleep(600)'";
    let run = lab.run("hog", &["--mem", "100M", "--", "bash", "-c", hog]);
    run.fails(
        8,
        &["service hog ended as FAILED: the job ran out of memory", "hint: ask for more with --mem"],
    );
}

#[test]
fn a_server_that_falls_silent_and_comes_back() {
    let lab = Lab::new();
    let dir = format!("/home/alice/{}/www", lab.remote_name());
    ALICE.run(&["mkdir", "-p", &dir]).ok();
    ALICE.run(&["touch", &format!("{dir}/ready")]).ok();
    let server = ["--", "python3", "-m", "http.server", "{port}", "--directory", &dir];
    let url = lab.run("web", &[&["--health", "/ready", "--grace", "10"][..], &server].concat()).ok();
    ALICE.run(&["rm", &format!("{dir}/ready")]).ok();
    let silent = lab.wait_for("web", "UNHEALTHY", SOON);
    assert!(silent["why"].as_str().unwrap().contains("404"), "{silent}");
    lab.towline(&["url", "web"]).code(0).says(&["warning: service web is UNHEALTHY"]);
    lab.towline(&["wait", "web", "--timeout", "12"]).code(124);
    assert_eq!(lab.show("web")["status"], "UNHEALTHY", "grace is for services that have not answered yet");
    ALICE.run(&["touch", &format!("{dir}/ready")]).ok();
    let back = lab.wait_for("web", "HEALTHY", SOON);
    assert_eq!(back["url"].as_str(), Some(url.trim()));
    assert_eq!(lab.history("web").iter().filter(|to| *to == "HEALTHY").count(), 2);
}

#[test]
fn a_stop_that_is_put_off() {
    let lab = Lab::new();
    let url = lab.run_web("web", &[]);
    lab.towline(&["stop", "web", "--delay", "1h", "--no-wait"])
        .code(0)
        .says(&["the stop of service web is recorded"]);
    let service = lab.show("web");
    assert_eq!(
        (&service["status"], &service["stop"]["as"]),
        (&"HEALTHY".into(), &"STOPPED".into()),
        "{service}"
    );
    assert_eq!(get(&url).unwrap().status, 200);
    assert_eq!(lab.living_jobs().len(), 1);

    // What nobody waits for is carried out by the next command that looks.
    lab.towline(&["stop", "web", "--delay", "2", "--as", "timeout", "--no-wait"]).code(0);
    let ended = eventually("the end", SOON, || {
        lab.towline(&["ls"]).code(0);
        let service = lab.towline(&["show", "web", "--no-refresh", "--json"]).json();
        (service["status"] == "TIMEOUT").then_some(service)
    });
    assert_eq!(ended["cause"], "stopped on request");
    assert_eq!(lab.living_jobs(), Vec::<String>::new());
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());

    lab.run_web("other", &[]);
    lab.towline(&["stop", "other", "--delay", "3", "--as", "failed"]).code(0).says(&["FAILED"]);
    assert_eq!(lab.show("other")["status"], "FAILED");
}

#[test]
fn a_name_is_had_once() {
    let lab = Lab::new();
    let racers: Vec<_> = (0..4)
        .map(|_| lab.start(&["run", "--profile", "lab", "--name", "web", "--detach", "--", "sleep", "600"]))
        .collect();
    let ends: Vec<_> = racers.into_iter().map(|racer| racer.finish(SOON)).collect();
    let mut codes: Vec<i32> = ends.iter().map(|end| end.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 7, 7, 7], "{ends:?}");
    assert_eq!(lab.living_jobs().len(), 1);
}
