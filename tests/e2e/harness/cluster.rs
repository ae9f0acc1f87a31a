//! The cluster that the stories play on: its hosts, its faults, and who may disturb it when.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::process::{Output, Running};

/// How long a command on a host, or a fault, may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Faults hit everybody: who makes one has the cluster alone.
static PEACE: RwLock<()> = RwLock::new(());

/// Two runs of the stories at a time would disturb one another: the second waits until the first has ended.
static ONE_RUN: LazyLock<File> = LazyLock::new(|| {
    let file = File::open(state_dir().join("ssh_config")).unwrap();
    file.lock().unwrap();
    file
});

/// The right to use the cluster, shared with other stories or alone.
#[expect(dead_code, reason = "held, never read")]
pub(crate) enum Guard {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
    /// That of another lab of the same story, which outlives this one.
    OfAnother,
}

impl Guard {
    pub(crate) fn shared() -> Self {
        LazyLock::force(&ONE_RUN);
        Self::Shared(PEACE.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn alone() -> Self {
        LazyLock::force(&ONE_RUN);
        Self::Alone(PEACE.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A script of `tests/cluster`.
pub(crate) fn cluster_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cluster").join(name)
}

/// Where the cluster keeps its keys and logs.
pub(crate) fn state_dir() -> PathBuf {
    let dir = std::env::var_os("TOWLINE_CLUSTER_DIR").unwrap_or("/var/tmp/towline-cluster".into());
    assert!(Path::new(&dir).join("ssh_config").exists(), "the cluster is not up: run tests/cluster/up");
    dir.into()
}

/// Whether stories are to be told at full length (`TOWLINE_FAULTS=full`).
pub(crate) fn is_full() -> bool {
    std::env::var("TOWLINE_FAULTS").is_ok_and(|length| length == "full")
}

/// What sshd of the login host has seen of alice since its log began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Those with the key of that fingerprint.
    pub(crate) logins: usize,
    /// Commands that were run over any.
    pub(crate) commands: usize,
    /// Connections, sessions and forwards that were refused.
    pub(crate) refused: usize,
}

/// Counts in sshd's log: logins with the key of that fingerprint, or with any if it is empty.
pub(crate) fn at_sshd(fingerprint: &str) -> Seen {
    let log = std::fs::read_to_string(state_dir().join("hosts/login/log/sshd.log")).unwrap();
    let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    let is_login = |line: &&str| line.contains("Accepted publickey for alice") && line.contains(fingerprint);
    Seen {
        logins: log.lines().filter(is_login).count(),
        commands: count("Starting session: command for alice"),
        refused: ["MaxStartups", "no more sessions", "refused local port forward"].map(count).iter().sum(),
    }
}

/// The same for the connections from those ports of this machine alone, of which `refused` counts nothing.
pub(crate) fn at_sshd_from(ports: &[u16]) -> Seen {
    let log = std::fs::read_to_string(state_dir().join("hosts/login/log/sshd.log")).unwrap();
    let from: Vec<String> = ports.iter().map(|port| format!(" port {port} ")).collect();
    let ours: Vec<&str> =
        log.lines().filter(|line| from.iter().any(|port| format!("{line} ").contains(port))).collect();
    let count = |words: &str| ours.iter().filter(|line| line.contains(words)).count();
    Seen {
        logins: count("Accepted publickey for alice"),
        commands: count("Starting session: command for alice"),
        refused: 0,
    }
}

/// A host of the cluster, and whom to be there.
#[derive(Clone, Copy)]
pub(crate) struct Host {
    name: &'static str,
    user: Option<&'static str>,
}

/// A host of the cluster, as root.
pub(crate) const fn on(name: &'static str) -> Host {
    Host { name, user: None }
}

impl Host {
    /// The same host as a user in their home.
    pub(crate) const fn as_(self, user: &'static str) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Runs a program there.
    pub(crate) fn run(self, words: &[&str]) -> Output {
        self.run_with(words, b"")
    }

    /// Runs a program there with `input` on its standard input.
    pub(crate) fn run_with(self, words: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(cluster_script("exec"));
        command.arg(self.name);
        if let Some(user) = self.user {
            command.args(["--user", user]);
        }
        command.arg("--").args(words);
        Running::start(&mut command, input).finish(LIMIT)
    }
}

/// A fault in force; over when dropped.
pub(crate) struct Fault(Vec<&'static str>);

impl Fault {
    /// Starts a fault, named as `tests/cluster/fault list` does, with its argument.
    pub(crate) fn start(words: &[&'static str]) -> Self {
        let fault = Self(words.to_vec());
        fault.tell("start").ok();
        fault
    }

    /// Ends it.
    pub(crate) fn end(self) {}

    fn tell(&self, verb: &str) -> Output {
        Running::start(Command::new(cluster_script("fault")).args(&self.0).arg(verb), b"").finish(LIMIT)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let ended = self.tell("stop");
        if ended.code != 0 && !std::thread::panicking() {
            ended.ok();
        }
    }
}
