//! The doctor on a real cluster: each fault is found by the check that is about it, and what to do stands below.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Fault, Guard, Host, Lab, Running, SOON, on, state_dir};

const ALICE: Host = on("login").as_("alice");

/// All that is checked of a cluster reached by SSH, in order.
const CHECKS: [&str; 15] = [
    "profile",
    "ssh-config",
    "host",
    "host-key",
    "authentication",
    "noise",
    "shell",
    "home",
    "quota",
    "slurm",
    "accounting",
    "partitions",
    "accounts",
    "clock",
    "forwarding",
];

/// What the doctor found of the profile `lab`.
struct Found(Vec<Value>);

impl Found {
    #[track_caller]
    fn look(lab: &Lab, code: i32) -> Self {
        let output = lab.towline(&["doctor", "--profile", "lab", "--json"]).code(code);
        assert_eq!(output.stderr.starts_with("error: "), code != 0, "{output:?}");
        let all: Vec<Value> = serde_json::from_str(&output.stdout).unwrap();
        let of_lab: Vec<Value> = all.into_iter().filter(|check| check["profile"] == "lab").collect();
        let names: Vec<&str> = of_lab.iter().map(|check| check["check"].as_str().unwrap()).collect();
        assert_eq!(names, CHECKS);
        Self(of_lab)
    }

    fn text<'a>(&'a self, name: &str, key: &str) -> &'a str {
        let check = self.0.iter().find(|check| check["check"] == name).unwrap();
        check[key].as_str().unwrap_or_default()
    }

    fn with(&self, verdict: &str) -> Vec<&str> {
        let all = self.0.iter().filter(|check| check["verdict"] == verdict);
        all.map(|check| check["check"].as_str().unwrap()).collect()
    }

    /// One check failed, all before it are fine, all after it were not looked at.
    #[track_caller]
    fn ends_at(&self, name: &str, text: &str, hint: &str) {
        let at = CHECKS.iter().position(|check| *check == name).unwrap();
        assert_eq!(self.with("ok"), CHECKS[..at], "{:#?}", self.0);
        assert_eq!(self.with("failed"), [name], "{:#?}", self.0);
        assert_eq!(self.with("skipped"), CHECKS[at + 1..], "{:#?}", self.0);
        self.tells(name, text, hint);
    }

    /// One check came out so, and all others are fine.
    #[track_caller]
    fn only(&self, verdict: &str, name: &str, text: &str, hint: &str) {
        assert_eq!(self.with(verdict), [name], "{:#?}", self.0);
        assert_eq!(self.with("ok").len(), CHECKS.len() - 1, "{:#?}", self.0);
        self.tells(name, text, hint);
    }

    #[track_caller]
    fn tells(&self, name: &str, text: &str, hint: &str) {
        assert!(self.text(name, "text").contains(text), "{text}: {:#?}", self.0);
        assert!(self.text(name, "hint").contains(hint), "{hint}: {:#?}", self.0);
    }

    /// The first command that the hint of a check says to type.
    fn command(&self, name: &str) -> String {
        self.text(name, "hint").split('`').nth(1).unwrap().to_owned()
    }
}

fn lab_with(change: impl Fn(&Lab, String) -> String, options: &[&str]) -> Lab {
    let lab = Lab::bare(Guard::shared());
    let config = lab.write_ssh_config(|text| change(&lab, text));
    lab.add_profile(&config, options);
    lab
}

/// What sshd says of the logins with a key: for each, how many commands came over it.
fn sessions(fingerprint: &str) -> Vec<usize> {
    let log = std::fs::read_to_string(state_dir().join("hosts/login/log/sshd.log")).unwrap();
    let port = |line: &str| line.split(" port ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let logins = log.split_inclusive('\n').scan(0, |end, line| {
        *end += line.len();
        Some((*end, line))
    });
    let logins = logins.filter(|(_, line)| line.contains("Accepted publickey") && line.contains(fingerprint));
    let of = |(end, line): (usize, &str)| {
        let begun = format!(" port {} ", port(line));
        log[end..]
            .lines()
            .filter(|line| line.starts_with("Starting session") && line.contains(&begun))
            .count()
    };
    logins.map(of).collect()
}

