//! When things break: doubt ends nothing, cancels nothing, and what is doubtful says so.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Fault, Lab, SOON, eventually, get};

const STAY: [&str; 5] = ["--health", "/", "--", "sleep", "600"];

/// `ls` ends well, warns in these words, and still tells of `web`, which has not ended.
#[track_caller]
fn assert_doubtful(lab: &Lab, word: &str) -> Value {
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
    let table = lab.towline(&["ls"]).code(0);
    assert!(table.stdout.contains("last known") && table.stdout.contains("ago"), "{table:?}");
    service.clone()
}

/// All is as it was before: the one job, and the URL, which answers again.
#[track_caller]
fn assert_back(lab: &Lab, url: &str) {
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

#[test]
fn the_login_host_refuses_connections() {
    let lab = Lab::alone();
    let url = lab.run_web("web", &[]);
    let fault = Fault::start(&["login-sshd"]);
    assert_doubtful(&lab, "refused the connection");
    lab.run("other", &STAY).fails(6, &["refused the connection", "towline doctor --profile lab"]);
    assert_eq!(lab.show("other")["status"], "FAILED");
    lab.towline(&["doctor", "--profile", "lab"]).code(6);
    lab.towline(&["logs", "web"]).fails(6, &["refused the connection"]);

    // A wish that cannot be fulfilled now is fulfilled later.
    let stop = lab.start(&["stop", "web", "--no-wait"]).finish(Duration::from_secs(60));
    stop.fails(6, &["the stop of service web is recorded, but its job is not cancelled yet"]);
    assert_eq!(lab.living_jobs().len(), 1, "nothing is cancelled, and nothing was submitted");
    fault.end();
    let ended = eventually("the stop that was wished for", SOON, || {
        lab.towline(&["ls"]).code(0);
        let service = lab.towline(&["show", "web", "--no-refresh", "--json"]).json();
        (service["status"] == "STOPPED").then_some(service)
    });
    assert_eq!(ended["cause"], "stopped on request");
    assert!(std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());
    assert_eq!(lab.living_jobs(), Vec::<String>::new());
}

#[test]
fn the_login_host_drops_all_sessions() {
    let lab = Lab::alone();
    let url = lab.run_web("web", &[]);
    Fault::start(&["login-sessions"]);
    assert_back(&lab, &url);
}

#[test]
fn the_network_is_gone() {
    let lab = Lab::alone();
    let url = lab.run_web("web", &[]);
    let fault = Fault::start(&["login-link"]);
    assert_doubtful(&lab, "");
    fault.end();
    assert_back(&lab, &url);
}

#[test]
fn the_controller_is_down() {
    let lab = Lab::alone();
    let url = lab.run_web("web", &[]);
    let fault = Fault::start(&["controller"]);
    let service = lab.show("web");
    assert_eq!((service["status"].as_str(), service["url"].as_str()), (Some("HEALTHY"), Some(url.as_str())));
    let checked = lab.towline(&["doctor", "--profile", "lab"]).code(6);
    assert!(checked.stdout.contains("Unable to contact slurm controller"), "{checked:?}");
    let run = lab.run("other", &STAY).fails(6, &["Unable to contact slurm controller", "nothing is lost"]);
    assert!(run.stderr.contains("failed to start service other"), "{run:?}");
    fault.end();
    assert_back(&lab, &url);
    lab.run_web("other", &[]);
    assert_eq!(lab.living_jobs().len(), 2);
}

#[test]
fn accounting_is_down() {
    let lab = Lab::alone();
    let fault = Fault::start(&["accounting"]);
    let url = lab.run_web("web", &[]);
    assert_eq!(get(&url).unwrap().status, 200);
    let checked = lab.towline(&["doctor", "--profile", "lab"]).ok();
    assert!(
        checked.lines().any(|line| line.starts_with("warning") && line.contains("accounting")),
        "{checked}"
    );
    lab.towline(&["stop", "web"]).code(0).says(&["STOPPED"]);
    let run = lab.run("fails", &["--", "bash", "-c", "exit 3"]);
    run.fails(8, &["FAILED", "exit code 3"]);
    fault.end();
}

#[test]
fn forwarding_is_forbidden() {
    let lab = Lab::alone();
    let fault = Fault::start(&["forwarding"]);
    let server = ["--health", "/", "--grace", "5", "--", "python3", "-m", "http.server", "{port}"];
    lab.run("web", &[&["--detach"][..], &server].concat()).ok();
    let waited = lab.towline(&["wait", "web", "--timeout", "20"]).code(124);
    let service = lab.show("web");
    assert_eq!(service["status"], "STARTING", "grace ends only on a ping that was made");
    assert!(service["why"].as_str().unwrap().contains("administratively prohibited"), "{service}");
    waited.says(&["administratively prohibited"]);
    assert_eq!(lab.living_jobs().len(), 1);
    lab.towline(&["stop", "web"]).code(0).says(&["STOPPED"]);
    fault.end();
}

#[test]
fn a_node_loses_its_power() {
    let lab = Lab::alone();
    let url = lab.run_web("web", &["--nodelist", "c3", "--no-requeue"]);
    let fault = Fault::start(&["node", "3"]);
    let ended = eventually("the end", Duration::from_secs(120), || {
        let service = lab.show("web");
        assert!(
            ["HEALTHY", "UNHEALTHY", "FAILED"].contains(&service["status"].as_str().unwrap()),
            "{service}"
        );
        (service["status"] == "FAILED").then_some(service)
    });
    assert!(ended["cause"].as_str().unwrap().contains("node failed"), "{ended}");
    assert!(std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());
    fault.end();
}
