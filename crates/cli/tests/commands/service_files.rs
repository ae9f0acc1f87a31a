//! Services in files: started, printed, described, and started again.

use std::time::Duration;

use serde_json::Value;

use crate::world::World;

const TWO: &str = "\
[services.one]
command = ['python3', '-m', 'http.server', '{port}', '--bind', '{host}']
health = '/'
setup = ['cd /tmp', 'export ADDED=$GIVEN-x']
env = { GIVEN = 'of \"mine\"', NUMBER = 7 }
pass_env = ['HANDED']

[services.two]
recipe = 'web'
[services.two.parameters]
directory = '/tmp'
";

const WEB: &str = "\
summary = 'A directory'
command = ['python3', '-m', 'http.server', '{port}', '--bind', '{host}', ['--directory', '{directory}']]
[health]
path = '/'
[secret]
env = 'KEY'
[parameters.directory]
type = 'path'
help = 'What to show'
";

fn world() -> World {
    let world = World::new();
    world.write("two.toml", TWO);
    world.write("towline/recipes/web.toml", WEB);
    world
}

const HANDED: [(&str, &str); 1] = [("HANDED", "over")];

#[test]
fn several_services_start_at_once_and_each_starts_again_from_what_is_printed() {
    let world = world();
    let ran =
        world.run_with(&HANDED, &["run", "-f", "two.toml"]).exits(0).says(&["one: HEALTHY", "two: HEALTHY"]);
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert!(
        lines.len() == 2 && lines[0].starts_with("one http://127.0.0.1:") && lines[1].starts_with("two http"),
        "{lines:?}"
    );
    world
        .run_with(&HANDED, &["run", "-f", "two.toml"])
        .exits(7)
        .says(&["these run already: one, two", "nothing was started"]);

    let spec = world.run(&["show", "one", "--spec"]).exits(0).stdout;
    assert!(
        !spec.contains("mine") && spec.contains("pass_env = [\"GIVEN\", \"HANDED\", \"NUMBER\"]"),
        "{spec}"
    );
    let whole = world.run(&["show", "one", "--spec", "--with-env"]).exits(0).stdout;
    assert!(whole.contains("of \\\"mine\\\"") || whole.contains("'of \"mine\"'"), "{whole}");
    let key = world.run(&["key", "two"]).exits(0).stdout;
    let of_two = world.run(&["show", "two", "--spec"]).exits(0).stdout;
    assert!(of_two.contains("secret = { env = \"KEY\" }") && !of_two.contains(key.trim()), "{of_two}");
    let told = |name: &str| {
        let mut service = world.run(&["show", "--json", name]).exits(0).json();
        for varies in [
            "id",
            "created_at",
            "observed_at",
            "since",
            "job_id",
            "place",
            "local_port",
            "url",
            "node",
            "job_ends_at",
        ] {
            service[varies].take();
        }
        service
    };
    let before = [told("one"), told("two")];
    world.run(&["stop", "one", "two"]).exits(0);
    world.write("one.toml", &whole);
    world.write("again.toml", &of_two);
    world.run(&["run", "-f", "one.toml"]).exits(0);
    // A profile that says more of its services than it did changes nothing of what is told as a whole.
    world.write(".config/towline/config.toml", "[profiles.local]\nsetup = ['exit 3']\nhealth = '/other'\n");
    world.run(&["run", "-f", "again.toml"]).exits(0);
    assert_eq!([told("one"), told("two")], before);
    assert_ne!(world.run(&["key", "two"]).exits(0).stdout, key, "the key is a new one");
}

#[test]
fn what_has_ended_is_started_anew_and_nothing_else() {
    let world = world();
    world.run_with(&HANDED, &["run", "-f", "two.toml"]).exits(0);
    world.run(&["rerun", "two"]).exits(5).says(&["has not ended: it is HEALTHY", "towline stop two"]);
    world.run(&["rerun", "tow"]).exits(4).says(&["did you mean two?"]);
    let key = world.run(&["key", "two"]).exits(0).stdout;
    let before = world.run(&["show", "--json", "two"]).exits(0).json();
    world.run(&["stop", "two"]).exits(0);
    let url = world.run(&["rerun", "two"]).exits(0).stdout;
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let after = world.run(&["show", "--json", "two"]).exits(0).json();
    assert_ne!(after["id"], before["id"]);
    assert_eq!((&after["command"], &after["health"]), (&before["command"], &before["health"]));
    assert_eq!(world.run(&["key", "two"]).exits(0).stdout, key, "clients go on as they are");
    let both = world.list(&["--all"]).into_iter().filter(|service| service["name"] == "two").count();
    assert_eq!(both, 2, "what has ended stays as it is");
    world.run(&["stop", "two"]).exits(0);
    let id = before["id"].as_str().unwrap();
    assert_eq!(world.run(&["rerun", id, "--name", "three", "--detach"]).exits(0).stdout, "three\n");
    world.run(&["rerun", id, "--name", "three"]).exits(7);
}

