//! Starting the one job of a service.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use towline_core::id::{JobId, ServiceId};
use towline_core::ports::{BoxError, SubmitError};
use towline_core::runner::{self, Runner, quote};
use towline_core::spec::{ServiceSpec, SpecError};

use crate::check::time_limit;
use crate::container;
use crate::process::MARK;
use crate::store::ServiceDir;

/// The lines before the runner's: they make the process findable.
const PREAMBLE: &str = include_str!("job.bash");

/// How long to wait for another process that starts the same service, and for the job to write who it is.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// Renders the whole script, as it is started.
pub(crate) fn script(dir: &ServiceDir, id: ServiceId, spec: &ServiceSpec) -> Result<String, SpecError> {
    let Some(path) = dir.path().to_str() else {
        return Err(SpecError::new("profile", "the directory of its services is not in UTF-8"));
    };
    let path = quote(path)?;
    let limit = time_limit(spec)?;
    let runner = Runner {
        id,
        dir: &path,
        job: "$towline_this_job",
        host: "127.0.0.1",
        restarts: "0",
        same_host: true,
        time_limit: limit,
    };
    let seconds = limit.map_or(0, |limit| limit.as_secs());
    let body = match &spec.container {
        Some(config) => runner::render(&container::derived(dir.path(), id, spec, config)?, &runner)?,
        None => runner::render(spec, &runner)?,
    };
    Ok(format!(
        "#!/bin/bash\n# A service on this machine, started as `setsid bash {path}/job.sh`.\n\
         towline_this_dir={path}\ntowline_this_limit={seconds}\n\n{PREAMBLE}{body}"
    ))
}

/// Starts the job of a service, or finds the one that was started before.
pub(crate) async fn submit(dir: ServiceDir, id: ServiceId, spec: ServiceSpec) -> Result<JobId, SubmitError> {
    let deadline = Instant::now() + PATIENCE;
    let config = spec.container.clone();
    let prepared = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || prepare(&dir, id, &spec, deadline)).await
    };
    let files = match prepared.map_err(not_sent)?? {
        Prepared::Started(job) => return Ok(job),
        Prepared::Ready(files) => files,
    };
    if let Some(config) = config {
        container::ready(&config).await.map_err(|words| SubmitError::Refused { words })?;
    }
    let child = launch(&dir, files).map_err(not_sent)?;
    told_id(&dir, child, deadline).await
}

enum Prepared {
    /// It was started before.
    Started(JobId),
    /// All is written and nobody else starts it: the lock is held.
    Ready(Files),
}

struct Files {
    lock: File,
    log: File,
}

fn prepare(
    dir: &ServiceDir,
    id: ServiceId,
    spec: &ServiceSpec,
    deadline: Instant,
) -> Result<Prepared, SubmitError> {
    let script = script(dir, id, spec)?;
    let env = match &spec.container {
        Some(config) => runner::env_file(&container::derived(dir.path(), id, spec, config)?)?,
        None => runner::env_file(spec)?,
    };
    dir.create().map_err(not_sent)?;
    let lock = dir.open_lock().map_err(not_sent)?;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            // Whoever holds it is starting this very service, and may have done so already.
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(SubmitError::Unclear(
                    "another process has been starting this service for long".into(),
                ));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(not_sent(error)),
        }
    }
    if let Some(record) = dir.job().map_err(|error| SubmitError::Unclear(Box::new(error)))? {
        return Ok(Prepared::Started(record.job));
    }
    if let Some(config) = &spec.container {
        for (name, text) in container::files(spec, config) {
            dir.write(name, &text).map_err(not_sent)?;
        }
    }
    dir.write("env", &env).map_err(not_sent)?;
    dir.write("job.sh", &script).map_err(not_sent)?;
    Ok(Prepared::Ready(Files { lock, log: dir.open_log().map_err(not_sent)? }))
}

/// Starts the script as a session of its own: no signal of a terminal reaches it, and it outlives this process.
fn launch(dir: &ServiceDir, files: Files) -> std::io::Result<Child> {
    let errors = files.log.try_clone()?;
    Command::new("setsid")
        .arg("bash")
        .arg(dir.script())
        // It must not be taken for a part of a service within which this program may run.
        .env_remove(MARK)
        .current_dir(dir.path())
        // The lock goes over to the job, which gives it back once it can be found.
        .stdin(Stdio::from(files.lock))
        .stdout(Stdio::from(files.log))
        .stderr(Stdio::from(errors))
        .spawn()
}

/// Waits until the job has told its id. Dropping `child` neither ends it nor leaves a zombie: the runtime reaps it.
async fn told_id(dir: &ServiceDir, mut child: Child, deadline: Instant) -> Result<JobId, SubmitError> {
    loop {
        let ended = child.try_wait().map_err(|error| SubmitError::Unclear(Box::new(error)))?;
        if let Some(record) = dir.job().map_err(|error| SubmitError::Unclear(Box::new(error)))? {
            return Ok(record.job);
        }
        if let Some(status) = ended {
            let last = last_line(dir).unwrap_or_else(|| format!("bash ended with {status}"));
            return Err(SubmitError::Refused { words: last });
        }
        if Instant::now() >= deadline {
            return Err(SubmitError::Unclear("the job has not told its id".into()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn last_line(dir: &ServiceDir) -> Option<String> {
    const ENOUGH: u64 = 4096;
    let mut log = File::open(dir.log()).ok()?;
    let length = log.metadata().ok()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(ENOUGH))).ok()?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes).ok()?;
    String::from_utf8_lossy(&bytes).lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

fn not_sent(error: impl Into<BoxError>) -> SubmitError {
    SubmitError::NotSent(error.into())
}
