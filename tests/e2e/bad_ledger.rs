//! A ledger that cannot be used: a clear error, nothing submitted, and nothing lost once it can be used again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::harness::{Lab, Output, Running, SOON, eventually};

const STAY: [&str; 5] = ["--health", "/", "--", "sleep", "600"];

fn ledger(lab: &Lab) -> PathBuf {
    lab.data_dir().join("towline.db")
}

/// Runs Python with the ledger's path as its argument.
fn python(lab: &Lab, text: &str) -> Running {
    Running::start(Command::new("python3").args(["-u", "-c", text]).arg(ledger(lab)), b"")
}

/// The service `web` is as it was: one job, the same URL.
#[track_caller]
fn assert_nothing_lost(lab: &Lab, url: &str) {
    let listed = lab.towline(&["ls", "--json"]).json();
    let services = listed.as_array().unwrap();
    assert_eq!(services.len(), 1, "{listed}");
    assert_eq!(
        (services[0]["status"].as_str(), services[0]["url"].as_str()),
        (Some("HEALTHY"), Some(url)),
        "{listed}"
    );
    assert_eq!(lab.living_jobs().len(), 1);
}

#[test]
fn a_ledger_that_somebody_else_holds() {
    let lab = Lab::new();
    let url = lab.run_web("web", &[]);
    let holder = python(
        &lab,
        "import sqlite3, sys, time\n\
         db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
         db.execute('BEGIN EXCLUSIVE')\n\
         print('held')\n\
         time.sleep(600)",
    );
    eventually("the lock", SOON, || holder.stdout().contains("held").then_some(()));
    lab.run("other", &STAY).fails(7, &["towline.db", "locked", "hint: wait until the other program"]);
    drop(holder);
    assert_nothing_lost(&lab, &url);
    lab.towline(&["show", "other"]).code(4);
}

/// Runs `words` where a command of root has changed the mounts first, for this one process alone.
fn with_mounts(lab: &Lab, mounts: &str, words: &[&str]) -> Output {
    let towline = lab.command();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "bash", "-euc", &format!("{mounts}\nshift; exec \"$@\""), "with_mounts"]);
    command.arg(lab.data_dir()).arg(towline.get_program()).args(words).env_clear();
    command.envs(towline.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Running::start(&mut command, b"").finish(Duration::from_secs(60))
}

#[test]
fn a_ledger_that_is_read_only() {
    let lab = Lab::new();
    let url = lab.run_web("web", &[]);
    let read_only = r#"mount --bind "$1" "$1"; mount -o remount,ro,bind "$1""#;
    let run =
        with_mounts(&lab, read_only, &[&["run", "--profile", "lab", "--name", "other"][..], &STAY].concat());
    run.fails(3, &["towline.db", "hint: make it writable"]);
    with_mounts(&lab, read_only, &["stop", "web"]).fails(3, &["towline.db"]);
    let checked = with_mounts(&lab, read_only, &["doctor"]).code(3);
    assert!(checked.stdout.contains("towline.db cannot be written: Read-only file system"), "{checked:?}");
    assert!(checked.stdout.contains("failed   directories "), "{checked:?}");
    assert_nothing_lost(&lab, &url);
}

#[test]
fn a_disk_that_is_full() {
    let lab = Lab::new();
    let url = lab.run_web("web", &[]);
    let full = r#"
        mkdir -p "$1.full"; mount -t tmpfs -o size=1m tmpfs "$1.full"; cp "$1"/towline.db* "$1.full/"
        mount --bind "$1.full" "$1"; head -c 2m /dev/zero >"$1/fill" 2>/dev/null || true"#;
    let run = with_mounts(&lab, full, &[&["run", "--profile", "lab", "--name", "other"][..], &STAY].concat());
    run.fails(1, &["no space is left", "hint: free some space"]);
    // What was written before the disk was full decides whether the ledger can still be read.
    let checked = with_mounts(&lab, full, &["doctor"]);
    assert!([1, 3].contains(&checked.code), "{checked:?}");
    let line = checked.stdout.lines().find(|line| line.starts_with("failed   directories ")).unwrap();
    assert!(line.contains("No space left on device"), "{checked:?}");
    assert_nothing_lost(&lab, &url);
}

#[test]
fn a_ledger_that_is_garbage() {
    let lab = Lab::new();
    let url = lab.run_web("web", &[]);
    let settle =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')";
    python(&lab, settle).finish(SOON).ok();
    let good = fs::read(ledger(&lab)).unwrap();
    let garbage = "this is no database\n".repeat(200);
    fs::write(ledger(&lab), &garbage).unwrap();
    lab.run("other", &STAY).fails(3, &["towline.db", "hint: `towline db check` tells what is damaged"]);
    lab.towline(&["ls"]).fails(3, &["towline.db"]);
    let checked = lab.towline(&["doctor", "--profile", "lab"]).code(3);
    assert!(
        checked.stdout.lines().any(|line| line.starts_with("failed") && line.contains("ledger")),
        "{checked:?}"
    );
    assert_eq!(fs::read_to_string(ledger(&lab)).unwrap(), garbage, "it is left as it was found");
    fs::write(ledger(&lab), good).unwrap();
    assert_nothing_lost(&lab, &url);
}

#[test]
fn a_ledger_of_a_newer_program() {
    let lab = Lab::new();
    let url = lab.run_web("web", &[]);
    let change = |statement: &str| {
        let text = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n";
        python(&lab, &format!("{text}db.execute({statement:?})\ndb.commit()")).finish(SOON).ok();
    };
    change("INSERT INTO towline_migrations VALUES ('m29990101_000000_of_the_future', 0)");
    lab.run("other", &STAY).fails(3, &["newer", "m29990101_000000_of_the_future", "hint: update towline"]);
    lab.towline(&["ls"]).fails(3, &["newer"]);
    change("DELETE FROM towline_migrations WHERE version LIKE 'm2999%'");
    assert_nothing_lost(&lab, &url);
}

#[test]
fn a_configuration_that_is_wrong() {
    let lab = Lab::new();
    let file = lab.path("home/.config/towline/config.toml");
    let good = fs::read_to_string(&file).unwrap();
    let cases = [
        (good.replace("host =", "hots ="), "hots"),
        (format!("{good}\ncpus = \"many\"\n"), "cpus"),
        (format!("{good}\n[profiles.lab\n"), "config.toml"),
        (format!("database_url = \"mysql://x:s3cr3t@y/z\"\n{good}"), "database_url"),
    ];
    for (text, word) in cases {
        fs::write(&file, text).unwrap();
        let run = lab.run("web", &STAY).fails(3, &[word, "config"]);
        assert!(!run.stderr.contains("s3cr3t"), "{run:?}");
        lab.towline(&["doctor", "--profile", "lab"]).code(3);
    }
    fs::write(&file, good).unwrap();
    assert_eq!(lab.towline(&["ls", "--all", "--json"]).json(), serde_json::json!([]));
}
