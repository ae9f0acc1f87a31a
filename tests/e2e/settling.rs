//! A submission whose answer nobody has: what was sent is found again, wherever it is still known.

use std::time::Duration;

use crate::harness::{Lab, SOON, eventually, on};

/// The queue forgets a job that has ended a minute ago (`MinJobAge`), when it looks next.
const FORGOTTEN: Duration = Duration::from_secs(180);

#[test]
fn a_job_that_only_accounting_remembers_is_found_by_its_name() {
    let lab = Lab::new();
    let run = ["run", "--profile", "lab", "--name", "brief", "--", "bash", "-c", "exit 3"];
    assert_eq!(lab.start_with(&[("TOWLINE_CRASH_AT", "after:job-submitted")], &run).finish(SOON).code, 137);
    // The id that the submission kept beside the job is lost as well.
    let kept = format!("rm {}/services/*/job.id", lab.remote_name());
    on("login").as_("alice").run(&["bash", "-c", &kept]).ok();
    let jobs: Vec<String> = lab.jobs().into_keys().collect();
    assert_eq!(jobs.len(), 1);
    eventually("a queue that has forgotten", FORGOTTEN, || lab.jobs().is_empty().then_some(()));
    let listed = lab.towline(&["ls", "--all", "--json"]).json();
    assert_eq!(listed[0]["status"], "FAILED", "{listed}");
    assert_eq!(listed[0]["job_id"], *jobs[0], "{listed}");
    assert!(listed[0]["cause"].as_str().unwrap().contains("exit code 3"), "{listed}");
    assert!(lab.jobs().is_empty(), "nothing was submitted again");
}
