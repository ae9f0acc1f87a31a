//! Scripts of the runner, given to a real shell.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::Duration;

use proptest::prelude::*;
use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::runner::{Runner, render};
use towline_core::spec::{Bind, ServiceSpec};

/// What every script ends with, if nothing is to be set up.
const RUN: &str = "\n# --- The run ---\ntowline_prepare\ntowline_serve\n";

/// A service that runs `command`.
pub(crate) fn spec(command: &[String]) -> ServiceSpec {
    ServiceSpec {
        name: "web".parse().expect("a name"),
        profile: "lab".into(),
        command: command.to_vec(),
        setup: Vec::new(),
        env: BTreeMap::new(),
        secret: None,
        chdir: None,
        container: None,
        bind: Bind::All,
        health: "/".into(),
        ready: Ready::default(),
        grace: Duration::from_secs(1),
        resources: Resources::default(),
    }
}

/// An adapter that takes all that it knows from the environment.
pub(crate) fn runner() -> Runner<'static> {
    Runner {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a UUID"),
        dir: "$TEST_DIR",
        job: "$TEST_JOB",
        host: "$TEST_HOST",
        restarts: "$TEST_RESTARTS",
        same_host: false,
        time_limit: None,
    }
}

/// The script of a service up to where it begins to run, and the rest of it.
pub(crate) fn parts(spec: &ServiceSpec) -> (String, String) {
    let plain = render(&ServiceSpec { setup: Vec::new(), ..spec.clone() }, &runner()).expect("a script");
    let whole = render(spec, &runner()).expect("a script");
    let before = plain.strip_suffix(RUN).expect("a script ends with its run");
    (before.to_owned(), whole.strip_prefix(before).expect("the set-up comes last").to_owned())
}

/// Runs a script of bash in an environment that holds nothing else than these.
pub(crate) fn bash(script: &str, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new("bash");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/home of x");
    command.envs(env.iter().copied()).args(["-c", script]).output().expect("bash runs")
}

/// What a script printed, cut at NUL characters.
pub(crate) fn told(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).expect("all that was given was UTF-8");
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// Text of a user: everything that a shell may trip over, but NUL.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let nasty = [
        "",
        "'",
        "\"",
        "\\",
        "`id`",
        "$(id)",
        "$HOME",
        "${IFS}",
        "!x",
        "*",
        "~",
        "{port}",
        "{a,b}",
        "\n",
        "\r\n",
        " ",
        "\t",
        "#",
        ";",
        "&",
        "|",
        "<",
        "-n",
        "é",
        "\u{1b}[0m",
        "\u{7f}",
        "\u{2028}",
        "🚢",
        "\nEOF\n",
        RUN,
    ];
    let piece =
        prop_oneof![3 => prop::sample::select(nasty.to_vec()).prop_map(str::to_owned), 1 => "[^\u{0}]{0,8}"];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// The locales in which a job may run.
pub(crate) fn locale() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["C", "C.UTF-8", "POSIX"])
}
