//! Models and images on the cluster: brought there, found, used by a service, and removed.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    Guard, Host, Lab, Output, Relay, Running, SOON, at_sshd_from, cluster_script, eventually, get, on,
};

const ALICE: Host = on("login").as_("alice");
const LOGIN: &str = "10.77.2.2";
const NODES: [&str; 3] = ["10.77.2.11 ", "10.77.2.12 ", "10.77.2.13 "];
const TOKEN: &str = "hf_OfAliceAlone";
const COMMIT: &str = "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff";
const LIMIT: Duration = Duration::from_secs(120);

/// A hub on the login host, where the nodes reach it too.
struct Hub {
    dir: String,
    ports: Vec<String>,
    #[expect(dead_code, reason = "it runs until it is dropped")]
    running: Running,
}

impl Hub {
    fn start(lab: &Lab) -> Self {
        let dir = format!("/home/alice/{}/hub", lab.remote_name());
        let put = format!("mkdir -p {dir} && cat >{dir}/hub.py");
        ALICE.run_with(&["bash", "-c", &put], include_bytes!("../servers/hub.py")).ok();
        let mut command = Command::new(cluster_script("exec"));
        command.args(["login", "--user", "alice", "--", "python3", &format!("{dir}/hub.py"), LOGIN, &dir]);
        let running = Running::start(&mut command, b"");
        let ports = eventually("the hub listens", SOON, || {
            let told = ALICE.run(&["cat", &format!("{dir}/ports")]);
            (told.code == 0).then_some(told.stdout)
        });
        Self { dir, ports: ports.split_whitespace().map(str::to_owned).collect(), running }
    }

    fn url(&self) -> String {
        format!("http://{LOGIN}:{}", self.ports[0])
    }

    /// What it was asked: address, port, authorization, method and path of each request.
    fn asked(&self) -> Vec<String> {
        let asked = ALICE.run(&["cat", &format!("{}/asked", self.dir)]).ok();
        asked.lines().map(str::to_owned).collect()
    }

    fn go_on(&self) {
        ALICE.run(&["touch", &format!("{}/go", self.dir)]).ok();
    }
}

/// The cache of the lab, in what is taken away at its end.
fn cache(lab: &Lab) -> String {
    format!("{}/group cache", lab.remote_home())
}

fn start(lab: &Lab, words: &[&str]) -> Running {
    let vars = [("TOWLINE_PROFILES__LAB__CACHE", cache(lab)), ("MY_TOKEN", TOKEN.to_owned())];
    let vars = vars.each_ref().map(|(name, value)| (*name, value.as_str()));
    lab.start_with(&vars, &[words, &["--profile", "lab"]].concat())
}

fn towline(lab: &Lab, words: &[&str]) -> Output {
    start(lab, words).finish(LIMIT)
}

fn snapshot(lab: &Lab, model: &str) -> String {
    let dir = format!("/home/alice/{}/group cache/models/models--org--{model}", lab.remote_name());
    format!("{dir}/snapshots/{COMMIT}")
}

/// A web server that shows the directory of its model.
fn recipe(lab: &Lab) {
    let recipes = lab.path("home/towline/recipes");
    fs::create_dir_all(&recipes).unwrap();
    let text = "summary = 's'\nhealth = { path = '/' }\n\
        command = ['python3', '-u', '-m', 'http.server', '{port}', '--directory', '{model}']\n\
        env = { NAME = '{called}' }\n[model]\nserved = 'called'\n\
        [parameters.called]\ntype = 'string'\nhelp = 'h'\n[container]\nimages = { apptainer = 'docker://org/files:1.2' }\n";
    fs::write(recipes.join("files.toml"), text).unwrap();
}

#[test]
fn a_model_is_brought_there_by_the_login_host_and_served() {
    let lab = Lab::new();
    let hub = Hub::start(&lab);
    recipe(&lab);
    let add = ["model", "add", "org/tiny", "--hub", &hub.url()];
    towline(&lab, &add).fails(5, &["is gated", "--token env:"]);
    let added = towline(&lab, &[&add[..], &["--token", "env:MY_TOKEN"]].concat());
    let added = added.says(&["can be read on the way", "3 files, 2.0 MiB", "c0ffeec0 (main) is there"]);
    assert_eq!(added.ok().trim(), snapshot(&lab, "tiny"));
    // The token went to the hub alone, and is in no file there.
    let asked = hub.asked();
    let to = |port: &str| {
        asked.iter().filter(|line| line.contains(&format!(" {port} "))).cloned().collect::<Vec<_>>()
    };
    let (own, other) = (to(&hub.ports[0]), to(&hub.ports[1]));
    assert!(own.iter().skip(1).any(|line| line.contains(TOKEN)), "{own:?}");
    assert!(!other.is_empty() && other.iter().all(|line| line.contains(" none ")), "{other:?}");
    let home = lab.remote_name();
    let found = ALICE.run(&["grep", "-rlF", "--exclude-dir=hub", TOKEN, &home]);
    assert_eq!((found.code, found.stdout.as_str()), (1, ""), "{found:?}");
    let listed = towline(&lab, &["model", "ls", "--json"]).json();
    assert_eq!((&listed[0]["name"], &listed[0]["bytes"]), (&"org/tiny".into(), &2_097_161.into()));
    assert_eq!(towline(&lab, &["model", "path", "org/tiny"]).ok().trim(), snapshot(&lab, "tiny"));
    let run = towline(&lab, &["run", "--name", "web", "files", "org/tiny"]);
    let run = run.says(&[&format!("model org/tiny: c0ffeec0 (main), in {}", snapshot(&lab, "tiny"))]);
    let url = run.ok().trim().to_owned();
    assert_eq!(get(&format!("{url}/sub%20dir/words.txt")).unwrap().body(), "words\n");
    towline(&lab, &["model", "rm", "org/tiny", "--yes"]).fails(5, &["service web uses"]);
    lab.towline(&["stop", "web"]).code(0);
    towline(&lab, &["model", "rm", "org/tiny", "--yes"]).says(&["is removed"]).code(0);
    towline(&lab, &["model", "path", "org/tiny"]).fails(4, &["is not there", "towline model add org/tiny"]);
    let run = ["run", "--dry-run", "files", "org/tiny"];
    assert!(towline(&lab, &run).says(&["is not staged"]).ok().contains("--directory org/tiny"));
    towline(&lab, &["model", "add", "org/none", "--hub", &hub.url()])
        .fails(4, &["the hub has no model org/none"]);
}

