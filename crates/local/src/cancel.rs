//! Ending a job before its time.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use towline_core::id::{JobId, ServiceId};
use towline_core::ports::CancelError;

use crate::job::JobKey;
use crate::process;
use crate::store::ServiceDir;

/// How long a job may take to end after it was asked to; it gives its server ten seconds of them.
const INSIST_AFTER: Duration = Duration::from_secs(15);
/// How often a job is asked to end, and after which pauses.
const ASK_TIMES: usize = 5;
const ASK_PAUSE: Duration = Duration::from_millis(40);
/// How often to look for processes that are left.
const PASSES: usize = 8;

/// What a cancel has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// There is nothing more to do: the job ends what it has started, or there is none.
    Done,
    /// Whoever looked after a container that may be left is gone; a second cancel long after the first insists.
    Left { insist: bool },
}

/// Whether the job's shell runs, as far as can be told.
pub(crate) fn is_running(id: ServiceId, job: &JobId) -> bool {
    JobKey::parse(job).is_some_and(|key| process::is_running(key, id).unwrap_or(true))
}

/// Asks a job to end; when asked again long after, or if its shell is gone already, ends all its processes. With
/// `may_be_left` a container is left once the shell is gone.
pub(crate) fn cancel(
    dir: &ServiceDir,
    id: ServiceId,
    job: &JobId,
    may_be_left: bool,
) -> Result<Asked, CancelError> {
    let unreachable =
        |source: io::Error| CancelError::Unreachable { job: job.clone(), source: source.into() };
    let Some(key) = JobKey::parse(job) else {
        return Err(CancelError::Refused { job: job.clone(), words: "it is no job of this machine".into() });
    };
    // A service has one job, and its id may be all that there is to know it by: an unreadable record keeps nobody.
    if dir.job().is_ok_and(|record| record.is_some_and(|record| record.job != *job)) {
        return Ok(Asked::Done);
    }
    let running = process::is_running(key, id).map_err(unreachable)?;
    if !running && !may_be_left && !has_orphans(dir, id).map_err(unreachable)? {
        return Ok(Asked::Done);
    }
    let since = dir.cancelled_for(job).ok().flatten();
    if since.is_none() {
        let marked = dir.mark_cancelled(job);
        marked.map_err(|error| CancelError::Unreachable { job: job.clone(), source: error.into() })?;
    }
    if running && since.is_none_or(|since| since < INSIST_AFTER) {
        return ask(key, id).map(|()| Asked::Done).map_err(unreachable);
    }
    let insist = since.is_some_and(|since| since >= INSIST_AFTER);
    if may_be_left && !insist {
        // Its processes are the engine's to ask; who follows it ends with it.
        return Ok(Asked::Left { insist });
    }
    kill_all(running.then_some(key), id).map_err(unreachable)?;
    Ok(if may_be_left { Asked::Left { insist } } else { Asked::Done })
}

/// Asks more than once: what the shell forks at the very moment may miss the signal, and so may bash itself then.
/// The runner heeds the first and passes it on to the server once.
fn ask(key: JobKey, id: ServiceId) -> io::Result<()> {
    for _ in 0..ASK_TIMES {
        if !process::is_running(key, id)? {
            break;
        }
        process::signal_group(key.pid, Signal::TERM)?;
        thread::sleep(ASK_PAUSE);
    }
    Ok(())
}

/// Whether the job ended without a record of it, which only a killed shell does, and left processes behind.
fn has_orphans(dir: &ServiceDir, id: ServiceId) -> io::Result<bool> {
    Ok(!matches!(dir.exit(), Ok(Some(_))) && !process::members(id, None)?.is_empty())
}

fn kill_all(shell: Option<JobKey>, id: ServiceId) -> io::Result<()> {
    // The shell first: it would start the command anew if it saw it die.
    if let Some(key) = shell {
        process::signal_group(key.pid, Signal::KILL)?;
    }
    // Again, as they may have forked meanwhile.
    for _ in 0..PASSES {
        let members = process::members(id, shell.map(|key| key.pid))?;
        if members.is_empty() {
            break;
        }
        for pid in members {
            process::signal(pid, Signal::KILL)?;
        }
    }
    Ok(())
}
