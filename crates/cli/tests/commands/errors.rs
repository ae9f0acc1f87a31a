//! What a person types wrongly, and what is wrong with this machine.

use crate::world::World;

#[test]
fn wrong_command_lines_are_usage_errors() {
    let world = World::new();
    let long = "x".repeat(300);
    for (args, words) in [
        (&["frobnicate"][..], &["unrecognized subcommand"][..]),
        (&["sotp", "web"], &["stop"]),
        (&["run"], &["<CMD>"]),
        (&["run", "python3"], &["--", "python3"]),
        (&["run", "--nmae", "web", "--", "true"], &["--name"]),
        (&["run", "--", "python3 -m http.server"], &["is one word, and no program", "hint:", "sh -c"]),
        (&["run", "--name", "My Web", "--", "true"], &["a-z, 0-9 and '-'"]),
        (&["run", "--name", "a\"b", "--", "true"], &["a-z, 0-9 and '-'"]),
        (&["run", "--name", "$(id)", "--", "true"], &["a-z, 0-9 and '-'"]),
        (&["run", "--name", "a\nb", "--", "true"], &["a-z, 0-9 and '-'"]),
        (&["run", "--name", &long, "--", "true"], &["at most 63 characters"]),
        (&["run", "--name", "", "--", "true"], &["--name"]),
        (
            &["run", "--name", "01a208ee-ef60-7301-9329-a3f9bd62580c", "--", "true"],
            &["a name may not be a UUID", "--help"],
        ),
        (&["run", "--health", "health", "--", "true"], &["bad health", "does not begin with '/'"]),
        (&["run", "--grace", "soon", "--", "true"], &["not a span of time"]),
        (&["run", "--grace", "0", "--", "true"], &["bad grace"]),
        (&["run", "--cpus", "0", "--", "true"], &["--cpus"]),
        (&["run", "--env", "A B=x", "--", "true"], &["bad env", "\"A B\""]),
        (&["run", "--env", "SURELY_NOT_SET", "--", "true"], &["SURELY_NOT_SET=VALUE"]),
        (&["run", "--partition", "gpu", "--", "true"], &["bad partition", "this machine"]),
        (&["run", "--", ""], &["bad command"]),
        (&["wait", "--for", "RUNNING", "web"], &["not a status"]),
        (&["stop"], &["SERVICE"]),
        (&["completion", "tcl"], &["bash"]),
    ] {
        let ran = world.run(args).exits(2).says(words);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    assert!(world.list(&["--all"]).is_empty(), "nothing of it was recorded");
}

#[test]
fn unknown_services_are_not_found() {
    let world = World::new();
    for verb in ["show", "events", "logs", "url", "wait", "stop", "rm", "refresh"] {
        world.run(&[verb, "ghost"]).exits(4).says(&["error: there is no service ghost", "hint:"]);
    }
    world.run(&["tunnel", "open", "ghost"]).exits(4);
    world.run(&["run", "--profile", "ghost", "--", "true"]).exits(4).says(&["there is no profile ghost"]);
}

#[test]
fn a_ledger_that_cannot_be_used_is_told_and_left_alone() {
    let world = World::new();
    let db = world.write(".local/share/towline/towline.db", &"this is no database ".repeat(100));
    let before = std::fs::read(&db).unwrap();
    world.run(&["ls"]).exits(3).says(&["error: ", "towline.db", "hint:"]);
    assert_eq!(std::fs::read(&db).unwrap(), before);

    let file = world.write("file", "");
    let blocked = file.join("data");
    let vars = [("TOWLINE_DATA_DIR", blocked.to_str().unwrap())];
    world.run_with(&vars, &["ls"]).exits(3).says(&["failed to make the directory", "TOWLINE_DATA_DIR"]);

    let vars = [("TOWLINE_DATABASE_URL", "mysql://u:hush@h/d")];
    let ran = world.run_with(&vars, &["ls"]).exits(3).says(&["bad database_url", "mysql"]);
    assert!(!ran.stderr.contains("hush"));
}

#[test]
fn a_damaged_record_hides_no_service() {
    let world = World::new();
    world.run(&["run", "--name", "web", "--", "true"]).exits(8);
    let spoil = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                 db.execute(\"update services set life = '{'\"); db.commit()";
    let ledger = world.path(".local/share/towline/towline.db");
    let spoilt = std::process::Command::new("python3").args(["-c", spoil]).arg(ledger).status().unwrap();
    assert!(spoilt.success());
    world.run(&["show", "web"]).exits(1).says(&["is damaged", "hint:"]);
    world.run(&["run", "--detach", "--name", "web", "--", "sleep", "60"]).exits(0);
    world.run(&["show", "web"]).exits(0);
    world.run(&["stop", "web"]).exits(0);
}

#[test]
fn a_cluster_that_cannot_be_reached_is_told() {
    let world = World::new();
    // Port 9 of this machine: ssh is refused at once, whatever the network is like.
    let config = world.write("ssh_config", "Host nowhere\n  HostName 127.0.0.1\n  Port 9\n");
    world
        .run(&["profile", "add", "far", "--host", "nowhere", "--ssh-config", config.to_str().unwrap()])
        .exits(0);
    world.run(&["run", "--profile", "far", "--name", "web", "--", "true"]).exits(6).says(&[
        "failed to start service web",
        "nothing was sent",
        "nowhere",
        "towline doctor --profile far",
        &format!("`ssh -F {} nowhere`", config.display()),
    ]);
    world.run(&["wait", "web"]).exits(8).says(&["never submitted"]);
}
