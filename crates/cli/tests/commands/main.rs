//! The program as a user runs it, on this machine alone: every test in a home of its own.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod configuration;
mod containers;
mod crash_points;
mod db;
mod doctor;
mod errors;
mod keep;
mod keys;
mod life;
mod logins;
mod recipes;
mod service_files;
mod sharing;
mod staged;
#[path = "../../../../tests/storm.rs"]
mod storm;
mod storms;
#[path = "../../../stage/tests/scripts/web.rs"]
#[expect(dead_code, reason = "the scripts' own tests make it misbehave in more ways")]
mod web;
mod why;
mod world;

/// A file that is not listed above would never run.
#[test]
fn no_file_is_forgotten() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands");
    let main = include_str!("main.rs");
    for entry in std::fs::read_dir(dir).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let module = file.trim_end_matches(".rs");
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{file}");
    }
}
