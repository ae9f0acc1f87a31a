//! The contract of a scheduler, kept by Slurm: the adapter, over SSH as alice, on a real cluster with real faults.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::Place;
use towline_core::ports::{Clock, RemoteShell, Scheduler, ShellError, ShellOutput, ShellScript};
use towline_core::resources::Resources;
use towline_core::spec::ServiceSpec;
use towline_core::testing::{SchedulerBench, Trouble, Work, sample_service, scheduler_contract};
use towline_core::time::Timestamp;
use towline_slurm::{Home, Slurm, SlurmConfig};
use towline_tunnel::{Master, MasterConfig, SshShell};
use uuid::Uuid;

use crate::harness::{Fault, Lab, SOON, eventually, on, state_dir};

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

/// A shell whose answers may be lost on their way back.
#[derive(Clone)]
struct LossyShell {
    shell: SshShell,
    loses: Arc<AtomicBool>,
}

#[async_trait]
impl RemoteShell for LossyShell {
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError> {
        let answer = self.shell.run(script).await;
        if self.loses.load(Ordering::Relaxed) {
            return Err(ShellError::Lost { host: "login".to_owned(), source: "lost on its way back".into() });
        }
        answer
    }
}

/// The cluster, and alice's login to it.
struct Cluster {
    /// Where the adapter keeps its files there.
    home: Home,
    /// Where the SSH master has its socket here.
    run: PathBuf,
    loses: Arc<AtomicBool>,
    fault: Mutex<Option<Fault>>,
}

#[async_trait]
impl SchedulerBench for Cluster {
    fn scheduler(&self) -> Arc<dyn Scheduler> {
        let config = MasterConfig {
            ssh_config: Some(state_dir().join("ssh_config")),
            ..MasterConfig::new("login", &self.run)
        };
        let shell = SshShell::new(Arc::new(Master::new(config).unwrap()));
        let shell = LossyShell { shell, loses: self.loses.clone() };
        let config = SlurmConfig::new(self.home.clone());
        Arc::new(Slurm::new(Arc::new(shell), config))
    }

    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }

    fn new_id(&self) -> ServiceId {
        ServiceId::new(Uuid::new_v4())
    }

    fn spec(&self, work: Work) -> Option<ServiceSpec> {
        let mut spec =
            ServiceSpec { setup: Vec::new(), chdir: None, ..(*sample_service(1, "contract").spec).clone() };
        spec.resources = Resources::default();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        spec.command = match work {
            Work::Serve => words(&["python3", "-m", "http.server", "{port}"]),
            Work::Idle | Work::Wait | Work::Refused => words(&["sleep", "1000"]),
            Work::Exit(code) => words(&["sh", "-c", &format!("exit {code}")]),
        };
        match work {
            Work::Wait => spec.resources.submit_args = vec!["--hold".to_owned()],
            Work::Refused => spec.resources.partition = Some("nosuch".to_owned()),
            Work::Serve => spec.resources.requeue = Some(true),
            Work::Idle | Work::Exit(_) => {}
        }
        Some(spec)
    }

    async fn live_jobs(&self, id: ServiceId) -> usize {
        let listed = on("ctl").run(&["squeue", "-a", "-h", "-o", "%j"]).ok();
        listed.lines().filter(|name| name.ends_with(&id.to_string())).count()
    }

    async fn answers(&self, place: &Place) -> bool {
        let connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)";
        let port = place.port.to_string();
        on("login").as_("alice").run(&["python3", "-c", connect, &place.host, &port]).code == 0
    }

    async fn start(&self, trouble: Trouble) -> bool {
        let fault = match trouble {
            Trouble::Unreachable => Fault::start(&["login-sshd"]),
            Trouble::SchedulerDown => Fault::start(&["controller"]),
            Trouble::AnswersLost => {
                self.loses.store(true, Ordering::Relaxed);
                return true;
            }
        };
        self.fault.lock().unwrap().replace(fault);
        true
    }

    async fn stop(&self, _trouble: Trouble) {
        self.loses.store(false, Ordering::Relaxed);
        drop(self.fault.lock().unwrap().take());
    }

    async fn requeue(&self, _id: ServiceId, job: &JobId) -> bool {
        let ctl = on("ctl");
        let node = ctl.run(&["squeue", "-h", "-j", job.as_str(), "-o", "%B"]).ok();
        ctl.run(&["scontrol", "requeue", job.as_str()]).ok();
        eventually("the job in the queue again", SOON, || {
            let state = ctl.run(&["squeue", "-h", "-j", job.as_str(), "-o", "%T"]).ok();
            (state.trim() == "PENDING").then_some(())
        });
        // It would begin after two minutes only; until then the node of its earlier run takes it for killed.
        let (job, elsewhere) = (format!("jobid={job}"), format!("excnodelist={}", node.trim()));
        ctl.run(&["scontrol", "update", &job, "starttime=now", &elsewhere]).ok();
        true
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(250)
    }
}

#[test]
fn slurm_keeps_the_contract() {
    let lab = Lab::alone();
    let cluster = Cluster {
        home: lab.remote_home().parse().unwrap(),
        run: lab.path("run/towline"),
        loses: Arc::default(),
        fault: Mutex::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let untested = runtime.block_on(scheduler_contract(&cluster));
    assert_eq!(untested, Vec::<&str>::new());
}