#[test]
fn a_model_is_brought_there_by_a_job_that_outlives_ctrl_c() {
    let lab = Lab::new();
    let hub = Hub::start(&lab);
    let url = hub.url();
    let add = ["model", "add", "org/slow", "--hub", &url, "--in-job", "--json"];
    let adding = start(&lab, &add);
    let partial = |lab: &Lab| {
        let listed = towline(lab, &["model", "ls", "--json"]).json();
        listed[0]["partial"]["bytes"].as_u64().filter(|bytes| *bytes > 500_000)
    };
    eventually("the job has loaded a part", LIMIT, || partial(&lab));
    adding.signal(Signal::INT);
    let left = adding.finish(SOON);
    let left = left.fails(130, &["the job of org/slow goes on", "squeue -j", "scancel"]);
    assert!(left.stderr.contains("org/slow: job "), "{left:?}");
    towline(&lab, &["model", "rm", "org/slow", "--yes"]).fails(7, &["is being downloaded just now"]);
    let again = start(&lab, &add);
    eventually("it is followed", SOON, || again.stderr().contains("already").then_some(()));
    hub.go_on();
    let added: Value = again.finish(LIMIT).json();
    assert_eq!((&added["path"], &added["files"]), (&snapshot(&lab, "slow").into(), &2.into()));
    let loaded: Vec<String> =
        hub.asked().into_iter().filter(|line| line.contains("GET /org/slow/resolve")).collect();
    // One of each file, and from a node.
    assert_eq!(loaded.len(), 2, "{loaded:?}");
    assert!(loaded.iter().all(|line| NODES.iter().any(|node| line.starts_with(node))), "{loaded:?}");
}

#[test]
fn one_remote_command_lists_all_and_another_runs_what_is_there() {
    let relay = Relay::to_login();
    let lab = Lab::behind(&relay);
    recipe(&lab);
    let home = lab.remote_name();
    let lay_out = r#"cd "$1" && for name in a b c; do
        dir="group cache/models/models--org--$name"
        mkdir -p "$dir/blobs" "$dir/refs" "$dir/snapshots/$2" && echo x >"$dir/blobs/1"
        ln -s ../../blobs/1 "$dir/snapshots/$2/x" && printf %s "$2" >"$dir/refs/main"
    done"#;
    ALICE.run(&["bash", "-c", &format!("mkdir -p {home}; {lay_out}"), "x", &home, COMMIT]).ok();
    towline(&lab, &["model", "ls"]).ok();
    let commands = |words: &[&str]| {
        let before = at_sshd_from(&relay.far_ports());
        let output = towline(&lab, words);
        (at_sshd_from(&relay.far_ports()).commands - before.commands, output)
    };
    let (count, listed) = commands(&["model", "ls", "--json"]);
    assert_eq!((count, listed.json().as_array().map(Vec::len)), (1, Some(3)));
    let (count, run) = commands(&["run", "--dry-run", "files", "org/b", "--container", "apptainer"]);
    assert_eq!(count, 1, "model and image are looked for at once: {run:?}");
    let (count, _) = commands(&["run", "--dry-run", "files", "/own/model"]);
    assert_eq!(count, 0, "what is not looked for costs nothing");
}

#[test]
fn an_image_is_pulled_by_a_job_and_run_from_its_file() {
    let lab = Lab::with_path(Guard::shared(), ":$PATH");
    recipe(&lab);
    lab.put_on_path("apptainer", "for word; do last=$word; done; hostname >\"$4\"; echo \"$last\" >>\"$4\"");
    let path = format!("/home/alice/{}/group cache/images/files_1.2.sif", lab.remote_name());
    let added = towline(&lab, &["image", "add", "files", "--in-job"]).says(&["image files_1.2 is there"]);
    assert_eq!(added.ok().trim(), path);
    let pulled = ALICE.run(&["cat", &path]).ok();
    let lines: Vec<&str> = pulled.lines().collect();
    assert!(lines[0].starts_with('c') && lines[1] == "docker://org/files:1.2", "{pulled}");
    let run = ["run", "--dry-run", "files", "/m", "--container", "apptainer"];
    assert!(towline(&lab, &run).ok().contains(&path));
    towline(&lab, &["image", "rm", "files_1.2", "--yes"]).code(0);
    assert_eq!(towline(&lab, &["image", "ls", "--json"]).ok().trim(), "[]");
}
