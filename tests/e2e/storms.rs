//! Storms on the cluster: of all services that eight processes ran at a time, each has had one job or none, and none is
//! left at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use crate::harness::{Lab, SOON, eventually, on};
use crate::storm::Storm;

/// The jobs of each service that accounting knows of.
fn jobs(services: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let words = ["sacct", "-X", "-n", "-P", "-D", "-S", "now-1hours", "-o", "JobID,JobName%-200"];
    let listed = on("login").as_("alice").run(&words).ok();
    let mut jobs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (job, name) in listed.lines().filter_map(|line| line.split_once('|')) {
        if let Some(service) = services.iter().find(|id| name.contains(id.as_str())) {
            jobs.entry(service.clone()).or_default().insert(job.to_owned());
        }
    }
    jobs
}

#[test]
fn eight_processes_share_a_ledger_and_a_cluster() {
    let lab = Lab::new();
    let words =
        ["--profile", "lab", "--health", "/", "--time", "10", "--", "python3", "-m", "http.server", "{port}"];
    let server = words.map(str::to_owned);
    // A lab belongs to one thread.
    let (ours, home) = (lab.command(), lab.path("home"));
    let towline = || {
        let mut command = Command::new(ours.get_program());
        let variables = ours.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(variables).current_dir(&home).stdin(Stdio::null());
        command
    };
    let services = Storm { towline: &towline, server: &server, title: "Slurm" }.rage();
    eventually("the end of all jobs", SOON, || lab.living_jobs().is_empty().then_some(()));
    let jobs = jobs(&services);
    assert!(!jobs.is_empty());
    for (service, jobs) in jobs {
        assert_eq!(jobs.len(), 1, "{service} has had the jobs {jobs:?}");
    }
}
