//! When the way to the login host, or the host itself, breaks: doubt ends nothing, cancels nothing, and what is doubtful
//! says so.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::doubt::Household;
use crate::harness::{Fault, Lab, Relay, SOON, eventually, get, is_full};

const STAY: [&str; 5] = ["--health", "/", "--", "sleep", "600"];

/// Those of whom nothing can be learnt without the login host.
const ALL: [&str; 3] = ["web", "held", "mute"];

#[test]
fn the_login_host_refuses_connections() {
    let lab = Lab::alone();
    let home = Household::settle(&lab);
    let doomed = lab.run_web("doomed", &["--exclude", "c3"]);
    let fault = Fault::start(&["login-sshd"]);
    home.assert_doubtful("refused the connection", &ALL);
    lab.run("other", &STAY).fails(6, &["refused the connection", "towline doctor --profile lab"]);
    assert_eq!(lab.show("other")["status"], "FAILED");
    lab.towline(&["doctor", "--profile", "lab"]).code(6);
    lab.towline(&["logs", "web"]).fails(6, &["refused the connection"]);

    // A wish that cannot be fulfilled now is fulfilled later.
    let stop = lab.start(&["stop", "doomed", "--no-wait"]).finish(Duration::from_secs(60));
    stop.fails(6, &["the stop of service doomed is recorded, but its job is not cancelled yet"]);
    assert_eq!(lab.living_jobs().len(), 4, "nothing is cancelled, and nothing was submitted");
    fault.end();
    let ended = eventually("the stop that was wished for", SOON, || {
        lab.towline(&["ls"]).code(0);
        let service = lab.towline(&["show", "doomed", "--no-refresh", "--json"]).json();
        (service["status"] == "STOPPED").then_some(service)
    });
    assert_eq!(ended["cause"], "stopped on request");
    assert!(TcpStream::connect(doomed.strip_prefix("http://").unwrap()).is_err());
    home.assert_back_alone();
}

#[test]
fn the_login_host_drops_all_sessions() {
    let lab = Lab::alone();
    let home = Household::settle(&lab);
    Fault::start(&["login-sessions"]);
    home.look();
    home.assert_back_alone();
}

/// The same by a reset of the connection (RST), while nothing is under way and while a command waits for its answer.
#[test]
fn the_connection_is_reset() {
    let relay = Relay::to_login();
    let lab = Lab::behind(&relay);
    let home = Household::settle(&lab);
    relay.reset();
    home.look();
    home.assert_back_alone();

    relay.cut(true);
    let waiting = lab.start(&["refresh", "--now", "--json"]);
    let master = lab.ssh_processes();
    eventually("a question under way", SOON, || relay.holds_back().then_some(()));
    relay.reset();
    relay.cut(false);
    let answered = waiting.finish(SOON).code(0).json();
    assert_eq!(answered.as_array().unwrap().len(), ALL.len(), "{answered}");
    home.assert_back_alone();
    assert_ne!(lab.ssh_processes(), master, "it took another login");
}

/// For a moment, in which nobody notices it, or at full length; `absence` tells of a link of its own that is cut for long.
#[test]
fn the_login_link_is_cut() {
    let lab = Lab::alone();
    let home = Household::settle(&lab);
    let master = lab.ssh_processes();
    let (fault, began) = (Fault::start(&["login-link"]), Instant::now());
    if is_full() {
        home.assert_doubtful("failed to reach login", &ALL);
        while began.elapsed() < Duration::from_secs(90) {
            home.look();
        }
        fault.end();
        return home.assert_back_alone();
    }
    let asked = thread::scope(|scope| {
        let asked = scope.spawn(|| get(&home.url).map(|page| page.status));
        let listed = lab.start(&["ls"]);
        let login = ([10, 77, 1, 2], 22).into();
        assert!(TcpStream::connect_timeout(&login, Duration::from_secs(3)).is_err());
        assert!(!asked.is_finished());
        fault.end();
        listed.finish(SOON).code(0);
        asked.join().unwrap()
    });
    assert_eq!(asked.unwrap(), 200, "what was under way arrives");
    home.assert_back_alone();
    assert_eq!(lab.ssh_processes(), master, "it took no other login");
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
fn a_home_that_is_full() {
    let lab = Lab::alone();
    let home = Household::settle(&lab);
    let fault = Fault::start(&["home-full"]);
    let run = lab.run("other", &STAY).fails(3, &["No space left on device"]);
    assert!(run.stderr.contains(&lab.remote_home()), "{run:?}");
    lab.towline(&["doctor", "--profile", "lab"]).code(3);
    assert_eq!(lab.show("other")["status"], "FAILED");
    home.assert_untouched();
    fault.end();
    home.assert_back_alone();
    lab.run_web("other", &[]);
    home.assert_back();
}

#[test]
fn shells_that_print_what_nobody_asked_for() {
    let lab = Lab::alone();
    let home = Household::settle(&lab);
    let fault = Fault::start(&["login-shell", "noise"]);
    let checked = lab.towline(&["doctor", "--profile", "lab"]).ok();
    assert!(checked.lines().any(|line| line.starts_with("warning") && line.contains("Welcome")), "{checked}");
    lab.towline(&["refresh", "--now"]).code(0);
    home.assert_untouched();
    let url = lab.run_web("other", &[]);
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let log = lab.towline(&["logs", "other"]).ok();
    assert!(log.contains("GET / ") && !log.contains("Welcome"), "{log}");
    lab.towline(&["stop", "other"]).code(0).says(&["STOPPED"]);
    lab.towline(&["rm", "other"]).ok();
    fault.end();
    home.assert_back_alone();
}
