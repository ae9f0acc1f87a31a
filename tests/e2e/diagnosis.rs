//! A forward that opens says nothing about its far end: what `why` and `tunnel ls` find there.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Fault, Host, Lab, SOON, eventually, on};

const ALICE: Host = on("login").as_("alice");

/// What answers is asked about at the scheduler once a minute only.
const LATER: Duration = Duration::from_secs(120);

/// Listens on its port, takes connections and says nothing.
const MUTE: &str = "import socket,sys,time; s=socket.create_server(('', int(sys.argv[1]))); time.sleep(600)";

/// What `tunnel ls` says of a service.
fn listed(lab: &Lab, name: &str) -> Option<Value> {
    let rows = lab.towline(&["tunnel", "ls", "--json"]).json();
    rows.as_array().unwrap().iter().find(|row| row["name"] == name).cloned()
}

/// Looks until the far end of a service is so, and makes sure that people are told the same by `why` and by the table.
#[track_caller]
fn assert_reach(lab: &Lab, name: &str, reach: &str, sentence: &str, advice: &str) -> Value {
    let row = eventually(&format!("{name}: {reach}"), LATER, || {
        listed(lab, name).filter(|row| row["reach"] == reach)
    });
    assert!(row["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{row:#}");
    assert!(row["advice"].as_str().unwrap().contains(advice), "{row:#}");
    let table = lab.towline(&["tunnel", "ls", "--no-refresh"]).ok();
    let line = table.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line.contains(row["text"].as_str().unwrap()), "{table}");
    let told = lab.towline(&["why", name, "--json"]).json();
    assert!(told["sentence"].as_str().unwrap().contains(sentence), "{told:#}");
    row
}

/// Changes the host in what the job of a service has told.
fn tell_another_host(lab: &Lab, name: &str, host: &str) {
    let id = lab.show(name)["id"].as_str().unwrap().to_owned();
    let file = format!("{}/services/{id}/place.json", lab.remote_name());
    let change = format!("s/\"host\":\"[^\"]*\"/\"host\":\"{host}\"/");
    ALICE.run(&["sed", "-i", &change, &file]).ok();
}

#[test]
fn servers_that_do_not_answer_as_they_should() {
    let lab = Lab::new();
    let run = |name: &str, health: &str, command: &[&str]| {
        lab.run(name, &[&["--detach", "--health", health, "--"], command].concat()).ok();
    };
    let web = ["python3", "-u", "-m", "http.server", "{port}"];
    run("absent", "/", &["sleep", "600"]);
    run("lost", "/nowhere", &web);
    run("mute", "/", &["python3", "-c", MUTE, "{port}"]);
    run("private", "/", &[&web[..], &["--bind", "127.0.0.1"]].concat());

    let absent =
        assert_reach(&lab, "absent", "not_listening_yet", "its server has not answered /", "towline logs -f");
    assert!(
        absent["text"].as_str().unwrap().contains("the job has not told that its server listens"),
        "{absent:#}"
    );
    let lost =
        assert_reach(&lab, "lost", "http_error", "answers /nowhere with HTTP status 404", "--health PATH");
    assert_eq!(lost["http_status"], 404);
    assert_reach(&lab, "mute", "hangs", "no answer within 5 s", "towline logs mute");
    assert_reach(
        &lab,
        "private",
        "loopback_only",
        "listens on the loopback interface of its node only",
        "via = \"node\"",
    );

    let opened = lab.towline(&["tunnel", "open", "private"]).code(0);
    opened.says(&["warning: the tunnel is open, and its server listens on the loopback interface"]);
}

#[test]
fn ways_that_lead_elsewhere() {
    let lab = Lab::new();
    lab.run_web("web", &["--nodelist", "c1"]);
    let row = listed(&lab, "web").unwrap();
    assert_eq!((&row["reach"], &row["advice"]), (&"answers".into(), &Value::Null), "{row:#}");

    tell_another_host(&lab, "web", "c1.nosuch.invalid");
    assert_reach(&lab, "web", "name_unresolved", "cannot be reached from the ssh host", "another login host");
    tell_another_host(&lab, "web", "c2");
    assert_reach(
        &lab,
        "web",
        "wrong_node",
        "the tunnel leads to c2, and the job runs on c1",
        "follow the job",
    );
    tell_another_host(&lab, "web", "c1");
    lab.wait_for("web", "HEALTHY", SOON);
    assert_eq!(listed(&lab, "web").unwrap()["reach"], "answers");
}

#[test]
fn a_login_host_that_forwards_nothing() {
    let lab = Lab::alone();
    let fault = Fault::start(&["forwarding"]);
    let server = ["--detach", "--health", "/", "--", "python3", "-u", "-m", "http.server", "{port}"];
    lab.run("web", &server).ok();
    assert_reach(
        &lab,
        "web",
        "forwarding_prohibited",
        "the login host forwards no connection",
        "via = \"node\"",
    );
    let table = lab.towline(&["ls"]).ok();
    assert!(table.contains("via = \"node\" in its profile may lead there"), "{table}");
    let doctor = lab.towline(&["doctor", "--profile", "lab"]).code(5);
    assert!(doctor.stdout.contains("via = \"node\""), "{doctor:?}");
    fault.end();
}
