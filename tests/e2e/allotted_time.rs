//! The time that a job is allotted. Among the longest of the stories, so that it comes first.

use std::time::Duration;

use crate::doubt::Household;
use crate::harness::Lab;

#[test]
fn a_job_that_reaches_its_time_limit() {
    let lab = Lab::new();
    let home = Household::settle(&lab);
    let server = ["--health", "/", "--", "python3", "-m", "http.server", "{port}"];
    lab.run("brief", &[&["--detach", "--time", "1", "--exclude", "c3"][..], &server].concat()).ok();
    let wait = ["wait", "brief", "--for", "TIMEOUT", "--json"];
    let waited = lab.come_what_may(|| lab.start(&wait).finish(Duration::from_secs(300)).json());
    assert_eq!(waited["status"], "TIMEOUT");
    assert!(waited["cause"].as_str().unwrap().contains("the job reached its time limit"), "{waited}");
    assert!(waited["url"].is_null(), "{waited}");
    let history = lab.history("brief");
    assert!(
        history.contains(&"HEALTHY".to_owned()) && history.ends_with(&["TIMEOUT".to_owned()]),
        "{history:?}"
    );
    home.assert_back_alone();
}
