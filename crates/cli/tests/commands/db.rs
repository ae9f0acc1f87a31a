//! The ledger: where it is, whether it is sound, a copy of it.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::world::World;

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
    std::fs::write(&ledger, vec![0x5a; 20_000]).unwrap();
    let damaged = world.run(&["db", "check"]).exits(3).says(&["restore a copy", ".recover"]);
    assert!(damaged.stdout.contains("file is not a database"), "{damaged:?}");
    world.run(&["ls"]).exits(3).says(&["towline db check"]);
    world.run(&["db", "backup", "other.db"]).exits(3).says(&["is damaged", "towline db check"]);
    assert!(!world.path("other.db").exists());
    std::fs::copy(world.path("copy.db"), &ledger).unwrap();
    world.run(&["db", "check"]).exits(0);
    assert_eq!(world.list(&["--all"]).len(), 2);
}
