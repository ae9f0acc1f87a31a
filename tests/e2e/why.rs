//! What `towline why` says of services that stand in all sorts of places.

use serde_json::Value;

use crate::harness::{Fault, Host, Lab, SOON, eventually, on};
use crate::slurm_options::Setting;

const ALICE: Host = on("login").as_("alice");

/// The answer as a program sees it.
#[track_caller]
fn why(lab: &Lab, name: &str) -> Value {
    lab.towline(&["why", name, "--json"]).json()
}

/// Asks until the sentence holds all of these, and gives the answer.
#[track_caller]
fn wait_for(lab: &Lab, name: &str, parts: &[&str]) -> Value {
    let mut last = Value::Null;
    eventually(&format!("{name}: {parts:?}"), SOON, || {
        last = why(lab, name);
        let sentence = last["sentence"].as_str().unwrap();
        parts.iter().all(|part| sentence.contains(part)).then(|| last.clone())
    })
}

/// What was found on a topic.
#[track_caller]
fn on_topic<'a>(told: &'a Value, topic: &str) -> &'a str {
    let found = told["evidence"].as_array().unwrap().iter().find(|finding| finding["topic"] == topic);
    found.unwrap_or_else(|| panic!("nothing on {topic}: {told}"))["text"].as_str().unwrap()
}

#[track_caller]
fn assert_advice(told: &Value, outlook: &str, part: &str) {
    assert_eq!(told["outlook"], outlook, "{told:#}");
    assert!(told["advice"].as_str().unwrap().contains(part), "{told:#}");
    assert_eq!(told["unknown"], serde_json::json!([]), "{told:#}");
}

#[test]
fn jobs_that_wait() {
    let lab = Lab::new();
    lab.run("held", &["--detach", "--sbatch-arg=--hold", "--", "sleep", "600"]).ok();
    let held = wait_for(&lab, "held", &["waits for somebody to act: it is held by you"]);
    assert_eq!(on_topic(&held, "reason"), "JobHeldUser");
    let release = format!("scontrol release {}", held["job_id"].as_str().unwrap());
    assert_advice(&held, "blocked", &release);

    lab.run("long", &["--detach", "--time", "5", "--partition", "short", "--", "sleep", "600"]).ok();
    let long = wait_for(
        &lab,
        "long",
        &["will never start as it is", "asks for 5:00, partition short allows 00:02:00"],
    );
    assert_advice(&long, "never", "--time");
    assert_eq!(on_topic(&long, "limit"), "MaxTime 00:02:00 of partition short");

    lab.run("later", &["--detach", "--sbatch-arg=--begin=now+1hour", "--", "sleep", "600"]).ok();
    let later =
        wait_for(&lab, "later", &["its earliest start time has not come", "its start is expected in"]);
    assert_advice(&later, "waits", "wait");
    assert!(on_topic(&later, "queue").contains("that wait in cpu"), "{later:#}");

    let text = lab.towline(&["why", "long"]).ok();
    assert!(text.starts_with("service long will never start as it is: its time limit is longer"), "{text}");
    assert!(
        text.contains("\n  reason      PartitionTimeLimit\n") && text.contains("\nwhat to do: stop it"),
        "{text}"
    );
    lab.towline(&["stop", "held", "long", "later"]).code(0);
    let stopped = why(&lab, "held");
    assert_eq!(stopped["sentence"], "service held ended as STOPPED: stopped on request");
}

#[test]
fn a_job_that_asks_for_more_nodes_than_its_partition_allows() {
    let lab = Lab::alone();
    let _one_node = Setting::new(
        &["scontrol", "update", "partitionname=gpu", "maxnodes=1"],
        &["scontrol", "update", "partitionname=gpu", "maxnodes=unlimited"],
    );
    lab.run("wide", &["--detach", "--nodes", "2", "--partition", "gpu", "--", "sleep", "600"]).ok();
    let told = wait_for(&lab, "wide", &["will never start as it is"]);
    assert_eq!(on_topic(&told, "reason"), "PartitionNodeLimit");
    assert_eq!(on_topic(&told, "limit"), "MaxNodes 1 of partition gpu");
    assert_advice(&told, "never", "--nodes");
}

#[test]
fn a_job_that_another_partition_may_start() {
    let lab = Lab::alone();
    let _down = Setting::new(
        &["scontrol", "update", "partitionname=gpu", "state=down"],
        &["scontrol", "update", "partitionname=gpu", "state=up"],
    );
    let words = ["--detach", "--time", "5", "--partition", "short,gpu", "--", "sleep", "600"];
    lab.run("either", &words).ok();
    // Slurm says one or the other, by which it tried last; only the first is never to change.
    let told =
        wait_for(&lab, "either", &["waits in the queue: ", " may start it, while the scheduler says of one"]);
    assert_advice(&told, "waits", "wait");
    assert!(on_topic(&told, "reason").starts_with("Partition"), "{told:#}");
}

#[test]
fn a_job_over_a_limit_of_its_quality_of_service() {
    let lab = Lab::alone();
    let _three_minutes = Setting::new(
        &["sacctmgr", "-i", "modify", "qos", "normal", "set", "maxwall=00:03:00"],
        &["sacctmgr", "-i", "modify", "qos", "normal", "set", "maxwall=-1"],
    );
    lab.run("long", &["--detach", "--time", "60", "--", "sleep", "600"]).ok();
    let told = wait_for(&lab, "long", &["will never start as it is"]);
    assert_eq!(on_topic(&told, "reason"), "QOSMaxWallDurationPerJobLimit");
    assert_eq!(on_topic(&told, "limit"), "MaxWall 00:03:00 of quality of service normal");
    assert_advice(&told, "never", "--time");
}