#[test]
fn all_is_well() {
    let lab = Lab::bare(Guard::shared());
    let (ssh_config, fingerprint) = lab.own_key();
    lab.add_profile(&ssh_config, &[]);
    let found = Found::look(&lab, 0);
    assert_eq!(found.with("ok"), CHECKS, "{:#?}", found.0);
    assert_eq!(sessions(&fingerprint), [1], "one login, one remote command");
    found.tells("ssh-config", "login is alice@10.77.1.2 port 22", "");
    found.tells("shell", "/bin/bash of alice on login", "");
    found.tells("home", &format!("/home/alice/{} can be written by alice", lab.remote_name()), "");
    found.tells("quota", "GiB free, ", "");
    found.tells("slurm", "22.05", "");
    found.tells(
        "partitions",
        "cpu (default, no time limit, 01:00:00 unless asked for), short (at most 00:02:00",
        "",
    );
    found.tells("accounts", "yours: research (default)", "");
    found.tells("forwarding", "a forward to 10.77.1.2:22 works", "");
    let again = Found::look(&lab, 0);
    again.tells("authentication", "logged in before", "");
    assert_eq!(sessions(&fingerprint), [3], "and a sign of life of a connection that was there");
    assert_eq!(lab.ssh_processes().len(), 1, "{:?}", lab.ssh_processes());
    assert_eq!(lab.forwarded_ports(), Vec::<u16>::new(), "the forward is closed again");
    let left = ALICE.run(&["ls", "-A", &format!("{}/services", lab.remote_name())]).ok();
    assert_eq!(left, "", "nothing is left behind");
}

#[test]
fn every_profile_is_checked() {
    let lab = Lab::new();
    let checked = lab.towline(&["doctor"]).ok();
    let profiles: Vec<&str> =
        checked.lines().filter_map(|line| line.strip_prefix("ok       profile        ")).collect();
    assert_eq!(profiles, ["lab: slurm on alice@login", "local: local on this machine"], "{checked}");
    let one = lab.towline(&["profile", "check", "local"]).ok();
    assert!(!one.contains("lab") && !one.contains("ssh"), "{one}");
}

#[test]
fn a_host_that_refuses_connections() {
    let lab = Lab::alone();
    let fault = Fault::start(&["login-sshd"]);
    Found::look(&lab, 6).ends_at("host", "login refused the connection", "-l alice login` must get there");
    fault.end();
    assert_eq!(Found::look(&lab, 0).with("ok"), CHECKS);
}

#[test]
fn a_network_that_is_gone_behind_a_living_connection() {
    let lab = Lab::alone();
    assert_eq!(Found::look(&lab, 0).with("ok"), CHECKS);
    let fault = Fault::start(&["login-link"]);
    let found = Found::look(&lab, 6);
    found.ends_at("host", "nothing comes back", "the host is down, or a firewall drops it; a VPN perhaps");
    fault.end();
}

#[test]
fn a_host_whose_name_is_not_known() {
    let lab = lab_with(|_, text| text.replace("HostName 10.77.1.2", "HostName no-such-host.invalid"), &[]);
    Found::look(&lab, 6).ends_at("host", "failed to resolve login", "check how the host is written");
}

#[test]
fn a_host_key_that_is_not_known() {
    let none = |lab: &Lab, text: String| {
        let known = lab.path("known_hosts");
        std::fs::write(&known, "").unwrap();
        text.replace(&state_dir().join("known_hosts").display().to_string(), known.to_str().unwrap())
    };
    let lab = lab_with(none, &[]);
    let found = Found::look(&lab, 6);
    found.ends_at("host-key", "the host key of login is not known", "compare the key's fingerprint");
}

#[test]
fn a_key_that_the_host_does_not_take() {
    let stranger = |lab: &Lab, text: String| {
        let key = lab.path("stranger");
        let mut keygen = Command::new("ssh-keygen");
        Running::start(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key), b"").finish(SOON).ok();
        text.replace(&state_dir().join("alice_key").display().to_string(), key.to_str().unwrap())
    };
    let lab = lab_with(stranger, &[]);
    let key = lab.path("stranger").display().to_string();
    let found = Found::look(&lab, 6);
    found.ends_at(
        "authentication",
        &format!("not taken: {key} ED25519; no agent answers"),
        &format!("{key}.pub added"),
    );
}

#[test]
fn start_up_files_that_print() {
    let lab = Lab::alone();
    let fault = Fault::start(&["login-shell", "noise"]);
    let found = Found::look(&lab, 0);
    let text = "print 1 line, first \"*** Welcome to the cluster! Maintenance on Monday. ***\"; towline passes over it";
    found.only("warning", "noise", text, "in front of what prints in ~/.bashrc there");
    fault.end();
}

