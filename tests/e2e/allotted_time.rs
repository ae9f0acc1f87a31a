//! The time that a job is allotted. The longest of the stories, so that it comes first.

use std::time::Duration;

use crate::harness::{Guard, Lab, state_dir};

#[test]
fn a_job_that_reaches_its_time_limit() {
    // It holds no right to an undisturbed cluster: a wait outlasts the faults of the other stories.
    let lab = Lab::bare(Guard::Careless);
    lab.add_profile(&state_dir().join("ssh_config"), &[]);
    let server = ["--health", "/", "--", "python3", "-m", "http.server", "{port}"];
    lab.run("web", &[&["--detach", "--time", "1"][..], &server].concat()).ok();
    let waited =
        lab.start(&["wait", "web", "--for", "TIMEOUT", "--json"]).finish(Duration::from_secs(300)).json();
    assert_eq!(waited["status"], "TIMEOUT");
    assert!(waited["cause"].as_str().unwrap().contains("the job reached its time limit"), "{waited}");
    assert!(waited["url"].is_null(), "{waited}");
    let history = lab.history("web");
    assert!(
        history.contains(&"HEALTHY".to_owned()) && history.ends_with(&["TIMEOUT".to_owned()]),
        "{history:?}"
    );
}