#[test]
fn nothing_is_started_of_a_file_in_which_one_thing_is_wrong() {
    let world = world();
    for (change, words) in [
        (("health = '/'", "healht = '/'"), &["two.toml:3:1", "no key healht", "did you mean health?"][..]),
        (
            ("recipe = 'web'", "recipe = 'wbe'"),
            &["two.toml:8:11: service two", "there is no recipe wbe", "did you mean web?"],
        ),
        (
            ("directory = '/tmp'", "directroy = '/tmp'"),
            &["two.toml:11:1", "no parameter directroy", "did you mean directory?"],
        ),
        (
            ("directory = '/tmp'", "api-key = 'hush123'"),
            &["two.toml:11:1", "recipe web has no parameter api-key"],
        ),
        (("directory = '/tmp'", "detach = true"), &["two.toml:11:1", "has no parameter detach"]),
        (("recipe = 'web'", "recipe = 'web'\napi_key = 'taken:/tmp/x'"), &["two.toml:10:1", "file:PATH"]),
        (("directory = '/tmp'", "directory = '~/x'"), &["service two", "bad --directory"]),
        (("health = '/'", "health = 'x'"), &["service one", "bad health"]),
        (("health = '/'", "cpus = 0"), &["service one", "--cpus"]),
        (("health = '/'", "profile = 'lbo'"), &["service one", "there is no profile lbo"]),
        (("pass_env = ['HANDED']", "pass_env = ['UNSET_HERE']"), &["service one", "UNSET_HERE"]),
        (("[services.two]", "[services.one]"), &["two.toml:8:", "no TOML"]),
    ] {
        world.write("two.toml", &TWO.replacen(change.0, change.1, 1));
        let ran = world.run_with(&HANDED, &["run", "-f", "two.toml"]);
        assert!([3, 4].contains(&ran.code) && !ran.stderr.contains("put --"), "{ran:#?}");
        let ran = ran.says(words);
        assert!(ran.stdout.is_empty() && !ran.stderr.contains("mine"), "{ran:#?}");
    }
    world.run(&["run", "-f", "nowhere.toml"]).exits(3).says(&["failed to read the services of nowhere.toml"]);
    world.run(&["run", "-f", "two.toml", "--cpus", "3"]).exits(2).says(&["--file", "--cpus"]);
    world.run(&["run", "-f", "two.toml", "web"]).exits(2);
    assert!(world.list(&["--all"]).is_empty(), "nothing of it was recorded");
}

#[test]
fn a_file_may_be_looked_at_and_left_running() {
    let world = world();
    let scripts = world.run_with(&HANDED, &["run", "-f", "two.toml", "--dry-run"]).exits(0).stdout;
    assert!(scripts.contains("# --- one ---\n#!/bin/bash") && scripts.contains("# --- two ---"), "{scripts}");
    assert!(world.list(&["--all"]).is_empty());
    let ran = world.run_with(&HANDED, &["run", "-f", "two.toml", "--detach"]).exits(0);
    assert_eq!(ran.stdout, "one\ntwo\n");
    world.run(&["wait", "one"]).exits(0);
    world.run(&["stop", "one", "two"]).exits(0);
    let json = world.run_with(&HANDED, &["run", "-f", "two.toml", "--json"]).exits(0).json();
    let names: Vec<&str> = json.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    world.run(&["stop", "one", "two"]).exits(0);
    let begin = TWO.find("[services.two]").unwrap();
    world.write("two.toml", &format!("{}[services.two]\ncommand = ['false']\n", &TWO[..begin]));
    let ran =
        world.run_with(&HANDED, &["run", "-f", "two.toml"]).exits(8).says(&["service two ended as FAILED"]);
    assert!(ran.stdout.starts_with("one http"), "the other one is told: {ran:#?}");
}

/// Wherever Ctrl-C comes, nothing is left of which minutes later only anybody knows what became of it.
#[test]
fn ctrl_c_leaves_services_that_can_be_stopped_at_once() {
    let world = world();
    for step in 0..24_u64 {
        let mut run = world.command(&["run", "-f", "two.toml", "--json"]).envs(HANDED).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(10 + 2 * step));
        let pid = rustix::process::Pid::from_child(&run);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        run.wait().unwrap();
        let left = world.list(&[]);
        for service in &left {
            assert!(service["job_id"].is_string(), "{service}");
            world.run(&["stop", service["name"].as_str().unwrap()]).exits(0);
        }
    }
}

