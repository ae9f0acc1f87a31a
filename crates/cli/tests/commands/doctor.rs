//! The doctor on this machine: what is fine, what is not, and what to do about it.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use serde_json::Value;

use crate::world::{Ran, World};

const FILE: &str = ".config/towline/config.toml";
const LEDGER: &str = ".local/share/towline/towline.db";

/// A profile whose host refuses at once, whatever the network is like: port 9 of this machine.
fn far(world: &World) {
    let config = world.write("ssh_config", "Host nowhere\n  HostName 127.0.0.1\n  Port 9\n");
    let toml =
        format!("[profiles.far]\nkind = 'slurm'\nhost = 'nowhere'\nssh_config = '{}'\n", config.display());
    world.write(FILE, &toml);
}

/// The check of that name of a profile, or of this machine.
#[track_caller]
fn check(checks: &Value, profile: Option<&str>, name: &str) -> Value {
    let of = |check: &&Value| check["check"] == name && check["profile"].as_str() == profile;
    checks.as_array().unwrap().iter().find(of).unwrap_or_else(|| panic!("no {name}: {checks:#}")).clone()
}

#[track_caller]
fn machine(ran: &Ran, name: &str) -> (String, String, String) {
    let check = check(&ran.json(), None, name);
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("text"), text("hint"))
}

fn mode(world: &World, path: &str, mode: u32) {
    std::fs::set_permissions(world.path(path), Permissions::from_mode(mode)).unwrap();
}

/// A directory with stand-ins for programs: by name, with their text.
fn programs(world: &World, all: &[(&str, &str)]) -> PathBuf {
    std::fs::create_dir_all(world.path("bin")).unwrap();
    for (name, text) in all {
        world.write(format!("bin/{name}").as_str(), text);
        mode(world, &format!("bin/{name}"), 0o755);
    }
    world.path("bin")
}

#[test]
fn this_machine_passes_its_checks() {
    let world = World::new();
    let stdout = world.run(&["doctor"]).exits(0).stdout;
    let names: Vec<&str> = stdout.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(
        names,
        ["config", "ledger", "directories", "permissions", "profile", "shell", "home"],
        "{stdout}"
    );
    assert!(stdout.lines().all(|line| line.starts_with("ok       ")), "{stdout}");
    assert!(!world.path(LEDGER).exists(), "a look makes nothing");
    world.run(&["run", "--name", "web", "--", "true"]).exits(8);
    let stdout = world.run(&["profile", "check"]).exits(0).stdout;
    assert!(stdout.contains("sound, 1 service\n"), "{stdout}");
    assert!(stdout.lines().all(|line| line.starts_with("ok       ")), "{stdout}");
}