#[test]
fn a_login_shell_that_runs_nothing() {
    // sshd accepts LC_*, so that only this lab's login is concerned.
    let lab = Lab::bare(Guard::shared());
    let mark = lab.remote_name().replace(['.', '-'], "_");
    let config = lab.write_ssh_config(|text| {
        text.replace("Host login\n", &format!("Host login\n    SetEnv LC_LAB={mark}\n"))
    });
    let quit =
        r#"sed -i "1i [ \"\$LC_LAB\" != $1 ] || { echo This account is closed; exit 1; } # $1" .bashrc"#;
    ALICE.run(&["bash", "-c", quit, "quit", &mark]).ok();
    lab.add_profile(&config, &[]);
    let found = lab.towline(&["doctor", "--profile", "lab", "--json"]);
    ALICE.run(&["sed", "-i", &format!("/# {mark}$/d"), ".bashrc"]).ok();
    let found = Found(serde_json::from_str(&found.code(6).stdout).unwrap());
    found.tells(
        "shell",
        "it printed \"This account is closed\"",
        "must end soon, by itself and without an error",
    );
    assert_eq!(found.with("skipped").first(), Some(&"noise"));
}

#[test]
fn a_home_that_is_full() {
    let lab = Lab::alone();
    let fault = Fault::start(&["home-full"]);
    let found = Found::look(&lab, 3);
    found.tells("home", "No space left on device", "shows what takes most of it");
    found.tells("quota", "nearly full: 0 bytes free", "remove what is not needed");
    assert_eq!((found.with("failed"), found.with("warning")), (vec!["home"], vec!["quota"]));
    fault.end();
    assert_eq!(Found::look(&lab, 0).with("ok"), CHECKS);
}

#[test]
fn a_home_that_is_closed_is_opened_by_what_the_hint_says() {
    let lab = Lab::new();
    ALICE.run(&["mkdir", "-m", "500", &lab.remote_name()]).ok();
    let found = Found::look(&lab, 3);
    found.only("failed", "home", "Permission denied", "chmod u+rwx /home/alice/");
    let fix = found.command("home");
    Running::start(Command::new("bash").args(["-c", &fix]), b"").finish(SOON).ok();
    assert_eq!(Found::look(&lab, 0).with("ok"), CHECKS, "{fix}");
}

#[test]
fn a_controller_that_is_down() {
    let lab = Lab::alone();
    let fault = Fault::start(&["controller"]);
    let found = Found::look(&lab, 6);
    found.tells("slurm", "Unable to contact slurm controller", "running services go on");
    assert_eq!((found.with("failed"), found.with("skipped")), (vec!["slurm"], vec!["partitions"]));
    found.tells("accounts", "yours: research", "");
    fault.end();
}

#[test]
fn accounting_that_is_down() {
    let lab = Lab::alone();
    let fault = Fault::start(&["accounting"]);
    let found = Found::look(&lab, 0);
    found.tells("accounting", "Slurm's accounting gives no answer", "services run without it");
    assert_eq!((found.with("warning"), found.with("skipped")), (vec!["accounting"], vec!["accounts"]));
    found.tells("partitions", "open to you: cpu", "");
    fault.end();
}

#[test]
fn forwarding_that_is_forbidden() {
    let lab = Lab::alone();
    let fault = Fault::start(&["forwarding"]);
    let found = Found::look(&lab, 5);
    found.only(
        "failed",
        "forwarding",
        "administratively prohibited",
        "`AllowTcpForwarding local` in sshd_config",
    );
    fault.end();
}

#[test]
fn a_profile_that_asks_for_what_is_not_there() {
    let file = |lab: &Lab| lab.path("home/.config/towline/config.toml").display().to_string();
    let ask = |options: &[&str], name: &str, text: &str, hint: &str| {
        let lab = lab_with(|_, text| text, options);
        let found = Found::look(&lab, 3);
        found.only("failed", name, text, hint);
        assert!(found.text(name, "hint").contains(&file(&lab)), "{:#?}", found.0);
    };
    ask(
        &["--partition", "gpuu"],
        "partitions",
        "there is no partition gpuu",
        "did you mean gpu? set partition of [profiles.lab]",
    );
    ask(
        &["--partition", "short", "--time", "5"],
        "partitions",
        "longer than partition short allows (00:02:00)",
        "set time",
    );
    ask(
        &["--account", "bobonly"],
        "accounts",
        "you may not charge jobs to account bobonly",
        "to one of: research",
    );
    ask(
        &["--qos", "norml"],
        "accounts",
        "account research has no quality of service norml",
        "did you mean normal?",
    );
}

#[test]
fn what_the_doctor_refuses_slurm_refuses_too() {
    let submit = |options: &[&str]| {
        let words = [&["sbatch", "--test-only", "--wrap", "true"], options].concat();
        ALICE.run(&words)
    };
    let _lab = Lab::new();
    assert_eq!(submit(&["--partition", "gpu", "--account", "research", "--qos", "normal"]).code, 0);
    for refused in [["--partition", "gpuu"], ["--account", "bobonly"], ["--qos", "norml"]] {
        assert_ne!(submit(&refused).code, 0, "{refused:?}");
    }
}