/// As far as this test understands JSON Schema: types, properties, enumerations and what a recipe adds.
fn fits(schema: &Value, root: &Value, value: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(root.pointer(&reference[1..]).unwrap(), root, value);
    }
    let is_one = |part: &Value| fits(part, root, value);
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let is_type = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("type {other}"),
    };
    let has_properties = value.as_object().is_none_or(|fields| {
        let required = schema["required"]
            .as_array()
            .is_none_or(|names| names.iter().all(|name| fields.contains_key(name.as_str().unwrap())));
        required
            && fields.iter().all(|(name, field)| match schema["properties"].get(name) {
                Some(part) => fits(part, root, field),
                None => fits(&schema["additionalProperties"], root, field),
            })
    });
    schema != &Value::Bool(false)
        && (types.is_empty() || types.iter().any(is_type))
        && has_properties
        && (schema["const"].is_null() || schema["const"] == *value)
        && schema["enum"].as_array().is_none_or(|words| words.contains(value))
        && schema["items"].as_object().is_none_or(|_| {
            value.as_array().is_none_or(|list| list.iter().all(|item| fits(&schema["items"], root, item)))
        })
        && schema["oneOf"]
            .as_array()
            .is_none_or(|parts| parts.iter().filter(|part| is_one(part)).count() == 1)
        && schema["allOf"].as_array().is_none_or(|parts| parts.iter().all(is_one))
        && (schema["not"].is_null() || !is_one(&schema["not"]))
        && (schema["if"].is_null() || is_one(&schema[if is_one(&schema["if"]) { "then" } else { "else" }]))
}

#[test]
fn the_schema_takes_what_run_takes_and_refuses_what_it_refuses() {
    let world = world();
    let schema = world.run(&["schema"]).exits(0).json();
    let takes = |text: &str| {
        let file: toml_edit::DocumentMut = text.parse().unwrap();
        let value: Value = serde_json::from_str(&json_of(file.as_item())).unwrap();
        fits(&schema, &schema, &value)
    };
    assert!(takes(TWO));
    for (good, bad) in [
        ("health", "healht"),
        ("directory = '/tmp'", "directroy = '/tmp'"),
        ("recipe = 'web'", "recipe = 'web'\ncommand = ['x']"),
        ("NUMBER = 7", "NUMBER = [7]"),
    ] {
        assert!(!takes(&TWO.replacen(good, bad, 1)), "{bad}");
    }
    assert!(takes(
        "[services.a]\nrecipe = 'text-generation'\nmodel = 'm'\nparameters = { engine = 'vllm', context-length = 1 }"
    ));
    assert!(
        !takes("[services.a]\nrecipe = 'text-generation'\nparameters = { engine = 'vllm' }"),
        "it needs a model"
    );
    assert!(!takes("[services.a]\nrecipe = 'text-generation'\nmodel = 'm'\nparameters = { engine = 'vlm' }"));
    for bad in [
        "model = 'm'",
        "ready = {}",
        "container = { engine = 'e', image = 'i' }",
        "exact = true\napi_key = 'none'",
        "exact = true\nready = { staus = [] }",
        "exact = true\ncontainer = 'podman'",
        "bind = 'nowhere'",
    ] {
        assert!(!takes(&format!("[services.a]\ncommand = ['x']\n{bad}")), "{bad}");
        world.write("bad.toml", &format!("[services.a]\ncommand = ['x']\n{bad}"));
        let ran = world.run(&["run", "-f", "bad.toml", "--dry-run"]);
        assert_eq!(ran.code, 3, "{bad}: {ran:#?}");
    }
    assert!(takes(
        "[services.a]\nexact = true\ncommand = ['x']\ncontainer = { engine = 'podman', image = 'i' }"
    ));
    world.run(&["run", "web", "--name", "one", "--directory", "/tmp"]).exits(0);
    for more in [&[][..], &["--with-env"]] {
        let printed = world.run(&[&["show", "one", "--spec"], more].concat()).exits(0).stdout;
        assert!(takes(&printed), "{printed}");
    }
}

/// A document of TOML as JSON, without times.
fn json_of(item: &toml_edit::Item) -> String {
    let value = |value: &toml_edit::Value| -> Value {
        fn convert(value: &toml_edit::Value) -> Value {
            match value {
                toml_edit::Value::String(text) => text.value().as_str().into(),
                toml_edit::Value::Integer(number) => (*number.value()).into(),
                toml_edit::Value::Boolean(truth) => (*truth.value()).into(),
                toml_edit::Value::Array(list) => list.iter().map(convert).collect(),
                toml_edit::Value::InlineTable(table) => {
                    Value::Object(table.iter().map(|(key, value)| (key.to_owned(), convert(value))).collect())
                }
                other => panic!("{other}"),
            }
        }
        convert(value)
    };
    match item {
        toml_edit::Item::Value(of) => value(of).to_string(),
        toml_edit::Item::Table(table) => {
            let fields: Vec<String> =
                table.iter().map(|(key, item)| format!("{:?}: {}", key, json_of(item))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => panic!("{other}"),
    }
}
