//! The house: which crate may know which, and what the core may depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Arrows point down only; the adapters are strangers to one another.
const ARROWS: [(&str, &[&str]); 8] = [
    ("towline-core", &[]),
    ("towline-slurm", &["towline-core"]),
    ("towline-local", &["towline-core"]),
    ("towline-tunnel", &["towline-core"]),
    ("towline-store", &["towline-core"]),
    ("towline-recipes", &["towline-core"]),
    ("towline-stage", &["towline-core"]),
    (
        "towline",
        &[
            "towline-core",
            "towline-local",
            "towline-recipes",
            "towline-slurm",
            "towline-stage",
            "towline-store",
            "towline-tunnel",
        ],
    ),
];

/// Everything that the core may depend on: no runtime, no IO, no database.
const CORE: [&str; 9] = [
    "async-trait",
    "futures-util",
    "mockall",
    "proptest",
    "serde",
    "serde_json",
    "shlex",
    "thiserror",
    "time",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// For each package of the workspace, the names of its dependencies, those for tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let kept = list(&package["dependencies"]).into_iter().filter(|dep| dep["kind"] != "dev");
            (text(&package["name"]), kept.map(|dep| text(&dep["name"])).collect())
        })
        .collect()
}

#[test]
fn arrows_point_down() {
    let dependencies = dependencies();
    let expected: BTreeMap<_, _> = ARROWS.into_iter().collect();
    assert_eq!(
        dependencies.keys().map(String::as_str).collect::<Vec<_>>(),
        expected.keys().copied().collect::<Vec<_>>()
    );
    for (package, needs) in dependencies {
        let ours: Vec<&str> =
            needs.iter().map(String::as_str).filter(|name| name.starts_with("towline")).collect();
        assert_eq!(ours, expected[package.as_str()], "{package}");
    }
}

#[test]
fn the_core_depends_on_nothing_that_does_io() {
    let core = dependencies().remove("towline-core").expect("there is a core");
    let allowed: BTreeSet<String> = CORE.into_iter().chain(["uuid"]).map(str::to_owned).collect();
    assert_eq!(core, allowed);
}

/// A recipe is data: who hands in its text has read it, and who gets its spec runs it.
#[test]
fn recipes_are_pure() {
    let recipes = dependencies().remove("towline-recipes").expect("there are recipes");
    let allowed =
        ["regex", "serde_json", "strsim", "thiserror", "toml_edit", "towline-core"].map(str::to_owned);
    assert_eq!(recipes, BTreeSet::from(allowed));
    for word in ["std::fs", "std::net", "std::env", "std::process", "std::time::Instant", "SystemTime"] {
        assert_eq!(mentions("crates/recipes/src", word), Vec::<String>::new(), "{word}");
    }
}

/// Vendors and engines are data of recipes, or the recipes' own business.
#[test]
fn the_core_knows_no_model_server_and_no_engine() {
    for word in ["vllm", "vLLM", "VLLM", "ollama", "sglang", "huggingface", "pptainer", "docker", "podman"] {
        assert_eq!(mentions("crates/core/src", word), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn what_writes_scripts_knows_neither_a_runtime_nor_ssh() {
    for package in ["towline-slurm", "towline-stage"] {
        let needs = dependencies().remove(package).expect("there is such a package");
        for banned in ["tokio", "openssh", "hyper"] {
            assert!(!needs.contains(banned), "{package} needs {banned}");
        }
    }
}

fn sources(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(dir).expect("a source directory can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file can be read");
            found.push((path, text));
        }
    }
}

/// Source files below `dir` whose text mentions `word`.
fn mentions(dir: &str, word: &str) -> Vec<String> {
    let (dir, mut found) = (root().join(dir), Vec::new());
    sources(&dir, &mut found);
    let mut names: Vec<String> = found
        .into_iter()
        .filter(|(_, text)| text.contains(word))
        .map(|(path, _)| path.strip_prefix(&dir).expect("a file below the directory").display().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn only_the_wiring_names_the_adapters() {
    for adapter in ["towline_slurm", "towline_local", "towline_tunnel", "towline_store"] {
        for file in mentions("crates/cli/src", adapter) {
            assert!(file.starts_with("wiring"), "{file} names {adapter}");
        }
    }
}

#[test]
fn the_lifecycle_is_pure() {
    for word in ["async ", ".await", "crate::ports", "crate::engine", "std::fs", "std::net", "std::env"] {
        assert_eq!(mentions("crates/core/src/lifecycle", word), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn the_lifecycle_is_read_in_one_sitting() {
    let mut found = Vec::new();
    sources(&root().join("crates/core/src/lifecycle"), &mut found);
    let lines: usize = found.iter().map(|(_, text)| text.lines().count()).sum();
    assert!(lines < 1_200, "{lines} lines");
}

#[test]
fn source_files_stay_readable() {
    let mut found = Vec::new();
    sources(&root().join("crates"), &mut found);
    let long: Vec<_> = found
        .iter()
        .filter(|(_, text)| text.lines().count() > 400)
        .map(|(path, text)| format!("{} has {} lines", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}
