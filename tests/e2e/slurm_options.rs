//! Every option for the scheduler, as Slurm and the command itself see it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Host, Lab, get, on};

const ALICE: Host = on("login").as_("alice");

/// A server that tells the environment, the directory and the words that it was started with.
const MIRROR: &str = r#"
import http.server, json, os, sys
class Mirror(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        told = {"env": dict(os.environ), "cwd": os.getcwd(), "words": sys.argv[1:]}
        self.wfile.write(json.dumps(told).encode())
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Mirror).serve_forever()
"#;

/// Texts that a shell would take apart.
const NASTY: [&str; 6] = [
    "it's \"quoted\"",
    "$(touch /tmp/owned) `id` $HOME ${PATH}",
    "two\nlines and a third\n",
    "back\\slash \\n \\\\ end\\",
    "-n --x * ? [a] {a,b} ~ # ! ; & | < > ( )",
    " spaces\tand ümläuts ",
];

/// What `scontrol` says of a job.
fn job(lab: &Lab, name: &str) -> BTreeMap<String, String> {
    let id = lab.show(name)["job_id"].as_str().unwrap().to_owned();
    let shown = ALICE.run(&["scontrol", "-o", "show", "job", &id]).ok();
    let pairs = shown.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[track_caller]
fn assert_fields(found: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(found.get(*key).map(String::as_str), Some(*value), "{key}: {found:#?}");
    }
}

/// Something that root sets up and takes away again when this is dropped.
pub(crate) struct Setting(&'static [&'static str]);

impl Setting {
    pub(crate) fn new(set: &[&str], unset: &'static [&'static str]) -> Self {
        on("ctl").run(set).ok();
        Self(unset)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        on("ctl").run(self.0);
    }
}

#[test]
fn slurm_gets_what_was_asked_for() {
    let lab = Lab::new();
    let _feature = Setting::new(
        &["scontrol", "update", "nodename=c2", "availablefeatures=big,odd", "activefeatures=big,odd"],
        &["scontrol", "update", "nodename=c2", "availablefeatures=", "activefeatures="],
    );
    let options = [
        ["--partition", "gpu"],
        ["--time", "0:20:30"],
        ["--mem", "300M"],
        ["--cpus", "2"],
        ["--gres", "gpu:1"],
        ["--nodes", "1"],
        ["--ntasks-per-node", "2"],
        ["--constraint", "big&odd"],
        ["--account", "research"],
        ["--qos", "normal"],
        ["--nodelist", "c2"],
        ["--exclude", "c1,c3"],
    ]
    .concat();
    lab.run_web(
        "all",
        &[&options[..], &["--requeue", "--sbatch-arg=--nice=10", "--sbatch-arg=--comment=tea"]].concat(),
    );
    let found = job(&lab, "all");
    assert_fields(
        &found,
        &[
            ("Partition", "gpu"),
            ("TimeLimit", "00:21:00"),
            ("MinMemoryNode", "300M"),
            ("CPUs/Task", "2"),
            ("TresPerNode", "gres:gpu:1"),
            ("NumNodes", "1"),
            ("NumCPUs", "4"),
            ("Features", "big&odd"),
            ("Account", "research"),
            ("QOS", "normal"),
            ("ReqNodeList", "c2"),
            ("NodeList", "c2"),
            ("ExcNodeList", "c[1,3]"),
            ("Requeue", "1"),
            ("Nice", "10"),
            ("Comment", "tea"),
        ],
    );
}

#[test]
fn the_other_ways_to_ask() {
    let lab = Lab::new();
    let reserve =
        ["scontrol", "create", "reservation", "reservationname=e2e", "users=alice", "starttime=now"];
    let _reservation = Setting::new(
        &[&reserve[..], &["duration=30", "nodes=c3", "corecnt=2"]].concat(),
        &["scontrol", "delete", "reservationname=e2e"],
    );
    lab.run_web("booked", &["--reservation", "e2e", "--time", "5", "--gpus", "1", "--no-requeue"]);
    let found = job(&lab, "booked");
    assert_fields(
        &found,
        &[("Reservation", "e2e"), ("TresPerJob", "gres:gpu:1"), ("Requeue", "0"), ("NodeList", "c3")],
    );
    lab.towline(&["stop", "booked"]).code(0);

    // Slurm's own reading of the time's forms (sbatch(1)); it counts whole minutes.
    let forms = [
        ("10", "00:10:00"),
        ("10:30", "00:11:00"),
        ("1:30:00", "01:30:00"),
        ("1-12", "1-12:00:00"),
        ("1-12:30", "1-12:30:00"),
        ("2-0:0:30", "2-00:01:00"),
        ("UNLIMITED", "UNLIMITED"),
    ];
    for (index, (form, limit)) in forms.into_iter().enumerate() {
        let name = format!("time-{index}");
        lab.run(&name, &["--detach", "--sbatch-arg=--hold", "--time", form, "--", "true"]).ok();
        let found = job(&lab, &name);
        assert_fields(&found, &[("TimeLimit", limit), ("Reason", "JobHeldUser")]);
    }
}