#[test]
fn commands_that_ended() {
    let lab = Lab::new();
    let run = lab.run("lost", &["--", "no-such-program", "--port", "{port}"]);
    run.fails(8, &["hint: `towline why lost` tells more", "put it on the PATH"]);
    let lost = why(&lab, "lost");
    assert!(
        lost["sentence"].as_str().unwrap().contains("its log says that a command was not found"),
        "{lost:#}"
    );
    assert!(on_topic(&lost, "exit").starts_with("exit code 127"), "{lost:#}");
    assert_advice(&lost, "ended", "PATH");
    assert!(
        lost["log"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains("no-such-program"))
    );

    let twice = "python3 -m http.server $PORT & sleep 1; exec python3 -m http.server $PORT";
    // Nothing answers that path, so that it never becomes healthy.
    lab.run("twice", &["--health", "/none", "--", "bash", "-c", twice]).fails(8, &["ended as FAILED"]);
    let told = why(&lab, "twice");
    assert!(told["sentence"].as_str().unwrap().contains("its port is in use by another program"), "{told:#}");
    assert_advice(&told, "ended", "$PORT");

    lab.run("module", &["--", "python3", "-m", "no_such_module"]).fails(8, &["ended as FAILED"]);
    assert_advice(&why(&lab, "module"), "ended", "--setup");
}

#[test]
fn a_job_that_ran_out_of_memory() {
    let lab = Lab::new();
    let plugins = ALICE.run(&["scontrol", "show", "config"]).ok();
    if !plugins.lines().any(|line| line.starts_with("TaskPlugin ") && line.contains("cgroup")) {
        println!("this cluster cannot watch over memory; nothing is told");
        return;
    }
    let hog = "python3 -c 'x = bytearray(400_000_000); import time; time.sleep(600)'";
    lab.run("hog", &["--mem", "100M", "--", "bash", "-c", hog]).fails(8, &["ask for more with --mem"]);
    let told = wait_for(&lab, "hog", &["the job ran out of memory", "its limit was 100M"]);
    assert_advice(&told, "ended", "--mem");
    assert!(on_topic(&told, "memory").starts_with("its limit was 100M"), "{told:#}");
}

#[test]
fn a_life_from_its_start_to_silence() {
    let lab = Lab::new();
    let dir = format!("/home/alice/{}/www", lab.remote_name());
    ALICE.run(&["mkdir", "-p", &dir]).ok();
    let server = ["--", "python3", "-u", "-m", "http.server", "{port}", "--directory", &dir];
    let words = [&["--detach", "--health", "/ready", "--grace", "300"][..], &server].concat();
    lab.run("web", &words).ok();
    lab.wait_for("web", "STARTING", SOON);
    let starting = eventually("the log", SOON, || {
        let told = why(&lab, "web");
        let log = told["log"].to_string();
        (log.contains("404") && told["sentence"].as_str().unwrap().contains("404")).then_some(told)
    });
    let answers = "its server answers /ready with HTTP status 404, where only a 2xx counts";
    assert!(starting["sentence"].as_str().unwrap().contains(answers), "{starting:#}");
    assert!(on_topic(&starting, "grace").contains(" left of 5 min"), "{starting:#}");
    assert_advice(&starting, "blocked", "`--health PATH`");

    ALICE.run(&["touch", &format!("{dir}/ready")]).ok();
    lab.wait_for("web", "HEALTHY", SOON);
    let healthy = why(&lab, "web");
    assert!(
        healthy["sentence"].as_str().unwrap().starts_with("service web is healthy: it has answered /ready")
    );
    assert_advice(&healthy, "fine", "nothing needs to be done; it answers at http://127.0.0.1:");

    ALICE.run(&["rm", &format!("{dir}/ready")]).ok();
    let silent = wait_for(&lab, "web", &["is unhealthy since", "not with a 2xx: HTTP status 404"]);
    assert_eq!(
        (on_topic(&silent, "login"), silent["outlook"].as_str()),
        ("the cluster answers", Some("blocked"))
    );
    assert!(on_topic(&silent, "node").starts_with('c'), "{silent:#}");
}

#[test]
fn a_cluster_that_cannot_be_reached_is_explained_from_the_record() {
    let lab = Lab::alone();
    lab.run("held", &["--detach", "--sbatch-arg=--hold", "--", "sleep", "600"]).ok();
    lab.wait_for("held", "PENDING", SOON);
    lab.run_web("web", &[]);
    let fault = Fault::start(&["login-sshd"]);
    let broken = wait_for(&lab, "web", &["is unhealthy since", "the cluster cannot be reached"]);
    assert!(on_topic(&broken, "age").starts_with("last known"), "{broken:#}");
    assert!(on_topic(&broken, "doubt").starts_with("no news since "), "{broken:#}");
    assert!(!broken["unknown"].as_array().unwrap().is_empty(), "{broken:#}");
    let held = why(&lab, "held");
    assert_eq!((&held["status"], on_topic(&held, "reason")), (&"PENDING".into(), "JobHeldUser"), "{held:#}");
    assert!(on_topic(&held, "age").starts_with("last known"), "{held:#}");
    let text = lab.towline(&["why", "held"]).ok();
    assert!(text.contains("\n  not learnt  "), "{text}");
    fault.end();
    wait_for(&lab, "web", &["service web is healthy"]);
}
