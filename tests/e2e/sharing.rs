//! What several processes cost the login host together, counted at its sshd.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Fault, Lab, Running, SOON, at_sshd, eventually};

/// How long each command may take here.
const LIMIT: Duration = Duration::from_secs(60);

/// Ten terminals, each with `watch -n1 towline ls` in it, for so many seconds.
fn watch(lab: &Lab, secs: u64) -> Vec<Value> {
    let began = Instant::now();
    let mut last = Vec::new();
    for second in 1..=secs {
        let all: Vec<Running> = (0..10).map(|_| lab.start(&["ls", "--json"])).collect();
        last = all.into_iter().map(|ls| ls.finish(LIMIT).code(0).json()).collect();
        let next = Duration::from_secs(second);
        std::thread::sleep(next.saturating_sub(began.elapsed()));
    }
    last
}

#[test]
fn ten_terminals_cost_one_survey_an_interval() {
    let lab = Lab::alone();
    lab.run_web("web", &[]);
    for name in ["held-1", "held-2"] {
        let held = ["--detach", "--time", "10", "--sbatch-arg=--hold", "--", "true"];
        lab.run(name, &held).code(0);
    }
    let before = at_sshd("");
    let began = Instant::now();
    for listed in watch(&lab, 10) {
        let statuses: Vec<&str> =
            listed.as_array().unwrap().iter().map(|service| service["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["HEALTHY", "PENDING", "PENDING"]);
    }
    let intervals = began.elapsed().as_secs() / 2 + 1;
    let after = at_sshd("");
    assert_eq!(after.logins, before.logins, "the master that is there serves all");
    let asked = after.commands - before.commands;
    assert!((1..=intervals as usize).contains(&asked), "{asked} commands in {intervals} intervals");
}

#[test]
fn a_cluster_that_is_down_is_asked_less_and_less_often_and_by_one() {
    let lab = Lab::alone();
    let held = ["--detach", "--time", "10", "--sbatch-arg=--hold", "--", "true"];
    lab.run("held", &held).code(0);
    let fault = Fault::start(&["controller"]);
    let before = at_sshd("");
    watch(&lab, 30);
    let asked = at_sshd("").commands - before.commands;
    assert!((2..=8).contains(&asked), "{asked} commands: after 1, 2, 4, 8 and 16 s");
    // At the very moment of a try there is no next one to tell of.
    let listed = eventually("the time of the next try", SOON, || {
        let listed = lab.towline(&["ls"]).code(0);
        listed.stderr.contains("next try in").then_some(listed)
    });
    let listed = listed.says(&["towline refresh --now"]);
    assert!(listed.stdout.contains("last known"), "{listed:?}");
    fault.end();
    let doubtless = || {
        let now = lab.towline(&["refresh", "--now", "--json"]).code(0).json();
        now[0]["doubt"].is_null().then_some(now)
    };
    let now = eventually("an answer", SOON, doubtless);
    assert_eq!(now[0]["status"], "PENDING", "{now}");
}
