//! Healing after the job was moved.

use std::time::{Duration, Instant};

use crate::harness::{Lab, eventually};
use crate::healing::{By, Looker, answered, healthy};

/// How long Slurm may take to start a job again.
const AGAIN: Duration = Duration::from_secs(120);

#[test]
fn the_job_is_requeued_to_another_node_and_port() {
    let lab = Lab::new();
    lab.run_web("web", &["--requeue"]);
    for by in [By::Keep, By::Watch("ls")] {
        let before = healthy(&lab);
        let job = before["job_id"].as_str().unwrap();
        let url = before["url"].as_str().unwrap();
        let looker = Looker::start(&lab, by);
        lab.requeue(&before);
        let runs = || lab.jobs().get(job).is_some_and(|state| state == "RUNNING").then(Instant::now);
        let began = eventually("the job on another node", AGAIN, runs);
        let took = eventually("an answer", AGAIN, || answered(url).then(|| began.elapsed()));
        println!(
            "heal: the job moved by a requeue: by {by:?} {:.1} s after it ran again",
            took.as_secs_f32()
        );
        let after = healthy(&lab);
        assert_eq!((&after["url"], &after["job_id"]), (&before["url"], &before["job_id"]), "{after}");
        assert_ne!(after["node"], before["node"], "{after}");
        let said = looker.end();
        assert!(by != By::Keep || said.contains("web: the job was moved: the tunnel leads to"), "{said}");
    }
}