#[test]
fn the_json_is_a_list_of_checks() {
    let world = World::new();
    far(&world);
    let ran = world.run(&["doctor", "--json"]).exits(6).says(&["the check of host of profile far failed"]);
    let checks = ran.json();
    for check in checks.as_array().unwrap() {
        let keys: Vec<&String> = check.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["check", "hint", "profile", "text", "verdict"]);
    }
    let of = |profile: Option<&str>| {
        let all = checks.as_array().unwrap().iter().filter(|check| check["profile"].as_str() == profile);
        all.map(|check| (check["check"].as_str().unwrap(), check["verdict"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let ok = |names: &[&'static str]| names.iter().map(|name| (*name, "ok")).collect::<Vec<_>>();
    assert_eq!(of(None), ok(&["config", "ledger", "directories", "permissions", "ssh", "control-path"]));
    assert_eq!(of(Some("local")), ok(&["profile", "shell", "home"]));
    let skipped = [
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
    let mut expected = ok(&["profile", "ssh-config"]);
    expected.push(("host", "failed"));
    expected.extend(skipped.map(|name| (name, "skipped")));
    assert_eq!(of(Some("far")), expected);
    let host = check(&checks, Some("far"), "host");
    assert!(host["text"].as_str().unwrap().contains("refused the connection"), "{host}");
    assert!(host["hint"].as_str().unwrap().contains("nothing takes SSH connections there"), "{host}");
    assert_eq!(check(&checks, Some("far"), "clock")["text"], "not looked at: host failed");
}

#[test]
fn a_profile_that_is_not_there_is_not_found() {
    let world = World::new();
    far(&world);
    let ran = world.run(&["doctor", "--profile", "fra"]).exits(4);
    assert_eq!(ran.stdout, "");
    ran.says(&["there is no profile fra", "did you mean far?"]);
    world.write(FILE, "default_profile = 'gone'\n");
    world.run(&["doctor"]).exits(0);
    let ran = world.run(&["profile", "check"]).exits(4);
    assert!(ran.stdout.contains("failed   profile        there is no profile gone"), "{ran:?}");
}

#[test]
fn a_configuration_of_ssh_that_is_not_there_is_told() {
    let world = World::new();
    far(&world);
    std::fs::remove_file(world.path("ssh_config")).unwrap();
    let ran = world.run(&["doctor", "--profile", "far"]).exits(3);
    assert!(ran.stdout.contains("failed   profile        there is no SSH configuration "), "{ran:?}");
    assert!(ran.stdout.contains("skipped  host           not looked at: profile failed"), "{ran:?}");
    world.write("ssh_config", "Host nowhere\n  Bogus yes\n");
    let ran = world.run(&["doctor", "--profile", "far"]).exits(3);
    assert!(ran.stdout.contains("Bad configuration option: bogus"), "{ran:?}");
    assert!(
        ran.stdout.contains(&format!("`ssh -G -F {} nowhere` must work", world.path("ssh_config").display()))
    );
}

#[test]
fn what_other_users_can_read_or_change_is_told_with_the_command_that_ends_it() {
    let world = World::new();
    world.run(&["run", "--name", "web", "--", "true"]).exits(8);
    mode(&world, ".local/share/towline", 0o755);
    let (verdict, text, hint) = machine(&world.run(&["doctor", "--json"]).exits(0), "permissions");
    assert_eq!(verdict, "warning");
    assert!(text.contains("can be read by other users (mode 0755)"), "{text}");
    assert_eq!(hint, format!("`chmod 700 {}`", world.path(".local/share/towline").display()));

    mode(&world, LEDGER, 0o666);
    world.write(FILE, "[profiles.box]\nkind = 'local'\nenv = { TOKEN = 'hush' }\n");
    mode(&world, FILE, 0o644);
    let ran = world.run(&["doctor", "--json"]).exits(3);
    let (verdict, text, hint) = machine(&ran, "permissions");
    assert_eq!(verdict, "failed");
    assert!(text.contains("towline.db can be changed by other users (mode 0666)"), "{text}");
    assert!(text.contains("config.toml can be read by other users (mode 0644)"), "{text}");
    assert!(!ran.stdout.contains("hush"));
    let command = hint.trim_matches('`');
    assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success(), "{hint}");
    assert_eq!(machine(&world.run(&["doctor", "--json"]).exits(0), "permissions").0, "ok", "{hint}");
}

#[test]
fn a_ledger_that_is_damaged_is_told() {
    let world = World::new();
    world.run(&["run", "--name", "web", "--", "true"]).exits(8);
    let spoil = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                 db.execute(\"update services set life = '{'\"); db.commit()";
    let ledger = world.path(LEDGER);
    let spoilt = std::process::Command::new("python3").args(["-c", spoil]).arg(&ledger).status().unwrap();
    assert!(spoilt.success());
    let (verdict, text, hint) = machine(&world.run(&["doctor", "--json"]).exits(0), "ledger");
    assert_eq!(verdict, "warning", "others go on");
    assert!(
        text.contains("the record of service web") && hint.contains("`towline db check`"),
        "{text} {hint}"
    );
    std::fs::write(&ledger, "this is no database ".repeat(500)).unwrap();
    let (verdict, text, hint) = machine(&world.run(&["doctor", "--json"]).exits(3), "ledger");
    assert_eq!(verdict, "failed");
    assert!(text.contains("not a database") && hint.contains("`towline db check`"), "{text} {hint}");
    world.run_with(&[("TOWLINE_DATABASE_URL", "mysql://u:hush@h/d")], &["doctor"]).exits(3);
}

#[test]
fn directories_that_cannot_be_written_are_told() {
    let world = World::new();
    let file = world.write("file", "");
    let blocked = file.join("data");
    let ran =
        world.run_with(&[("TOWLINE_DATA_DIR", blocked.to_str().unwrap())], &["doctor", "--json"]).exits(3);
    let (verdict, text, hint) = machine(&ran, "directories");
    assert_eq!(verdict, "failed");
    assert!(text.starts_with(&format!("{} cannot be written", file.display())), "{text}");
    assert!(hint.contains("TOWLINE_DATA_DIR"), "{hint}");
}

#[test]
fn a_directory_for_sockets_that_is_too_long_is_told() {
    let world = World::new();
    far(&world);
    let long = world.path("x".repeat(80));
    std::fs::create_dir(&long).unwrap();
    let checked = |dir: &str| {
        let ran =
            world.run_with(&[("XDG_RUNTIME_DIR", dir)], &["doctor", "--profile", "far", "--json"]).exits(6);
        machine(&ran, "control-path")
    };
    let (verdict, text, hint) = checked(long.to_str().unwrap());
    assert_eq!(verdict, "warning");
    assert!(text.contains("is too long for sockets, so that /tmp/towline-"), "{text}");
    assert!(hint.contains("set XDG_RUNTIME_DIR to a short absolute path"), "{hint}");
    let odd = world.path("odd%h");
    std::fs::create_dir(&odd).unwrap();
    let (verdict, text, _) = {
        let vars = [("XDG_RUNTIME_DIR", odd.to_str().unwrap())];
        machine(&world.run_with(&vars, &["doctor", "--profile", "far", "--json"]).exits(3), "control-path")
    };
    assert!(verdict == "failed" && text.contains("which ssh would expand"), "{text}");
}

#[test]
fn without_ssh_no_cluster_is_looked_at() {
    let world = World::new();
    far(&world);
    let bin = programs(&world, &[]);
    let ran = world.run_with(&[("PATH", bin.to_str().unwrap())], &["doctor", "--json"]).exits(3);
    let (verdict, text, hint) = machine(&ran, "ssh");
    assert_eq!(
        (verdict.as_str(), text.starts_with("failed to find the program ssh")),
        ("failed", true),
        "{text}"
    );
    assert!(hint.contains("openssh-client"), "{hint}");
    assert_eq!(check(&ran.json(), Some("far"), "host")["text"], "not looked at: ssh failed");
    let shell = check(&ran.json(), Some("local"), "shell");
    assert_eq!(shell["text"], "not on PATH: bash, setsid");
}

#[test]
fn an_ssh_that_is_old_is_told_and_one_that_is_no_openssh_refused() {
    let world = World::new();
    far(&world);
    let says = |version: &str| {
        let text = format!(
            "#!/bin/sh\n[ \"$1\" != -V ] || {{ echo '{version}' >&2; exit; }}\nexec /usr/bin/ssh \"$@\"\n"
        );
        let bin = programs(&world, &[("ssh", &text)]);
        bin.display().to_string()
    };
    let checked = |path: String, code| {
        let ran =
            world.run_with(&[("PATH", path.as_str())], &["doctor", "--profile", "far", "--json"]).exits(code);
        (
            machine(&ran, "ssh"),
            check(&ran.json(), Some("far"), "host")["verdict"].as_str().unwrap().to_owned(),
        )
    };
    let ((verdict, text, hint), host) = checked(says("OpenSSH_7.4p1, OpenSSL 1.0.2k-fips  26 Jan 2017"), 6);
    assert_eq!((verdict.as_str(), host.as_str()), ("warning", "failed"), "it may work all the same");
    assert!(text.ends_with("is older than 8.0") && hint.contains("`ssh -V`"), "{text} {hint}");
    let ((verdict, text, _), host) = checked(says("Dropbear v2022.83"), 3);
    assert_eq!((verdict.as_str(), host.as_str()), ("failed", "skipped"));
    assert!(text.contains("no OpenSSH"), "{text}");
}

#[test]
fn a_broken_configuration_hides_nothing_of_the_rest() {
    let world = World::new();
    world.write(FILE, "defualt_profile = 'lab'\n");
    let ran = world.run(&["doctor", "--json"]).exits(3);
    assert_eq!(machine(&ran, "config").0, "failed");
    assert_eq!(machine(&ran, "directories").0, "ok");
    assert_eq!(machine(&ran, "ledger").1, "not looked at: config failed");
}

#[test]
fn a_socket_directory_of_somebody_else_is_refused() {
    let world = World::new();
    far(&world);
    std::fs::create_dir(world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), world.path("towline")).unwrap();
    let ran = world.run(&["doctor", "--profile", "far"]).exits(3);
    assert!(ran.stdout.contains("failed   profile"), "{ran:?}");
    assert!(ran.stdout.contains("hint: have it removed, or set XDG_RUNTIME_DIR"), "{ran:?}");
}
