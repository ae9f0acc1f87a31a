//! The ports that a service on this machine is used through.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::spawn_blocking;
use towline_core::id::{JobId, ServiceId};
use towline_core::ports::{
    BoxError, CancelError, FilesError, InspectError, Inspector, LogChunk, LogFrom, Scheduler, ServiceFiles,
    Subject, SubmitError, Survey, SurveyError,
};
use towline_core::service::Service;
use towline_core::spec::{ServiceSpec, SpecError};
use towline_core::why::Evidence;

use crate::cancel::Asked;
use crate::container::{self, Contained};
use crate::job::JobKey;
use crate::store::ServiceDir;
use crate::{cancel, check, log, process, submit, survey};

/// How often a log is looked at while it is waited for.
const LOG_PAUSE: Duration = Duration::from_millis(100);

/// How much of the end of a log is read for an explanation, in bytes.
const LOG_END: u64 = 64 << 10;

/// Runs services on this machine. Each has a directory of its own, which is all that is kept of it: any later
/// program with the same root finds the same services.
///
/// A job is a session of processes that outlives this program and the terminal, but not the machine. It is known by
/// its process id together with its start time, so that no recycled process id is ever taken for it.
#[derive(Clone, Debug)]
pub struct LocalScheduler {
    root: PathBuf,
}

impl LocalScheduler {
    /// Keeps the directories of its services in `root`, an absolute path; made when the first service starts.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The script that [`Scheduler::submit`] would start, byte for byte. Secrets are not in it.
    ///
    /// # Errors
    /// The same as [`Scheduler::check`]'s.
    pub fn script(&self, id: ServiceId, spec: &ServiceSpec) -> Result<String, SpecError> {
        check::check(spec)?;
        submit::script(&self.dir(id), id, spec)
    }

    fn dir(&self, id: ServiceId) -> ServiceDir {
        ServiceDir::new(&self.root, id)
    }
}

#[async_trait]
impl Scheduler for LocalScheduler {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        check::check(spec)
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        check::check(spec)?;
        submit::submit(self.dir(id), id, spec.clone()).await
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        let looks: Vec<(ServiceDir, Subject)> =
            subjects.iter().map(|subject| (self.dir(subject.id), subject.clone())).collect();
        let deadline = Instant::now() + survey::START_LIMIT;
        let look_at_all = move || {
            looks.iter().map(|(dir, subject)| (subject.id, survey::look(dir, subject, deadline))).collect()
        };
        let looked: Vec<(ServiceId, survey::Looked)> =
            spawn_blocking(look_at_all).await.map_err(|error| SurveyError::Unreachable(error.into()))?;
        Ok(Survey { sightings: survey::with_engines(looked).await })
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        let unreachable = |source: BoxError| CancelError::Unreachable { job: job.clone(), source };
        let dir = self.dir(id);
        let contained = container::contained(&dir).map_err(|error| unreachable(error.into()))?;
        let engine = contained.and_then(|(contained, ended)| ended.is_none().then_some(contained.engine));
        let mut may_be_left = engine.is_some();
        if let Some(engine) = engine.as_deref().filter(|_| !cancel::is_running(id, job)) {
            let is_up = container::is_up(engine, id).await;
            may_be_left = is_up.map_err(|error| unreachable(error.into()))?;
        }
        let asked = job.clone();
        let cancelled = spawn_blocking(move || cancel::cancel(&dir, id, &asked, may_be_left)).await;
        match (cancelled.map_err(|error| unreachable(error.into()))??, engine) {
            (Asked::Left { insist }, Some(engine)) => {
                container::end(&engine, id, insist).await.map_err(|error| unreachable(error.into()))
            }
            (Asked::Left { .. } | Asked::Done, _) => Ok(()),
        }
    }
}

#[async_trait]
impl ServiceFiles for LocalScheduler {
    async fn read_log(&self, id: ServiceId, from: LogFrom, wait: Duration) -> Result<LogChunk, FilesError> {
        let path = self.dir(id).log();
        let deadline = Instant::now().checked_add(wait);
        let mut from = from;
        loop {
            let path = path.clone();
            let read = spawn_blocking(move || log::read(&path, from)).await.map_err(failed)?;
            let chunk = read.map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => FilesError::Missing,
                _ => failed(error),
            })?;
            if !chunk.bytes.is_empty() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(chunk);
            }
            from = LogFrom::Offset(chunk.next);
            let left =
                deadline.map_or(LOG_PAUSE, |deadline| deadline.saturating_duration_since(Instant::now()));
            tokio::time::sleep(left.min(LOG_PAUSE)).await;
        }
    }

    async fn remove(&self, id: ServiceId) -> Result<(), FilesError> {
        let dir = self.dir(id);
        let looked = dir.clone();
        spawn_blocking(move || check_gone(&looked, id)).await.map_err(failed)?.map_err(FilesError::Failed)?;
        // One that never was, or was removed, is not asked for.
        if let Some((Contained { engine }, ended)) = container::contained(&dir).map_err(failed)?
            && ended.is_none_or(|ended| ended.is_left)
        {
            container::forget(&engine, id).await.map_err(failed)?;
        }
        spawn_blocking(move || dir.remove()).await.map_err(failed)?.map_err(failed)
    }
}

#[async_trait]
impl Inspector for LocalScheduler {
    async fn inspect(&self, service: &Service) -> Result<Evidence, InspectError> {
        let path = self.dir(service.id).log();
        let read = spawn_blocking(move || log::end(&path, LOG_END)).await;
        let mut evidence = Evidence { reached: Some(true), is_local: true, ..Evidence::default() };
        match read.map_err(|error| InspectError::Unreachable(error.into()))? {
            Ok(bytes) => evidence.log = Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => evidence.gaps.push(format!("failed to read the log: {error}")),
        }
        Ok(evidence)
    }
}

/// A directory is the only thing by which a job is found, so it stays as long as the job does.
fn check_gone(dir: &ServiceDir, id: ServiceId) -> Result<(), BoxError> {
    let job = dir.job().ok().flatten().and_then(|record| JobKey::parse(&record.job));
    if let Some(key) = job
        && process::is_running(key, id)?
    {
        return Err(format!("its job still runs as process {}", key.pid).into());
    }
    Ok(())
}

fn failed(error: impl Into<BoxError>) -> FilesError {
    FilesError::Failed(error.into())
}
