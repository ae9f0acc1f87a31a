//! When somebody else handles the jobs, or they end by themselves: each service shows it, and no other is touched.

use std::time::Duration;

use serde_json::Value;

use crate::doubt::Household;
use crate::harness::{Guard, Host, Lab, SOON, eventually, get, on};

const ALICE: Host = on("login").as_("alice");
const CTL: Host = on("ctl");

/// How long Slurm may take to start a job again, or to forget one.
const PATIENCE: Duration = Duration::from_secs(300);

const OFF_C3: [&str; 5] = ["--detach", "--time", "20", "--exclude", "c3"];

fn job_of(lab: &Lab, name: &str) -> String {
    lab.show(name)["job_id"].as_str().unwrap().to_owned()
}

/// Waits for what Slurm says of a service's job while the service has that status.
#[track_caller]
fn wait_for_word(lab: &Lab, name: &str, status: &str, field: &str, word: &str) -> Value {
    eventually(&format!("{name}: {word}"), SOON, || {
        let service = lab.show(name);
        assert!(service["cause"].is_null(), "{service:#}");
        (service["status"] == status && service[field] == word).then_some(service)
    })
}

#[test]
fn jobs_that_are_handled_by_hand() {
    let lab = Lab::new();
    let home = Household::settle(&lab);
    let url = lab.run_web("web2", &["--exclude", "c3", "--requeue"]);
    lab.run("later", &[&OFF_C3[..], &["--sbatch-arg=--begin=now+1hour", "--", "true"]].concat()).ok();
    let (job, later) = (job_of(&lab, "web2"), job_of(&lab, "later"));
    let is_back = || {
        let back = lab.wait_for("web2", "HEALTHY", PATIENCE);
        assert_eq!((&back["url"], &back["job_id"]), (&url.as_str().into(), &job.as_str().into()), "{back}");
        assert_eq!(get(&url).unwrap().status, 200);
    };

    CTL.run(&["scontrol", "suspend", &job]).ok();
    wait_for_word(&lab, "web2", "UNHEALTHY", "job_state", "SUSPENDED");
    home.look();
    CTL.run(&["scontrol", "resume", &job]).ok();
    is_back();

    ALICE.run(&["scontrol", "requeuehold", &job]).ok();
    let held = wait_for_word(&lab, "web2", "UNHEALTHY", "job_state", "PENDING");
    assert!(held["job_reason"].as_str().unwrap().contains("held"), "{held}");
    home.look();
    ALICE.run(&["scontrol", "release", &job]).ok();
    // It would begin after two minutes only.
    ALICE.run(&["scontrol", "update", &format!("jobid={job}"), "starttime=now"]).ok();
    is_back();

    wait_for_word(&lab, "later", "PENDING", "job_reason", "BeginTime");
    ALICE.run(&["scontrol", "hold", &later]).ok();
    wait_for_word(&lab, "later", "PENDING", "job_reason", "JobHeldUser");
    ALICE.run(&["scontrol", "release", &later]).ok();
    wait_for_word(&lab, "later", "PENDING", "job_reason", "BeginTime");

    ALICE.run(&["scancel", &job, &later]).ok();
    for name in ["web2", "later"] {
        let ended = lab.wait_for(name, "STOPPED", SOON);
        assert!(ended["cause"].as_str().unwrap().contains("the job was cancelled"), "{ended}");
    }
    home.assert_back_alone();
}

#[test]
fn a_requeued_job_keeps_the_url() {
    let lab = Lab::new();
    let home = Household::settle(&lab);
    let url = lab.run_web("moves", &["--requeue"]);
    let before = lab.show("moves");
    let (job, node) =
        (before["job_id"].as_str().unwrap().to_owned(), before["node"].as_str().unwrap().to_owned());
    lab.requeue(&before);
    let after = eventually("the service on another node", Duration::from_secs(90), || {
        let service = lab.show("moves");
        assert!(["HEALTHY", "UNHEALTHY"].contains(&service["status"].as_str().unwrap()), "{service}");
        (service["status"] == "HEALTHY" && service["node"] != *node).then_some(service)
    });
    assert_eq!((&after["url"], &after["job_id"]), (&url.as_str().into(), &job.as_str().into()));
    assert_eq!(get(&url).unwrap().status, 200);
    let log = lab.towline(&["logs", "moves"]).ok();
    assert!(log.contains("--- restart 1 of job"), "the log goes on: {log}");
    home.assert_back();
    assert_eq!(lab.living_jobs().len(), 4, "no job but the household's and the one that moved");
}

