//! A program on a terminal of its own, and somebody who types.

use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use tokio::task::spawn_blocking;

use crate::harness::{Sshd, eventually};

/// The example `login`, which cargo builds with the tests unless it is told to build one of them alone.
pub(crate) fn login_program() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    deps.parent().unwrap().with_file_name("examples").join("login")
}

/// A terminal, as `script` of util-linux makes it. Closed when dropped.
pub(crate) struct Screen {
    script: Child,
    keyboard: Option<ChildStdin>,
    shown: Arc<Mutex<String>>,
}

impl Screen {
    /// Runs a shell text, in which `$LOGIN` is the example with its arguments for this sshd; the shell stays above it.
    pub(crate) fn run(sshd: &Sshd, text: &str) -> Self {
        let words = [login_program(), "lab".into(), sshd.path("c"), sshd.path("ssh_config")];
        let login = words.map(|word| word.display().to_string()).join(" ");
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &format!("{text}\nexit $?"), "/dev/null"]);
        script.env("LOGIN", login).env("SHELL", "/bin/sh");
        let mut script =
            script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let (keyboard, mut stdout) = (script.stdin.take(), script.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&shown);
        drop(std::thread::spawn(move || {
            let mut piece = [0; 1024];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                sink.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..count]));
            }
        }));
        Self { script, keyboard, shown }
    }

    /// What it has shown so far.
    pub(crate) fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until it shows `words` for the `count`th time.
    pub(crate) async fn shows(&self, words: &str, count: usize) {
        let what = format!("{count} times {words:?} on the screen");
        eventually(&what, async || self.shown().matches(words).count() >= count).await;
    }

    /// Types something.
    pub(crate) fn types(&mut self, text: &str) {
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(text.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Waits for the end, and gives the exit code and all that was shown.
    pub(crate) async fn ends(mut self) -> (i32, String) {
        let mut script = std::mem::replace(&mut self.script, Command::new("true").spawn().unwrap());
        let status = spawn_blocking(move || script.wait().unwrap()).await.unwrap();
        (status.code().unwrap(), self.shown())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ended_before = self.script.kill();
        let _ended_before = self.script.wait();
    }
}
