//! The ledger: where it is, whether it is sound, a copy of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::world::{Ran, World};

const LEDGER: &str = ".local/share/towline/towline.db";

/// Runs SQL on the ledger as another program would.
fn spoil(world: &World, sql: &str) {
    let script =
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit()";
    let ledger = world.path(LEDGER);
    let args = ["-c", script, ledger.to_str().unwrap(), sql];
    assert!(Command::new("python3").args(args).status().unwrap().success());
}

#[test]
fn the_ledgers_place_is_told_without_a_password() {
    let world = World::new();
    let path = world.path(LEDGER);
    assert_eq!(world.run(&["db", "path"]).exits(0).stdout.trim_end(), path.to_str().unwrap());
    assert!(!path.exists(), "nothing is made for that");
    let told = world.run(&["db", "path", "--json"]).exits(0).json();
    assert_eq!(told, serde_json::json!({ "ledger": path, "database": "sqlite" }));
    let vars = [("TOWLINE_DATABASE_URL", "postgres://u:hush@127.0.0.1:1/towline?password=hush")];
    let told = world.run_with(&vars, &["db", "path", "--json"]).exits(0).json();
    let expected =
        serde_json::json!({ "ledger": "postgres://u@127.0.0.1:1/towline", "database": "postgresql" });
    assert_eq!(told, expected);
    let refused = world.run_with(&vars, &["db", "backup", "copy"]).exits(5).says(&["hint: `pg_dump"]);
    assert!(!refused.stderr.contains("hush"));
    world.run_with(&vars, &["db", "check"]).exits(3).says(&["failed to check the ledger", "127.0.0.1:1"]);
}