/// A server that answers until it is told to end in that way.
fn until_told(lab: &Lab, end: &str) -> String {
    let dir = format!("/home/alice/{}", lab.remote_name());
    format!("python3 -m http.server $PORT & until [ -e {dir}/told ]; do sleep 0.2; done; {end}")
}

fn tell(lab: &Lab) {
    ALICE.run(&["touch", &format!("{}/told", lab.remote_name())]).ok();
}

#[test]
fn a_healthy_service_that_runs_out_of_memory() {
    let lab = Lab::new();
    let plugins = ALICE.run(&["scontrol", "show", "config"]).ok();
    if !plugins.lines().any(|line| line.starts_with("TaskPlugin ") && line.contains("cgroup")) {
        println!("this cluster cannot watch over memory; nothing is told");
        return;
    }
    let home = Household::settle(&lab);
    let hog = until_told(&lab, "exec python3 -c 'x = bytearray(400_000_000); import time; time.sleep(600)'");
    let words = ["--mem", "100M", "--exclude", "c3", "--health", "/", "--", "bash", "-c", &hog];
    lab.run("hog", &words).ok();
    tell(&lab);
    let ended = eventually("the end", SOON, || {
        home.look();
        let service = lab.show("hog");
        (service["status"] == "FAILED").then_some(service)
    });
    assert!(ended["cause"].as_str().unwrap().contains("the job ran out of memory"), "{ended}");
    home.assert_back_alone();
}

/// Slurm forgets an ended job after a while; accounting does not.
#[test]
fn jobs_that_ended_and_were_forgotten_while_this_machine_was_off() {
    let lab = Lab::with_path(Guard::shared(), ":$PATH");
    let home = Household::settle(&lab);
    let run = |name: &str, command: &str, variables: &[(&str, &str)]| {
        let words =
            [&["run", "--profile", "lab", "--name", name][..], &OFF_C3, &["--", "bash", "-c", command]];
        lab.start_with(variables, &words.concat()).finish(SOON).ok();
        lab.wait_for(name, "STARTING", SOON);
        job_of(&lab, name)
    };
    let fails = until_told(&lab, "exit 6");
    let mut jobs = vec![
        run("fails", &fails, &[]),
        run("settles", &fails, &[("TOWLINE_SETTLE_SECONDS", "3")]),
        run("completes", &until_told(&lab, "exit 0"), &[]),
        run("cancelled", "sleep 600", &[]),
    ];
    lab.disconnect();
    tell(&lab);
    ALICE.run(&["scancel", &jobs[3]]).ok();
    lab.come_what_may(|| {
        eventually("a queue that has forgotten them", PATIENCE, || {
            let queue = ALICE.run(&["squeue", "--me", "-h", "-t", "all", "-o", "%A"]);
            jobs.retain(|job| queue.code != 0 || queue.stdout.lines().any(|line| line == job));
            jobs.is_empty().then_some(())
        });
    });

    // Without accounting nothing is certain for five minutes, or as long as the service says.
    lab.put_on_path("sacct", "echo Slurm accounting storage is disabled >&2; exit 1");
    let settled = lab.wait_for("settles", "FAILED", SOON);
    assert!(settled["cause"].as_str().unwrap().contains("exit code 6"), "{settled}");
    let (_, services) = home.look();
    for name in ["fails", "completes", "cancelled"] {
        let service = &services[name];
        assert!(service["cause"].is_null() && service["ended_at"].is_null(), "{service:#}");
        let why = service["doubt"]["why"].as_str().unwrap();
        assert!(why.contains("neither queue nor accounting lists job "), "{service:#}");
    }
    lab.take_off_path("sacct");
    let verdicts = [
        ("fails", "FAILED", "exit code 6"),
        ("completes", "STOPPED", "the job completed by itself"),
        ("cancelled", "STOPPED", "the job was cancelled"),
    ];
    for (name, status, cause) in verdicts {
        let ended = lab.wait_for(name, status, SOON);
        assert!(ended["cause"].as_str().unwrap().contains(cause), "{ended}");
    }
    home.assert_back_alone();
}
