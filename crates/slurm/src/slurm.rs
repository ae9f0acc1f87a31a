//! The ports, over any remote shell.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use towline_core::id::{JobId, ServiceId};
use towline_core::ports::{
    BoxError, CancelError, FilesError, InspectError, Inspector, LogChunk, LogFrom, RemoteShell, Scheduler,
    ServiceFiles, ShellError, ShellOutput, ShellScript, Subject, SubmitError, Survey, SurveyError,
};
use towline_core::service::Service;
use towline_core::spec::{ServiceSpec, SpecError};
use towline_core::why::Evidence;

use crate::command::{cancel, inspect, log, probe, remove, submit, survey};
use crate::findings::ClusterProbe;
use crate::home::Home;
use crate::{script, sight};

/// How a cluster is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlurmConfig {
    /// Where Towline keeps its files there.
    pub home: Home,
    /// How long `squeue`, `sacct`, `scancel` and `sinfo` may take, each. The shell is waited for somewhat longer.
    /// Slurm's own patience with a silent controller is some 10 s, so that less would hide its words.
    pub query_time: Duration,
    /// How long `sbatch` may take; it retries by itself while the controller is busy.
    pub submit_time: Duration,
}

impl SlurmConfig {
    /// The usual patience: 20 s for a query, 60 s for a submission.
    pub const fn new(home: Home) -> Self {
        Self { home, query_time: Duration::from_secs(20), submit_time: Duration::from_secs(60) }
    }
}

/// A Slurm cluster, used through the shell of one of its login hosts.
///
/// Every method sends one remote command, and keeps nothing between two. It needs on the login host: Slurm's
/// commands on the `PATH`, a POSIX shell with `awk`, `find`, `grep`, `head`, `sed`, `tail` and `xargs`; on the nodes:
/// bash and the same home directory.
#[derive(Clone)]
pub struct Slurm {
    shell: Arc<dyn RemoteShell>,
    config: SlurmConfig,
}

/// Beyond what the commands of a script may take: for the shell to start, and the answer to arrive.
const MARGIN: Duration = Duration::from_secs(15);

impl Slurm {
    /// A cluster behind `shell`.
    pub fn new(shell: Arc<dyn RemoteShell>, config: SlurmConfig) -> Self {
        Self { shell, config }
    }

    /// Looks what the cluster offers and what is in the way there, with one remote command. Makes the directory for
    /// Towline's files and writes a file of 64 KiB there for a moment; changes nothing else. Needs `dd`, `df`, `id` and
    /// `hostname` there besides, and takes `quota` and `lfs` where they are.
    ///
    /// # Errors
    /// The shell's error, or [`ClusterError::Garbled`](crate::ClusterError::Garbled), if the cluster could not be looked at.
    pub async fn probe(&self) -> Result<ClusterProbe, BoxError> {
        let text = probe::script(&self.config.home, self.query_seconds());
        // At the worst each of two daemons is slow once, and so is the file system.
        let output = self.run(text, self.config.query_time * 4).await?;
        Ok(probe::read(&output)?)
    }

    async fn run(&self, text: String, time: Duration) -> Result<ShellOutput, ShellError> {
        self.shell.run(&ShellScript { text, deadline: time + MARGIN }).await
    }

    fn query_seconds(&self) -> u64 {
        self.config.query_time.as_secs().max(1)
    }
}

#[async_trait]
impl Scheduler for Slurm {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        script::check(spec)
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        let job_sh = script::render(id, spec, &self.config.home)?;
        let env = script::env_file(spec)?;
        let seconds = self.config.submit_time.as_secs().max(1);
        let text = submit::script(id, &self.config.home, &job_sh, &env, seconds);
        match self.run(text, self.config.submit_time).await {
            Ok(output) => submit::read(&output, &self.config.home),
            Err(error @ ShellError::NotSent { .. }) => Err(SubmitError::NotSent(Box::new(error))),
            Err(error) => Err(SubmitError::Unclear(Box::new(error))),
        }
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        if subjects.is_empty() {
            return Ok(Survey::default());
        }
        let text = survey::script(subjects, &self.config.home, self.query_seconds());
        // At the worst the queue is slow, and so are both questions to accounting.
        let output = self.run(text, self.config.query_time * 3).await;
        let answer = survey::read(&output.map_err(|error| SurveyError::Unreachable(Box::new(error)))?)?;
        let sightings = subjects.iter().map(|subject| (subject.id, sight::sighting(subject, &answer)));
        Ok(Survey { sightings: sightings.collect() })
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        let unreachable = |source: BoxError| CancelError::Unreachable { job: job.clone(), source };
        let Some(text) = cancel::script(id, job, self.query_seconds()) else {
            let words = "it is no job id of Slurm's".to_owned();
            return Err(CancelError::Refused { job: job.clone(), words });
        };
        let output = self.run(text, self.config.query_time * 2).await;
        cancel::read(job, &output.map_err(|error| unreachable(Box::new(error)))?)
    }
}

#[async_trait]
impl ServiceFiles for Slurm {
    async fn read_log(&self, id: ServiceId, from: LogFrom, wait: Duration) -> Result<LogChunk, FilesError> {
        let text = log::script(id, &self.config.home, from, wait);
        let output = self.run(text, wait).await;
        log::read(&output.map_err(|error| FilesError::Unreachable(Box::new(error)))?, &self.config.home)
    }

    async fn remove(&self, id: ServiceId) -> Result<(), FilesError> {
        let text = remove::script(id, &self.config.home);
        let output = self.run(text, self.config.query_time).await;
        remove::read(&output.map_err(|error| FilesError::Unreachable(Box::new(error)))?, &self.config.home)
    }
}

#[async_trait]
impl Inspector for Slurm {
    async fn inspect(&self, service: &Service) -> Result<Evidence, InspectError> {
        let text = inspect::script(service, &self.config.home, self.query_seconds());
        // The first question, and the short ones after it.
        let output = self.run(text, self.config.query_time * 3).await;
        inspect::read(service.id, &output.map_err(|error| InspectError::Unreachable(Box::new(error)))?)
    }
}
