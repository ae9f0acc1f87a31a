//! Services by recipes, on what `tests/servers` has installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::Value;

use super::http::get;
use super::lab::Lab;
use super::process::{Running, processes_with};
use super::wait::{SOON, eventually};

/// How long a model may take to be loaded, or to answer, where other stories keep the processors busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A file of what `tests/servers/install` has installed.
pub(crate) fn installed(name: &str) -> String {
    let dir = std::env::var("TOWLINE_SERVERS_DIR").unwrap_or("/var/cache/towline-servers".to_owned());
    let path = Path::new(&dir).join(name);
    assert!(path.exists(), "there is no {}: run tests/servers/install", path.display());
    path.to_str().unwrap().to_owned()
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers").join(name).canonicalize().unwrap()
}

/// The line that puts the programs of an environment on the `PATH`, as people write it.
pub(crate) fn setup(environment: &str) -> String {
    format!("source {}", installed(&format!("{environment}/bin/activate")))
}

/// A model server of a story, with the random key that it gets where nobody says otherwise.
pub(crate) struct Service<'a> {
    pub(crate) lab: &'a Lab,
    name: &'static str,
}

impl<'a> Service<'a> {
    /// Starts one without waiting for it: the recipe with its options.
    #[track_caller]
    pub(crate) fn start(lab: &'a Lab, name: &'static str, recipe: &[&str]) -> Self {
        let mut command = lab.command();
        command.current_dir(source("project")).arg("run").args(recipe);
        command.args(["--profile", "lab", "--name", name, "--detach"]);
        Running::start(&mut command, b"").finish(SOON).ok();
        Self { lab, name }
    }

    /// Waits until it is HEALTHY.
    #[track_caller]
    pub(crate) fn healthy(self) -> Self {
        let limit = format!("{}s", PATIENCE.as_secs());
        self.lab.start(&["wait", self.name, "--timeout", &limit]).finish(2 * PATIENCE).code(0);
        self
    }

    /// What the client makes of it where it is told of it by `towline env`, as people do that.
    #[track_caller]
    pub(crate) fn used(&self, words: &[&str]) -> Value {
        self.used_after("", words)
    }

    /// The same after one more line of shell.
    #[track_caller]
    fn used_after(&self, line: &str, words: &[&str]) -> Value {
        let text = format!("eval \"$(\"$0\" env {})\"\n{line}\nexec \"$@\"", self.name);
        let towline = self.lab.command();
        let mut shell = Command::new("sh");
        shell.args(["-c", &text]).arg(towline.get_program());
        shell.arg(installed("client/bin/python")).arg(source("client.py")).args(words);
        shell.env_clear().envs(towline.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Running::start(&mut shell, b"").finish(PATIENCE).json()
    }

    /// Strangers are turned away, and the health path is for everybody.
    #[track_caller]
    pub(crate) fn assert_key_is_asked_for(&self, words: &[&str]) {
        let key = self.lab.towline(&["key", self.name]).ok();
        for line in ["OPENAI_API_KEY=wrong", "OPENAI_API_KEY=${OPENAI_API_KEY%?}"] {
            assert_eq!(self.used_after(line, words)["status"], 401, "{line}");
        }
        let url = self.lab.towline(&["url", self.name]).ok();
        assert_eq!(get(&format!("{}/v1/models", url.trim())).unwrap().status, 401);
        assert_eq!(get(&format!("{}/health", url.trim())).unwrap().status, 200);
        assert_eq!(processes_with(key.trim()), [], "the key is on no command line");
    }

    /// The only process of the cluster with this in its command line.
    #[track_caller]
    pub(crate) fn process(&self, mark: &str) -> Pid {
        let found = processes_with(mark);
        let [(pid, _)] = found.as_slice() else { panic!("{}: {found:?}", self.name) };
        Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap()
    }

    /// Stops it, which ends the process with this in its command line.
    #[track_caller]
    pub(crate) fn stop(self, mark: &str) {
        self.process(mark);
        self.lab.towline(&["stop", self.name]).code(0);
        assert_eq!(self.lab.show(self.name)["status"], "STOPPED");
        eventually("the end of the server", SOON, || processes_with(mark).is_empty().then_some(()));
        assert_eq!(self.lab.living_jobs(), Vec::<String>::new());
    }
}
