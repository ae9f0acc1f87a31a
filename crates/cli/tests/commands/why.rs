//! What `towline why` says of services of this machine.

use serde_json::Value;

use crate::world::{World, eventually};

/// The answer as a program sees it.
#[track_caller]
fn why(world: &World, name: &str) -> Value {
    world.run(&["why", "--json", name]).exits(0).json()
}

#[test]
fn an_end_is_explained_by_its_exit_code_and_its_log() {
    let world = World::new();
    let ran = world.run(&["run", "--name", "gone", "--", "/no/such/program"]).exits(8);
    ran.says(&["hint: `towline why gone` tells more", "hint: name it by its whole path"]);
    let told = why(&world, "gone");
    let sentence = told["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("service gone ended as FAILED: the job failed (exit code 127)"), "{told:#}");
    assert!(sentence.contains("a command was not found"), "{told:#}");
    assert_eq!((&told["outlook"], &told["unknown"]), (&"ended".into(), &serde_json::json!([])));
    let text = world.run(&["why", "gone"]).exits(0).stdout;
    assert!(text.starts_with(sentence) && text.contains("\n  exit        exit code 127 "), "{text}");
    assert!(text.contains("    | ") && text.lines().last().unwrap().starts_with("what to do: "), "{text}");
    world.run(&["why", "other"]).exits(4);
}

#[test]
fn a_life_is_explained_at_each_stage() {
    let world = World::new();
    let late = "echo getting ready; until [ -e go ]; do sleep 0.1; done; exec python3 -m http.server $PORT";
    let dir = world.path("").to_str().unwrap().to_owned();
    let words =
        ["run", "--detach", "--name", "late", "--health", "/", "--chdir", &dir, "--", "bash", "-c", late];
    world.run(&words).exits(0);
    let starting = eventually("the start", || {
        let told = why(&world, "late");
        (told["log"] == serde_json::json!(["getting ready"])).then_some(told)
    });
    assert!(starting["sentence"].as_str().unwrap().contains("its server has not answered /"), "{starting:#}");
    assert_eq!((&starting["status"], &starting["outlook"]), (&"STARTING".into(), &"waits".into()));
    std::fs::write(world.path("go"), "").unwrap();
    world.run(&["wait", "late"]).exits(0);
    let healthy = why(&world, "late");
    assert!(healthy["sentence"].as_str().unwrap().starts_with("service late is healthy"), "{healthy:#}");
    assert_eq!((&healthy["status"], &healthy["outlook"]), (&"HEALTHY".into(), &"fine".into()));
    world.run(&["stop", "late"]).exits(0);
    assert_eq!(why(&world, "late")["sentence"], "service late ended as STOPPED: stopped on request");
}

#[test]
fn a_profile_that_cannot_be_used_is_no_failure() {
    let world = World::new();
    world.run(&["profile", "add", "far", "--host", "far.invalid"]).exits(0);
    world.run(&["run", "--profile", "far", "--name", "web", "--", "true"]).exits(6);
    let told = why(&world, "web");
    assert!(told["sentence"].as_str().unwrap().contains("the job was never submitted"), "{told:#}");
    assert!(!told["unknown"].as_array().unwrap().is_empty(), "{told:#}");
}
