//! Towline on the login node itself: no SSH to submit, and the place is reached directly.

use std::fs;

use serde_json::Value;

use crate::harness::{Host, Lab, Output, on};

const ALICE: Host = on("login").as_("alice");

/// The command as alice runs it there, with all its files in `dir` of her home.
fn towline(dir: &str, words: &[&str]) -> Output {
    let text = r#"
        cd "$1" && shift
        export TOWLINE_CONFIG=$PWD/config.toml TOWLINE_DATA_DIR=$PWD/data XDG_RUNTIME_DIR=$PWD/run
        exec ./towline "$@""#;
    ALICE.run(&[&["bash", "-c", text, "towline", dir], words].concat())
}

#[test]
fn a_login_node_needs_no_ssh() {
    let lab = Lab::new();
    let dir = lab.remote_name();
    let program = fs::read(env!("CARGO_BIN_EXE_towline")).unwrap();
    let install = r#"mkdir -p "$1" && cat >"$1/towline" && chmod +x "$1/towline""#;
    ALICE.run_with(&["bash", "-c", install, "install", &dir], &program).ok();

    towline(&dir, &["profile", "add", "here", "--here", "--home", &lab.remote_home(), "--default"]).ok();
    let found = towline(&dir, &["doctor"]).ok();
    assert!(found.contains("slurm") && !found.contains("login in"), "{found}");
    let server = ["--health", "/", "--", "python3", "-m", "http.server", "{port}"];
    let run = towline(&dir, &[&["run", "--name", "web", "--time", "10"][..], &server].concat());
    let url = run.ok().trim().to_owned();
    let service = towline(&dir, &["show", "web", "--json"]).json();
    let place = &service["place"];
    let direct = format!("http://{}:{}", place["host"].as_str().unwrap(), place["port"]);
    assert_eq!(url, direct, "the place itself, without a tunnel");
    let ask = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).status)";
    assert_eq!(ALICE.run(&["python3", "-c", ask, &url]).ok().trim(), "200");
    ALICE.run(&["pgrep", "-u", "alice", "-x", "ssh"]).code(1);

    let listed = towline(&dir, &["ls", "--json"]).json();
    let names: Vec<&Value> = listed.as_array().unwrap().iter().map(|service| &service["name"]).collect();
    assert_eq!(names, ["web"]);
    towline(&dir, &["stop", "web"]).code(0).says(&["STOPPED"]);
    assert_eq!(lab.living_jobs(), Vec::<String>::new());
    let id = service["id"].as_str().unwrap();
    towline(&dir, &["rm", "web"]).ok();
    ALICE.run(&["test", "-e", &format!("{dir}/services/{id}")]).code(1);
}
