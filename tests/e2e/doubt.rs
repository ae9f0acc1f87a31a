//! What must be true while nothing can be known, and afterwards.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Lab, SOON, eventually, get};

/// `ls` ends well, warns in these words, and still tells of `web`, which has not ended.
#[track_caller]
pub(crate) fn assert_doubtful(lab: &Lab, word: &str) -> Value {
    // What was learnt less than two seconds ago is not asked again.
    let listed = eventually("a warning", SOON, || {
        let listed = lab.towline(&["ls", "--json"]).code(0);
        listed.stderr.starts_with("warning: ").then_some(listed)
    });
    let services: Value = serde_json::from_str(&listed.says(&[word]).stdout).unwrap();
    let [service] = services.as_array().unwrap().as_slice() else { panic!("{services}") };
    assert!(["HEALTHY", "UNHEALTHY"].contains(&service["status"].as_str().unwrap()), "{service}");
    assert!(service["doubt"]["why"].as_str().unwrap().contains(word), "{service}");
    assert!(service["observed_at"].is_string() && service["cause"].is_null(), "{service}");
    let table = lab.towline(&["ls", "--no-refresh"]).code(0);
    assert!(table.stdout.contains("last known") && table.stdout.contains("ago"), "{table:?}");
    service.clone()
}

/// All is as it was before: the one job, and the URL, which answers again.
#[track_caller]
pub(crate) fn assert_back(lab: &Lab, url: &str) {
    eventually("the URL", Duration::from_secs(60), || {
        lab.towline(&["ls"]).code(0);
        get(url).is_ok_and(|page| page.status == 200).then_some(())
    });
    let back = lab.wait_for("web", "HEALTHY", SOON);
    assert_eq!(back["url"], url, "{back}");
    assert!(back["doubt"].is_null(), "{back}");
    assert_eq!(lab.living_jobs(), [back["job_id"].as_str().unwrap()], "the same job, and no other");
    let history = lab.history("web");
    assert!(!history.iter().any(|to| ["STOPPED", "TIMEOUT", "FAILED"].contains(&to.as_str())), "{history:?}");
    assert_eq!(lab.ssh_processes().len(), 1, "{:?}", lab.ssh_processes());
}
