//! A home for one test, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home directory of its own; what still runs in it is stopped at the end.
pub(crate) struct World {
    home: TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Takes the output of a command that must have ended with `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Checks that each of `words` was printed to standard error.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.stderr);
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|err| panic!("{err}: {self:#?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("the program was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(relative)
    }

    /// Writes a file below the home.
    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with these arguments, an environment of its own and nothing on standard input.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("towline"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path())
            // Which Podman the tests may use; see containers.rs.
            .envs(
                ["CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"]
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// The same with variables of the environment.
    pub(crate) fn run_with(&self, vars: &[(&str, &str)], args: &[&str]) -> Ran {
        self.command(args).envs(vars.iter().copied()).output().unwrap().into()
    }

    /// Starts Python's web server under that name and returns its URL.
    #[track_caller]
    pub(crate) fn serve(&self, name: &str) -> String {
        let words = ["--", "python3", "-u", "-m", "http.server", "{port}", "--bind", "127.0.0.1"];
        let ran = self.run(&[&["run", "--name", name, "--health", "/"][..], &words].concat()).exits(0);
        ran.stdout.trim().to_owned()
    }

    /// The services that `ls` lists with these arguments.
    #[track_caller]
    pub(crate) fn list(&self, args: &[&str]) -> Vec<Value> {
        let ran = self.run(&[&["ls", "--json"], args].concat()).exits(0);
        ran.json().as_array().expect("ls prints an array").clone()
    }

    /// The status of a service as it is recorded.
    #[track_caller]
    pub(crate) fn status(&self, name: &str) -> String {
        let shown = self.run(&["show", "--no-refresh", "--json", name]).exits(0).json();
        shown["status"].as_str().expect("a status is a word").to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let Ok(listed) = self.command(&["ls", "--json", "--no-refresh"]).output() else { return };
        let Ok(services) = serde_json::from_slice::<Vec<Value>>(&listed.stdout) else { return };
        for id in services.iter().filter_map(|service| service["id"].as_str()) {
            drop(self.command(&["stop", id]).output());
        }
    }
}

/// Asks again and again until something is there.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}
