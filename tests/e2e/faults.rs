//! When things break: doubt ends nothing, cancels nothing, and what is doubtful says so.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::doubt::{assert_back, assert_doubtful};
use crate::harness::{Fault, Lab, SOON, eventually, get};

const STAY: [&str; 5] = ["--health", "/", "--", "sleep", "600"];

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
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());
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
fn the_network_is_gone_for_a_moment() {
    let lab = Lab::alone();
    let url = lab.run_web("web", &[]);
    let master = lab.ssh_processes();
    let fault = Fault::start(&["login-link"]);
    let asked = thread::scope(|scope| {
        let asked = scope.spawn(|| get(&url).map(|page| page.status));
        let listed = lab.start(&["ls"]);
        let login = ([10, 77, 1, 2], 22).into();
        assert!(TcpStream::connect_timeout(&login, Duration::from_secs(3)).is_err());
        assert!(!asked.is_finished());
        fault.end();
        listed.finish(SOON).code(0);
        asked.join().unwrap()
    });
    assert_eq!(asked.unwrap(), 200, "what was under way arrives");
    assert_back(&lab, &url);
    assert_eq!(lab.ssh_processes(), master, "it took no other login");
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
    let waited = lab.towline(&["wait", "web", "--timeout", "10"]).code(124);
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
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());
    fault.end();
}