#[test]
fn a_ledger_is_checked_and_copied_and_restored() {
    let world = World::new();
    for verb in [&["db", "check"][..], &["db", "backup", "copy.db"]] {
        world.run(verb).exits(4).says(&["there is no ledger at", "hint:"]);
    }
    world.run(&["run", "--name", "web", "--", "true"]).exits(8);
    world.run(&["run", "--name", "db", "--", "true"]).exits(8);
    let sound = world.run(&["db", "check"]).exits(0);
    assert!(sound.stdout.contains("sound; 2 services"), "{sound:?}");
    let checked = world.run(&["db", "check", "--json"]).exits(0).json();
    assert_eq!((&checked["sound"], &checked["services"]), (&true.into(), &2.into()));
    assert_eq!(checked["problems"], serde_json::json!([]));

    world.run(&["db", "backup", "copy.db"]).exits(0).says(&["is copied to copy.db"]);
    assert_eq!(world.path("copy.db").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    world.run(&["db", "backup", "copy.db"]).exits(7).says(&["copy.db is there already", "--force"]);
    world.run(&["db", "backup", "--force", "copy.db"]).exits(0);
    world.run(&["db", "backup", "--force", LEDGER]).exits(2).says(&["is the ledger itself"]);
    world.run(&["db", "backup", "no/such/copy.db"]).exits(3).says(&["failed to write no/such/copy.db"]);

    spoil(&world, "update services set life = '{' where name = 'web'");
    let damaged = world.run(&["db", "check"]).exits(3);
    assert!(
        damaged.stdout.contains("the record of service web (")
            && damaged.stdout.contains("damaged; 1 services")
    );
    damaged.says(&["is damaged: 1 problem", "the other services go on", "restore a copy"]);
    world.run(&["show", "web"]).exits(1).says(&["towline db check"]);
    let checked = world.run(&["db", "check", "--json"]).exits(3).json();
    assert_eq!((&checked["problems"][0]["of"], &checked["sound"]), (&"service".into(), &false.into()));

    let ledger = world.path(LEDGER);
    let mut pages = fs::read(world.path("copy.db")).unwrap();
    pages[4096..].fill(0x5a);
    fs::write(&ledger, pages).unwrap();
    let damaged = world.run(&["db", "check"]).exits(3).says(&["is damaged", "restore a copy", ".recover"]);
    assert!(damaged.stdout.contains("the database is damaged: "), "{damaged:?}");
    world.run(&["ls"]).exits(3).says(&["towline db check"]);
    world.run(&["db", "backup", "other.db"]).exits(3).says(&["is damaged", "towline db check"]);
    assert!(!world.path("other.db").exists());
    fs::copy(world.path("copy.db"), &ledger).unwrap();
    world.run(&["db", "check"]).exits(0);
    assert_eq!(world.list(&["--all"]).len(), 2);
}

#[test]
fn what_is_no_ledger_is_told_and_takes_no_copys_place() {
    let world = World::new();
    world.run(&["run", "--name", "web", "--", "true"]).exits(8);
    world.run(&["db", "backup", "copy.db"]).exits(0);
    let copy = fs::read(world.path("copy.db")).unwrap();
    let ledger = world.path(LEDGER);

    fs::write(&ledger, "").unwrap();
    let empty = world.run(&["db", "check"]).exits(4).says(&["is empty", "hint: the first `towline run`"]);
    assert_eq!(empty.stdout, "");
    world.run(&["db", "backup", "--force", "copy.db"]).exits(4).says(&["is empty", "towline db backup"]);

    let text = "this is no database\n".repeat(200);
    fs::write(&ledger, &text).unwrap();
    let no_database = world.run(&["db", "check"]).exits(3).says(&["it is no database", "TOWLINE_DATA_DIR"]);
    assert!(no_database.stdout.contains("file is not a database"), "{no_database:?}");
    assert!(no_database.stdout.contains("towline.db: no ledger; 0 services"), "{no_database:?}");
    no_database.says(&["if it was the ledger, restore a copy"]);
    world.run(&["db", "backup", "--force", "copy.db"]).exits(3).says(&["file is not a database"]);
    assert_eq!(fs::read_to_string(&ledger).unwrap(), text, "it is left as it was found");

    fs::write(&ledger, "").unwrap();
    spoil(&world, "create table bookmarks (url text)");
    let foreign = world.run(&["db", "check"]).exits(3).says(&["a database of another program"]);
    let checked = world.run(&["db", "check", "--json"]).exits(3).json();
    assert_eq!((&checked["problems"][0]["of"], &checked["sound"]), (&"database".into(), &false.into()));
    let url = format!("sqlite://{}", ledger.display());
    let elsewhere = world.run_with(&[("TOWLINE_DATABASE_URL", &url)], &["db", "check"]).exits(3);
    for (ran, told, not) in [
        (&foreign, "TOWLINE_DATA_DIR", "towline config show"),
        (&elsewhere, "let database_url name", "DATA_DIR"),
    ] {
        assert!(ran.stderr.contains(told) && !ran.stderr.contains(not), "{ran:?}");
        assert!(!ran.stderr.contains("restore") && !ran.stderr.contains(".recover"), "{ran:?}");
    }
    world.run(&["db", "backup", "--force", "copy.db"]).exits(3).says(&["of another program"]);
    assert_eq!(fs::read(world.path("copy.db")).unwrap(), copy);
}

#[test]
fn a_copy_needs_a_files_name() {
    let world = World::new();
    world.run(&["run", "--name", "web", "--", "true"]).exits(8);
    fs::create_dir(world.path("dir")).unwrap();
    for (name, words) in [
        ("", &["<FILE>"][..]),
        ("-", &["not written to standard output", "hint: name a file"]),
        ("dir", &["dir is there, and is no regular file", "hint: name a file"]),
        ("/dev/null", &["no regular file"]),
    ] {
        for verb in [&["db", "backup", name][..], &["db", "backup", "--force", name]] {
            let refused = world.run(verb).exits(2).says(words);
            assert!(!refused.stderr.contains("--force"), "{refused:?}");
        }
    }
    assert!(!world.path("-").exists());
    world.run(&["db", "backup", "./-"]).exits(0).says(&["is copied to ./-"]);
    let odd = world.run(&["db", "backup", "\u{1b}[31mred.db"]).exits(0).says(&["\u{fffd}[31mred.db"]);
    assert!(!odd.stderr.contains('\u{1b}'), "{odd:?}");
    assert!(world.path("\u{1b}[31mred.db").exists());
}

/// The program in `world`, by somebody whom permissions stop; `None` if this machine does not let us be another.
fn run_as_a_user(world: &World, args: &[&str]) -> Option<Ran> {
    const NOBODY: [&str; 4] = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let plain = world.command(args);
    if world.path("").metadata().unwrap().uid() != 65_534 {
        return Some(world.run(args));
    }
    let set_user = || {
        let mut command = Command::new("setpriv");
        command.args(NOBODY).arg(plain.get_program()).env_clear().current_dir(world.path(""));
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    };
    let can = set_user().arg("--version").output();
    can.is_ok_and(|output| output.status.success()).then(|| set_user().args(args).output().unwrap().into())
}

#[test]
fn a_ledger_that_may_only_be_read_is_read() {
    let world = World::new();
    world.run(&["run", "--detach", "--name", "web", "--", "sleep", "600"]).exits(0);
    let home = world.path("");
    let is_root = home.metadata().unwrap().uid() == 0;
    if is_root {
        assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(&home).status().unwrap().success());
    }
    let data = world.path(Path::new(LEDGER).parent().unwrap());
    let set_mode =
        |modes: &str| Command::new("chmod").args(["-R", modes]).arg(&data).status().unwrap().success();
    assert!(set_mode("a-w"));
    let Some(listed) = run_as_a_user(&world, &["ls", "--no-refresh", "--json"]) else {
        return eprintln!("SKIPPED: setpriv(1) cannot run this program as another user here");
    };
    assert_eq!(listed.exits(0).json()[0]["name"], "web");
    let run = |args: &[&str]| run_as_a_user(&world, args).unwrap();
    for verb in [&["show", "--no-refresh", "web"][..], &["events", "web"], &["db", "check"]] {
        run(verb).exits(0);
    }
    run(&["db", "backup", "copy.db"]).exits(0);
    let looked = run(&["ls"]).exits(0).says(&["profile local was not looked at", "is read-only"]);
    assert!(looked.stdout.contains("web"), "{looked:?}");
    for verb in [&["refresh", "web"][..], &["stop", "web"], &["run", "--name", "other", "--", "true"]] {
        let refused = run(verb).exits(3).says(&["is read-only", "hint: make it writable, its directory too"]);
        assert!(refused.stderr.contains("TOWLINE_DATABASE_URL"), "{refused:?}");
    }
    assert!(set_mode("u+w"));
}
