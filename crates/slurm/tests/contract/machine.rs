//! A login host with a stand-in for a cluster behind it, and everything that can go wrong with them.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::Place;
use towline_core::ports::{Clock, RemoteShell, Scheduler, ShellError, ShellOutput, ShellScript};
use towline_core::resources::Resources;
use towline_core::spec::ServiceSpec;
use towline_core::testing::{SchedulerBench, Trouble, Work, sample_service};
use towline_core::time::Timestamp;
use towline_slurm::{Home, Slurm, SlurmConfig};

/// The clock of this machine.
struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(0).plus(SystemTime::UNIX_EPOCH.elapsed().unwrap())
    }

    async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep(at.since(self.now())).await;
    }
}

/// The shell of the login host, which may be out of reach, or lose its answers.
#[derive(Default)]
struct Shell {
    root: PathBuf,
    scripts: AtomicU32,
    is_gone: AtomicBool,
    loses_answers: AtomicBool,
}

#[async_trait]
impl RemoteShell for Shell {
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError> {
        let host = || "login".to_owned();
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(ShellError::NotSent { host: host(), source: "no route to host".into() });
        }
        // From a file, so that a script whose future is dropped runs on as a whole.
        let path = self.root.join(format!("script-{}", self.scripts.fetch_add(1, Ordering::Relaxed)));
        fs::write(&path, &script.text).unwrap();
        let mut command = tokio::process::Command::new("sh");
        command
            .env_clear()
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.root.display()))
            .env("HOME", self.root.join("home"))
            .env("FAKE", &self.root)
            .stdin(fs::File::open(path).unwrap());
        let output = command.output().await.unwrap();
        if self.loses_answers.load(Ordering::Relaxed) {
            return Err(ShellError::Lost { host: host(), source: "connection reset".into() });
        }
        let code = output.status.code().unwrap_or(-1);
        Ok(ShellOutput { stdout: output.stdout, stderr: output.stderr, code })
    }
}

/// The machine that is both login host and node.
pub(crate) struct Machine {
    root: TempDir,
    shell: Arc<Shell>,
    ids: AtomicU32,
}

fn cluster() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fake/cluster.py")
}

impl Machine {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["bin", "home"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        for command in ["sbatch", "squeue", "sacct", "scancel"] {
            symlink(cluster(), root.path().join("bin").join(command)).unwrap();
        }
        let shell = Arc::new(Shell { root: root.path().to_owned(), ..Shell::default() });
        Self { root, shell, ids: AtomicU32::new(1) }
    }

    /// Lets the queue forget a job as soon as it has ended.
    pub(crate) fn forget_ended_jobs(&self) {
        fs::write(self.root.path().join("forgets"), "").unwrap();
    }

    /// Tells the cluster to do something that is no command of Slurm's.
    fn tell(&self, words: &[&str]) {
        let mut command = Command::new(cluster());
        command.args(words).env("FAKE", self.root.path()).stdin(Stdio::null());
        assert!(command.status().unwrap().success(), "{words:?}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.tell(&["wipe"]);
    }
}

#[async_trait]
impl SchedulerBench for Machine {
    fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::new(Slurm::new(Arc::clone(&self.shell) as _, SlurmConfig::new(Home::default())))
    }

    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }

    fn new_id(&self) -> ServiceId {
        // Unlike those of any other test: the job's processes are found by it on the whole machine.
        let count = self.ids.fetch_add(1, Ordering::Relaxed);
        let unique = self.root.path().as_os_str().as_encoded_bytes();
        let unique =
            unique.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        format!("{unique:08x}-0000-4000-8000-{count:012x}").parse().unwrap()
    }

    fn spec(&self, work: Work) -> Option<ServiceSpec> {
        let exit;
        let command: &[&str] = match work {
            Work::Serve => &["python3", "-m", "http.server", "{port}"],
            Work::Idle | Work::Wait | Work::Refused => &["sleep", "1000"],
            Work::Exit(code) => {
                exit = format!("exit {code}");
                &["sh", "-c", &exit]
            }
        };
        let mut resources = Resources::default();
        match work {
            Work::Wait => resources.submit_args = vec!["--hold".to_owned()],
            Work::Refused => resources.partition = Some("nosuch".to_owned()),
            Work::Serve | Work::Idle | Work::Exit(_) => {}
        }
        let command = command.iter().map(ToString::to_string).collect();
        let sample = sample_service(1, "contract").spec;
        Some(ServiceSpec { command, resources, setup: Vec::new(), chdir: None, ..(*sample).clone() })
    }

    async fn live_jobs(&self, id: ServiceId) -> usize {
        // There is no such file before the first job.
        let text = fs::read_to_string(self.root.path().join("jobs.json")).unwrap_or("{}".to_owned());
        let jobs: Value = serde_json::from_str(&text).unwrap();
        let lives = |job: &&Value| {
            let ended = ["COMPLETED", "CANCELLED", "FAILED"].contains(&job["state"].as_str().unwrap());
            !ended && job["name"].as_str().unwrap().ends_with(&id.to_string())
        };
        jobs.as_object().map_or(0, |jobs| jobs.values().filter(lives).count())
    }

    async fn answers(&self, place: &Place) -> bool {
        TcpStream::connect((place.host.as_str(), place.port)).is_ok()
    }

    async fn start(&self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::Unreachable => self.shell.is_gone.store(true, Ordering::Relaxed),
            Trouble::SchedulerDown => fs::write(self.root.path().join("down"), "").unwrap(),
            Trouble::AnswersLost => self.shell.loses_answers.store(true, Ordering::Relaxed),
        }
        true
    }

    async fn stop(&self, trouble: Trouble) {
        match trouble {
            Trouble::Unreachable => self.shell.is_gone.store(false, Ordering::Relaxed),
            Trouble::SchedulerDown => fs::remove_file(self.root.path().join("down")).unwrap(),
            Trouble::AnswersLost => self.shell.loses_answers.store(false, Ordering::Relaxed),
        }
    }

    async fn requeue(&self, _id: ServiceId, job: &JobId) -> bool {
        self.tell(&["requeue", job.as_str()]);
        true
    }
}