#[test]
fn user_text_arrives_as_it_was_written() {
    let lab = Lab::new();
    ALICE.run(&["mkdir", "-p", &format!("{}/a 'b' $(c)", lab.remote_name())]).ok();
    let dir = format!("{}/a 'b' $(c)", lab.remote_home());
    let variables: Vec<String> =
        NASTY.iter().enumerate().map(|(i, text)| format!("TEXT_{i}={text}")).collect();
    let mut words = vec!["--health", "/", "--chdir", &dir];
    for variable in &variables {
        words.extend(["--env", variable]);
    }
    words.extend([
        "--setup",
        "FROM_SETUP='it is' && export FROM_SETUP",
        "--setup",
        "export SECOND=$((1 + 1))",
    ]);
    words.extend(["--", "python3", "-c", MIRROR]);
    words.extend(NASTY);
    words.push("x{port}y");
    let url = lab.run("mirror", &words).ok();

    let told: Value = serde_json::from_str(get(&url).unwrap().body()).unwrap();
    for (index, text) in NASTY.iter().enumerate() {
        assert_eq!(told["env"][format!("TEXT_{index}")], *text);
        assert_eq!(told["words"][index], *text);
    }
    let port = told["env"]["PORT"].as_str().unwrap();
    assert_eq!(told["words"][NASTY.len()], format!("x{port}y"));
    assert_eq!(told["env"]["FROM_SETUP"], "it is");
    assert_eq!(told["env"]["SECOND"], "2");
    assert_eq!(told["cwd"], format!("/home/alice/{}/a 'b' $(c)", lab.remote_name()));
    ALICE.run(&["test", "-e", "/tmp/owned"]).code(1);
}

#[test]
fn a_dry_run_is_what_is_submitted() {
    let lab = Lab::new();
    let words = [
        ["--time", "1:00:00"],
        ["--mem", "100M"],
        ["--partition", "short,gpu"],
        ["--chdir", "/home/alice/it's"],
        ["--env", "API_KEY=s3cr3t-s3cr3t"],
        ["--setup", "umask 027"],
    ]
    .concat();
    let words =
        [&words[..], &["--sbatch-arg=--hold", "--sbatch-arg=--nice=3"], &["--", "serve", "$(id)", "{port}"]]
            .concat();
    let dry = lab.run("dry", &[&["--dry-run"], &words[..]].concat()).ok();
    assert_eq!(lab.jobs(), BTreeMap::new());
    assert_eq!(lab.towline(&["ls", "--all", "--json"]).json(), serde_json::json!([]), "nothing is recorded");

    lab.run("dry", &[&["--detach"], &words[..]].concat()).ok();
    let service = lab.show("dry");
    let (id, job) = (service["id"].as_str().unwrap(), service["job_id"].as_str().unwrap());
    let dry_id = dry.lines().find_map(|line| line.strip_prefix("towline_service=")).unwrap();
    let expected = dry.replace(dry_id, id);
    assert_ne!(dry_id, id);
    let submitted = ALICE.run(&["scontrol", "write", "batch_script", job, "-"]).ok();
    assert_eq!(submitted, expected);
    let dir = format!("{}/services/{id}", lab.remote_name());
    assert_eq!(ALICE.run(&["cat", &format!("{dir}/job.sh")]).ok(), expected);

    assert!(!expected.contains("s3cr3t"), "secrets are in a file of their own");
    assert!(ALICE.run(&["cat", &format!("{dir}/env")]).ok().contains("s3cr3t-s3cr3t"));
    let modes = ALICE.run(&["stat", "-c", "%a", &dir, &format!("{dir}/env")]).ok();
    assert_eq!(modes, "700\n600\n");
    assert!(!lab.towline(&["show", "dry"]).ok().contains("s3cr3t"));
    assert!(!service.to_string().contains("s3cr3t"));
}
