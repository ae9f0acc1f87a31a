//! A login host without a cluster: a real shell of this machine, its tools, and stand-ins for Slurm's commands.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use towline_core::id::{JobId, ServiceId};
use towline_core::ports::{RemoteShell, ShellError, ShellOutput, ShellScript, Subject};
use towline_core::spec::ServiceSpec;
use towline_core::time::Timestamp;
use towline_slurm::{Slurm, SlurmConfig};

pub(crate) const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
pub(crate) const OTHER: &str = "11111111-1111-4111-8111-111111111111";

/// What the crate says that it needs on a login host, besides Slurm.
const TOOLS: [&str; 23] = [
    "awk", "bash", "cat", "date", "dd", "df", "env", "find", "grep", "head", "hostname", "id", "mkdir", "mv",
    "rm", "sed", "sh", "sleep", "tail", "timeout", "touch", "wc", "xargs",
];
const COMMANDS: [&str; 7] = ["sbatch", "squeue", "sacct", "scancel", "sinfo", "scontrol", "sacctmgr"];

/// The host: a directory with `bin`, `tools`, `fake` and the user's `home`.
pub(crate) struct LoginHost {
    root: TempDir,
    pub(crate) slurm: Slurm,
    shell: Arc<LocalShell>,
}

struct LocalShell {
    root: PathBuf,
    /// The shell that scripts are fed to.
    program: &'static str,
    runs: AtomicUsize,
}

impl LoginHost {
    pub(crate) fn new() -> Self {
        Self::with("sh", "~/.tow line")
    }

    pub(crate) fn with(program: &'static str, home: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["bin", "tools", "fake", "home"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        for tool in TOOLS {
            let found =
                ["/bin", "/usr/bin"].iter().map(|dir| Path::new(dir).join(tool)).find(|path| path.exists());
            symlink(found.unwrap_or_else(|| panic!("no {tool}")), root.path().join("tools").join(tool))
                .unwrap();
        }
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/command");
        for command in COMMANDS {
            symlink(&fake, root.path().join("bin").join(command)).unwrap();
        }
        let home = home.replace("{root}", root.path().to_str().unwrap());
        let mut config = SlurmConfig::new(home.parse().unwrap());
        config.query_time = Duration::from_secs(5);
        config.submit_time = Duration::from_secs(5);
        let shell = Arc::new(LocalShell { root: root.path().to_owned(), program, runs: AtomicUsize::new(0) });
        Self { slurm: Slurm::new(shell.clone(), config), root, shell }
    }

    /// Another view of the host, on which Slurm's commands have one second.
    pub(crate) fn impatient(&self) -> Slurm {
        let mut config = SlurmConfig::new("~/.tow line".parse().unwrap());
        config.query_time = Duration::from_secs(1);
        config.submit_time = Duration::from_secs(1);
        Slurm::new(self.shell.clone(), config)
    }

    /// How many remote commands were sent.
    pub(crate) fn runs(&self) -> usize {
        self.shell.runs.load(Ordering::Relaxed)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A file of the service in its directory.
    pub(crate) fn service(&self, file: &str) -> PathBuf {
        self.path("home/.tow line/services").join(ID).join(file)
    }

    /// Tells a command what to do: its `out`, `err`, `code` or `hook`.
    pub(crate) fn set(&self, what: &str, text: &str) {
        fs::write(self.path("fake").join(what), text).unwrap();
    }

    /// The arguments of every call of a command so far.
    pub(crate) fn calls(&self, command: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path("fake").join(format!("{command}.calls"))).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The environment of the last call of a command, as far as it is Slurm's.
    pub(crate) fn environment(&self, command: &str) -> String {
        fs::read_to_string(self.path("fake").join(format!("{command}.env"))).unwrap_or_default()
    }

    /// Takes a command off PATH.
    pub(crate) fn without(self, command: &str) -> Self {
        let dir = if COMMANDS.contains(&command) { "bin" } else { "tools" };
        fs::remove_file(self.path(dir).join(command)).unwrap();
        self
    }

    /// Lines that the login shell's start-up files print.
    pub(crate) fn greet(&self, text: &str) {
        self.set("greeting", text);
    }
}

#[async_trait]
impl RemoteShell for LocalShell {
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let path = format!("{0}/bin:{0}/tools", self.root.display());
        let mut child = Command::new(self.root.join("tools").join(self.program))
            .arg("-s")
            .env_clear()
            .envs([("PATH", path.as_str()), ("SHELL", "/bin/bash"), ("USER", "alice")])
            .env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22")
            .env("HOME", self.root.join("home"))
            .env("FAKE", self.root.join("fake"))
            // A user's own settings, none of which may reach Slurm's commands.
            .envs([
                ("SBATCH_PARTITION", "x"),
                ("SBATCH_WAIT", "1"),
                ("SQUEUE_FORMAT", "%u"),
                ("SLURM_CLUSTERS", "x"),
            ])
            .envs([
                ("SACCT_FORMAT", "User"),
                ("SLURM_TIME_FORMAT", "relative"),
                ("SLURM_CONF", "/etc/slurm.conf"),
            ])
            .current_dir(self.root.join("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let greeting = fs::read(self.root.join("fake/greeting")).unwrap_or_default();
        let stdout = [greeting.clone(), output.stdout].concat();
        let stderr = [greeting, output.stderr].concat();
        Ok(ShellOutput { stdout, stderr, code: output.status.code().unwrap_or(-1) })
    }
}

pub(crate) fn id() -> ServiceId {
    ID.parse().unwrap()
}

pub(crate) fn spec() -> ServiceSpec {
    let json = r#"{ "name": "web", "profile": "lab", "command": ["serve", "{port}"], "health": "/",
                    "grace": { "secs": 60, "nanos": 0 } }"#;
    serde_json::from_str(json).unwrap()
}

pub(crate) fn subject(id: &str, job: Option<&str>) -> Subject {
    Subject {
        id: id.parse().unwrap(),
        job: job.map(JobId::new),
        created_at: Timestamp::from_secs(1_795_409_800),
    }
}

/// A line as `squeue` prints it for the survey.
pub(crate) fn queue_line(id: &str, job: &str, word: &str) -> String {
    let fields = [job, word, "c2", "None", "1795409830", "1:27", "58:33", "1795409829", &format!("web-{id}")];
    format!("\u{1e}Q{}\n", record(&fields))
}

/// A line as `sacct` prints it for the survey.
pub(crate) fn accounting_line(id: &str, job: &str, word: &str) -> String {
    let fields = [job, word, "0:0", "1795409829", "1795409830", "c2", &format!("web-{id}")];
    record(&fields) + "\n"
}

/// Fields as Slurm's commands print them for the survey: each is ended by a separator.
pub(crate) fn record(fields: &[&str]) -> String {
    fields.iter().flat_map(|field| [*field, "\u{1f}"]).collect()
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
