//! Profiles that lead nowhere: a clear error, a hint, and nothing lost.

use std::path::Path;
use std::process::Command;

use crate::harness::{Guard, Host, Lab, Output, Running, SOON, on, state_dir};

const ALICE: Host = on("login").as_("alice");

/// A command that would stay, so that a job submitted by mistake would be seen.
const STAY: [&str; 5] = ["--health", "/", "--", "sleep", "600"];

/// Both the check and a run fail in that way; there is no job, and the failed run is on record.
#[track_caller]
fn assert_no_way(lab: &Lab, code: i32, texts: &[&str]) -> Output {
    let checked = lab.towline(&["doctor", "--profile", "lab"]).code(code);
    assert!(checked.stderr.starts_with("error: "), "{checked:?}");
    let failed: Vec<&str> = checked.stdout.lines().filter(|line| line.starts_with("failed ")).collect();
    assert!(!failed.is_empty() && checked.stdout.contains("hint: "), "{checked:?}");
    for text in texts {
        assert!(failed.iter().any(|line| line.contains(text)), "{text}: {checked:?}");
    }
    let run = lab.run("web", &STAY);
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors, ["error: failed to start service web"], "{run:?}");
    let run = run.fails(code, texts);
    let recorded = lab.show("web");
    assert_eq!(recorded["status"], "FAILED");
    assert!(recorded["job_id"].is_null(), "{recorded}");
    assert_eq!(lab.towline(&["ls", "--json"]).json(), serde_json::json!([]));
    assert_eq!(lab.jobs(), std::collections::BTreeMap::new());
    run
}

fn lab_with(change: impl Fn(&Lab, String) -> String) -> Lab {
    let lab = Lab::bare(Guard::shared());
    let config = lab.write_ssh_config(|text| change(&lab, text));
    lab.add_profile(&config, &[]);
    lab
}

#[test]
fn a_host_that_does_not_resolve() {
    let lab = lab_with(|_, text| text.replace("HostName 10.77.1.2", "HostName no-such-host.invalid"));
    assert_no_way(&lab, 6, &["failed to resolve login", "no-such-host.invalid"]);
}

#[test]
fn a_host_that_refuses_the_key() {
    let stranger = |lab: &Lab, text: String| {
        let key = lab.path("stranger");
        let mut keygen = Command::new("ssh-keygen");
        Running::start(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key), b"").finish(SOON).ok();
        text.replace(&state_dir().join("alice_key").display().to_string(), key.to_str().unwrap())
    };
    let lab = lab_with(stranger);
    let run = assert_no_way(&lab, 6, &["login refused the login", "Permission denied (publickey)"]);
    run.says(&["login` must get in without a question: check the user, the key"]);
}

/// The cluster's configuration with another file of known host keys.
fn with_known_hosts(lab: &Lab, text: &str, known: &str) -> String {
    let file = lab.path("known_hosts");
    std::fs::write(&file, known).unwrap();
    text.replace(&state_dir().join("known_hosts").display().to_string(), file.to_str().unwrap())
}

#[test]
fn a_host_key_that_is_not_known() {
    let lab = lab_with(|lab, text| with_known_hosts(lab, &text, ""));
    let run = assert_no_way(&lab, 6, &["the host key of login is not known"]);
    run.says(&["compare the key's fingerprint"]);
    assert_eq!(std::fs::read_to_string(lab.path("known_hosts")).unwrap(), "", "it is not taken for known");
}

#[test]
fn a_host_key_that_has_changed() {
    let other = std::fs::read_to_string(state_dir().join("alice_key.pub")).unwrap();
    let key: Vec<&str> = other.split(' ').take(2).collect();
    let known = format!("10.77.1.2 {}\n", key.join(" "));
    let lab = lab_with(|lab, text| with_known_hosts(lab, &text, &known));
    let run = assert_no_way(&lab, 6, &["the host key of login has changed"]);
    run.says(&["ask the cluster's administrators"]);
}

#[test]
fn no_slurm_on_the_path() {
    let lab = Lab::with_path(Guard::shared(), "");
    let others = r#"ln -s /usr/bin/* "$1/bin/" && rm "$1"/bin/{sbatch,squeue,sacct,scancel,scontrol,sinfo}"#;
    ALICE.run(&["bash", "-c", others, "others", &lab.remote_name()]).ok();
    let run = assert_no_way(&lab, 3, &["sbatch", "PATH"]);
    run.says(&["put Slurm's commands on the PATH"]);
}

#[test]
fn a_home_that_cannot_be_written() {
    let lab = Lab::bare(Guard::shared());
    let ssh_config = state_dir().join("ssh_config");
    let words = ["profile", "add", "lab", "--host", "login", "--home", "/proc/towline", "--ssh-config"];
    lab.towline(&[&words[..], &[ssh_config.to_str().unwrap()]].concat()).ok();
    assert_no_way(&lab, 3, &["/proc/towline"]).says(&["hint: name a directory that you can write"]);
}

#[test]
fn a_profile_that_makes_no_sense() {
    let lab = Lab::bare(Guard::shared());
    let nowhere = Path::new("/no/such/file");
    let add = |words: &[&str]| lab.towline(&[&["profile", "add"][..], words].concat());
    add(&["lab"]).code(2).says(&["--host"]);
    add(&["lab", "--host", "-oProxyCommand=touch /tmp/owned"]).code(2);
    add(&["lab", "--host=-oProxyCommand=touch"]).fails(2, &["bad --host"]);
    add(&["lab", "--host", "a b"]).fails(2, &["bad --host"]);
    add(&["a b", "--host", "login"]).code(2).says(&["is not a profile's name"]);
    add(&["lab", "--host", "login", "--ssh-config", nowhere.to_str().unwrap()]).fails(2, &["/no/such/file"]);
    add(&["local", "--host", "login"]).fails(5, &["local"]);
    add(&["lab", "--host", "login"]).ok();
    add(&["lab", "--host", "other"]).fails(7, &["lab"]);
    let shown = lab.towline(&["profile", "show", "lab"]).ok();
    assert!(shown.contains("login") && !shown.contains("other"), "{shown}");
    lab.run("web", &["--profile", "lba", "--", "true"]).code(2);
    lab.towline(&["run", "--profile", "lba", "--", "true"]).fails(4, &["lba", "did you mean lab?"]);
    lab.towline(&["profile", "show", "lba"]).fails(4, &["did you mean lab?"]);
}
