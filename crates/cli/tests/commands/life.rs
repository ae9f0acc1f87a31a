//! What becomes of services of this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::world::{World, eventually};

/// The status code that a URL answers with; `None` if nothing listens there.
fn get(url: &str) -> Option<u16> {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn a_service_lives_is_looked_at_and_ends() {
    let world = World::new();
    let ran = world
        .run(&[
            "run",
            "--name",
            "hello",
            "--health",
            "/",
            "--",
            "python3",
            "-u",
            "-m",
            "http.server",
            "{port}",
        ])
        .exits(0)
        .says(&["hello: SUBMITTED", "hello: STARTING", "hello: HEALTHY"]);
    let url = ran.stdout.strip_suffix('\n').unwrap();
    assert_eq!(get(url), Some(200), "the URL, alone on standard output, answers");

    let listed = world.list(&[]);
    assert_eq!(listed.len(), 1);
    let service = &listed[0];
    for (field, value) in [("name", "hello"), ("status", "HEALTHY"), ("profile", "local"), ("url", url)] {
        assert_eq!(service[field], value, "{field}");
    }
    for field in ["id", "job_id", "node", "created_at", "observed_at"] {
        assert!(service[field].is_string(), "{field}: {service}");
    }
    assert!(service["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(service["cause"], Value::Null);

    let id = service["id"].as_str().unwrap();
    assert_eq!(world.run(&["url", &id[..18]]).exits(0).stdout.trim(), url, "a beginning of the id will do");
    assert!(world.run(&["ls"]).exits(0).stdout.contains(url));
    assert!(world.run(&["show", "hello"]).exits(0).stdout.contains("http.server"));
    assert!(world.run(&["logs", "hello"]).exits(0).stdout.contains("\"GET / HTTP/1.0\" 200"));
    assert_eq!(world.run(&["logs", "-n", "1", "hello"]).exits(0).stdout.lines().count(), 1);

    world.run(&["stop", "hello"]).exits(0).says(&["hello: STOPPED"]);
    assert_eq!(get(url), None);
    assert_eq!(world.list(&[]), Vec::<Value>::new());
    let ended = &world.list(&["--all"])[0];
    assert_eq!((&ended["status"], &ended["cause"]), (&"STOPPED".into(), &"stopped on request".into()));

    let history = world.run(&["events", "--json", "hello"]).exits(0).json();
    let path: Vec<&str> = history.as_array().unwrap().iter().map(|row| row["to"].as_str().unwrap()).collect();
    assert_eq!(path, ["SUBMITTED", "STARTING", "HEALTHY", "STOPPED"]);
    world.run(&["stop", "hello"]).exits(0).says(&["ended as STOPPED at 20", "already"]);
    assert_eq!(world.run(&["events", "--json", "hello"]).exits(0).json(), history, "that changed nothing");

    world.run(&["rm", "hello"]).exits(0);
    assert_eq!(world.list(&["--all"]), Vec::<Value>::new());
    world.run(&["show", "hello"]).exits(4);
}

#[test]
fn knowledge_that_is_not_renewed_is_shown_with_its_age() {
    let world = World::new();
    world.serve("web");
    let table = |args: &[&str]| world.run(&[&["ls"][..], args].concat()).exits(0).stdout;
    eventually("an age", || table(&["--no-refresh"]).contains("last known ").then_some(()));
    let before = world.list(&["--no-refresh"])[0]["observed_at"].clone();
    assert_eq!(world.list(&["--no-refresh"])[0]["observed_at"], before, "nobody has looked");
    eventually("a clean table", || (!table(&[]).contains("last known ")).then_some(()));
    // The scheduler is asked once a minute about a server that answers: it is the ping that is newer.
    let after = world.list(&["--no-refresh"])[0]["observed_at"].clone();
    assert_ne!(after, before);
}

#[test]
fn a_detached_service_is_waited_for() {
    let world = World::new();
    let words = ["--detach", "--health", "/", "--", "python3", "-m", "http.server", "{port}"];
    let first = world.run(&[&["run"][..], &words].concat()).exits(0);
    assert_eq!(first.stdout, "python3\n", "without a name it is made from the program's");
    let second = world.run(&[&["run"][..], &words].concat()).exits(0);
    assert_eq!(second.stdout, "python3-2\n");
    let waited = world.run(&["wait", "--json", "python3"]).exits(0).says(&["python3: HEALTHY"]);
    let url = waited.json()["url"].as_str().unwrap().to_owned();
    assert_eq!(get(&url), Some(200));
    world.run(&["wait", "--timeout", "1", "--for", "failed", "python3"]).exits(124).says(&["still HEALTHY"]);
    world.run(&["stop", "python3", "python3-2"]).exits(0);
    world.run(&["wait", "--for", "stopped", "python3"]).exits(0);
    world.run(&["wait", "python3"]).exits(8);
    world.run(&["prune"]).exits(0).says(&["2 services forgotten"]);
    assert_eq!(world.list(&["--all"]), Vec::<Value>::new());
}

#[test]
fn an_end_before_healthy_tells_its_cause_and_the_log() {
    let world = World::new();
    world.run(&["run", "--name", "gone", "--", "/no/such/program"]).exits(8).says(&[
        "error: service gone ended as FAILED",
        "exit code 127",
        "/no/such/program: No such file",
    ]);
    world.run(&["run", "--name", "quick", "--", "sh", "-c", "echo I am done"]).exits(8).says(&[
        "quick: STOPPED",
        "  | I am done",
        "hint:",
        "foreground",
    ]);
    let ran = world.run(&["run", "--json", "--name", "loud", "--", "sh", "-c", "seq 100; exit 3"]).exits(8);
    assert_eq!(ran.json()["status"], "FAILED");
    let lines = ran.stderr.lines().filter(|line| line.starts_with("  | ")).count();
    assert!((10..=20).contains(&lines), "{}", ran.stderr);
}

#[test]
fn a_silent_server_times_out_with_advice() {
    let world = World::new();
    world.run(&["run", "--name", "deaf", "--grace", "1", "--", "sleep", "100"]).exits(8).says(&[
        "deaf: TIMEOUT",
        "grace period of 1 s",
        "hint: the server never listened",
        "'{port}'",
    ]);
    let server = ["--", "python3", "-m", "http.server", "{port}"];
    world
        .run(&[&["run", "--name", "rude", "--grace", "2", "--health", "/none"][..], &server].concat())
        .exits(8)
        .says(&["rude: TIMEOUT", "hint: nothing answered /none with a 2xx", "404"]);
}

#[test]
fn a_name_is_taken_only_while_its_service_lives() {
    let world = World::new();
    world.serve("web");
    world.run(&["run", "--name", "web", "--", "true"]).exits(7).says(&["the name web is taken", "hint:"]);
    world.run(&["rm", "web"]).exits(5).says(&["service web is HEALTHY", "towline stop web"]);
    world.run(&["stop", "--as", "failed", "web"]).exits(0);
    assert_eq!(world.status("web"), "FAILED");
    world.serve("web");
    assert_eq!(world.status("web"), "HEALTHY", "the living one is meant");
    world.run(&["url", "wbe"]).exits(4).says(&["did you mean web?"]);
}

#[test]
fn a_delayed_stop_is_carried_out_by_a_later_command() {
    let world = World::new();
    let url = world.serve("web");
    world.run(&["stop", "--no-wait", "--delay", "1", "web"]).exits(0).says(&["is recorded"]);
    assert_eq!(get(&url), Some(200), "it is not due yet");
    eventually("the end", || {
        world.run(&["refresh"]).exits(0);
        (world.status("web") == "STOPPED").then_some(())
    });
    assert_eq!(get(&url), None);
}

#[test]
fn an_interrupted_run_leaves_the_service_and_says_how_to_go_on() {
    let world = World::new();
    let mut child = world
        .command(&["run", "--name", "slow", "--", "sleep", "100"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("slow: STARTING")));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let rest: String = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("slow is STARTING") && rest.contains("towline stop slow"), "{rest}");
    assert_eq!(world.list(&[])[0]["status"], "STARTING");
}

#[test]
fn a_followed_log_ends_with_its_service() {
    let world = World::new();
    let script = "echo one; while ! test -e go; do sleep 0.1; done; echo two";
    world.run(&[
        "run",
        "-d",
        "--name",
        "job",
        "--chdir",
        world.path("").to_str().unwrap(),
        "--",
        "sh",
        "-c",
        script,
    ]);
    let mut child = world.command(&["logs", "-f", "job"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("one"));
    world.write("go", "");
    assert_eq!(lines.collect::<Vec<_>>(), ["two", "towline: the command ended with exit code 0"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn secrets_reach_the_command_and_nobody_else() {
    let world = World::new();
    // The command knows its secrets by their lengths, so that they stand nowhere but in the environment.
    let script = "echo ${#TOKEN} ${#OTHER}; exit 1";
    let options = ["--env", "TOKEN=s3cret-of-mine", "--env", "OTHER", "--", "sh", "-c", script];
    let vars = [("OTHER", "0ther-secret")];
    let ran = world.run_with(&vars, &[&["run", "--name", "app"][..], &options].concat()).exits(8);
    let mut seen = ran.says(&["  | 14 12"]).stderr;
    seen += &world.run_with(&vars, &[&["run", "--dry-run"][..], &options].concat()).exits(0).stdout;
    for look in
        [&["show", "app"][..], &["show", "--json", "app"], &["ls", "-a", "--json"], &["events", "app"]]
    {
        seen += &world.run(look).exits(0).stdout;
    }
    assert!(seen.contains("TOKEN") && !seen.contains("s3cret") && !seen.contains("0ther"), "{seen}");
}

#[test]
fn a_service_named_twice_is_removed_once() {
    let world = World::new();
    world.run(&["run", "--name", "web", "--", "true"]).exits(8);
    let ran = world.run(&["rm", "web", "web"]).exits(0).says(&["service web is forgotten"]);
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(world.list(&["--all"]).is_empty());
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let world = World::new();
    world.run(&["run", "--name", "a", "--", "false"]).exits(8);
    let mut child =
        world.command(&["ls", "--all"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
