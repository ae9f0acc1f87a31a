//! Keys that services ask their clients for.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::world::{World, eventually};

const PROJECT: &str = "towline/recipes";

/// A server that asks for a key everywhere but at its health path.
const GUARDED: &str = include_str!("../../../../tests/servers/guarded.py");

#[test]
fn a_key_reaches_the_server_and_nobody_else() {
    let world = World::new();
    let text = "summary = 's'\ncommand = ['sh', '-c', 'echo ${{#KEY}} here; exit 1']\nport = 'environment'\n[secret]\nenv = 'KEY'\n";
    world.write(&format!("{PROJECT}/safe.toml"), text);
    let file = world.write("key", "s3cret-of-mine\n");
    let of_file = format!("file:{}", file.display());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    world.run(&["run", "safe", "--api-key", &of_file]).exits(3).says(&["can be read by others", "chmod 600"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let vars = [("MY_KEY", "0ther-secret")];
    let mut seen = String::new();
    for (how, length) in [(of_file.as_str(), "14"), ("env:MY_KEY", "12"), ("none", "0")] {
        let ran = world.run_with(&vars, &["run", "safe", "--name", "app", "--api-key", how]).exits(8);
        seen += &ran.says(&[&format!("  | {length} ")]).stderr;
    }
    seen += &world.run_with(&vars, &["run", "safe", "--dry-run", "--api-key", "env:MY_KEY"]).exits(0).stdout;
    for look in
        [&["show", "app"][..], &["show", "--json", "app"], &["ls", "-a", "--json"], &["events", "app"]]
    {
        seen += &world.run(look).exits(0).stdout;
    }
    assert!(seen.contains("KEY") && !seen.contains("s3cret") && !seen.contains("0ther"), "{seen}");
    for slip in ["s3cret:of-mine", "env:s3cret-of-mine"] {
        let ran = world.run(&["run", "safe", "--api-key", slip]).exits(2);
        assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    }
    let vars = [("MY_KEY", "one,two")];
    world.run_with(&vars, &["run", "safe", "--api-key", "env:MY_KEY"]).exits(2).says(&["without a comma"]);
}

fn guarded(world: &World, secret: &str, words: &str) {
    let server = world.write("server.py", GUARDED);
    let command = format!("['python3', '{}', '{{port}}'{words}]", server.display());
    world.write(
        &format!("{PROJECT}/guarded.toml"),
        &format!("summary = 's'\ncommand = {command}\n[secret]\n{secret}\n"),
    );
}

/// The status that a server answers to a client with this key.
fn status(url: &str, key: Option<&str>) -> u16 {
    let mut command = std::process::Command::new("curl");
    command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", url]);
    if let Some(key) = key {
        command.args(["-H", &format!("Authorization: Bearer {key}")]);
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap().parse().unwrap()
}

#[test]
fn a_service_that_can_check_a_key_has_a_random_one() {
    let world = World::new();
    for (secret, words) in [("env = 'KEY'", ""), ("file = true", ", ['{secret-file}']")] {
        guarded(&world, secret, words);
        let ran = world.run(&["run", "guarded", "--name", "one"]).exits(0).says(&["towline key one"]);
        let url = ran.stdout.trim();
        let key = world.run(&["key", "one"]).exits(0).stdout.trim().to_owned();
        assert!(key.starts_with("tl-") && key.len() == 67, "{key}");
        assert_eq!([status(url, None), status(url, Some("wrong")), status(url, Some(&key))], [401, 401, 200]);
        let env = world.run(&["env", "one"]).exits(0).stdout;
        assert_eq!(env, format!("export OPENAI_BASE_URL={url}/v1\nexport OPENAI_API_KEY={key}\n"));
        let json = world.run(&["env", "one", "--json"]).exits(0).json();
        assert_eq!(
            (json["OPENAI_BASE_URL"].as_str(), json["OPENAI_API_KEY"].as_str()),
            (Some(&*format!("{url}/v1")), Some(&*key))
        );
        assert_eq!(world.run(&["key", "one", "--json"]).exits(0).json()["key"], Value::from(key.clone()));
        assert_eq!(world.list(&[])[0]["needs_key"], Value::Bool(true));
        assert_nowhere(&world, &key);
        world.run(&["stop", "one"]).exits(0);
        world.run(&["env", "one"]).exits(5).says(&["has no URL"]);
        world.run(&["rm", "one"]).exits(0);
    }
}

#[test]
fn a_key_that_was_typed_is_taken_off_the_command_line() {
    let world = World::new();
    guarded(&world, "env = 'KEY'", "");
    let mut waiting = world
        .command(&["run", "guarded", "--name", "one", "--health", "/never", "--api-key", "hush-hush-hush"])
        .spawn()
        .unwrap();
    eventually("the server runs", || {
        world.list(&[]).first().filter(|service| service["job_id"].is_string()).map(drop)
    });
    let words = std::fs::read(format!("/proc/{}/cmdline", waiting.id())).unwrap();
    let words = String::from_utf8(words).unwrap();
    assert!(words.contains("--api-key\0taken:"), "{words}");
    let taken = words.split("taken:").nth(1).unwrap().split('\0').next().unwrap();
    assert!(!Path::new(taken).exists(), "it is read once");
    assert_eq!(world.run(&["key", "one"]).exits(0).stdout, "hush-hush-hush\n");
    assert_nowhere(&world, "hush-hush-hush");
    world.run(&["stop", "one"]).exits(0);
    waiting.wait().unwrap();
}

#[test]
fn a_service_without_a_key_says_so_and_gets_nobody_elses() {
    let world = World::new();
    guarded(&world, "env = 'KEY'", "");
    let url = world.run(&["run", "guarded", "--name", "open", "--api-key", "none"]).exits(0).stdout;
    assert_eq!(status(url.trim(), None), 200);
    world.run(&["key", "open"]).exits(4).says(&["service open has no key"]);
    world.run(&["key", "opne"]).exits(4);
    assert!(world.run(&["env", "open"]).exits(0).stdout.ends_with("export OPENAI_API_KEY=none\n"));
    let vars = [("KEY", "of-mine")];
    world.run_with(&vars, &["run", "guarded", "--name", "mine", "--env", "KEY"]).exits(0);
    assert_eq!(world.run(&["key", "mine"]).exits(0).stdout, "of-mine\n");
}

/// Checks that a key is in no file that others could read, in no command line, and in nothing that the program tells.
#[track_caller]
fn assert_nowhere(world: &World, key: &str) {
    let mut found = Vec::new();
    let mut dirs = vec![world.path("")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
            if about.is_dir() {
                dirs.push(path);
            } else if about.is_file() && holds(&std::fs::read(&path).unwrap_or_default(), key) {
                assert_eq!(about.permissions().mode() & 0o077, 0, "{}", path.display());
                found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found.dedup();
    assert!(found.iter().any(|name| name == "env"), "{found:?}");
    for name in &found {
        assert!(["env", "secret"].contains(&&**name) || name.starts_with("towline.db"), "{found:?}");
    }
    for process in std::fs::read_dir("/proc").unwrap() {
        let words = std::fs::read(process.unwrap().path().join("cmdline")).unwrap_or_default();
        // The clients of this test are no part of it.
        assert!(!holds(&words, key) || words.starts_with(b"curl"), "{}", String::from_utf8_lossy(&words));
    }
    for look in [
        &["show", "one"][..],
        &["show", "--json", "one"],
        &["ls", "-a", "--json"],
        &["events", "one"],
        &["logs", "one"],
        &["why", "one"],
    ] {
        let ran = world.run_with(&[("TOWLINE_LOG", "trace")], look);
        assert!(!ran.stdout.contains(key) && !ran.stderr.contains(key), "{look:?}: {ran:?}");
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
