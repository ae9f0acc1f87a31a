//! The identity of a job of this machine: a process id that cannot be mistaken for a recycled one.

use serde::Deserialize;
use towline_core::id::JobId;

/// A process by its id and its start time in clock ticks since boot, written `pid-starttime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobKey {
    pub(crate) pid: i32,
    pub(crate) start: u64,
}

impl JobKey {
    /// Reads a job id of this machine; `None` for one of another scheduler.
    pub(crate) fn parse(job: &JobId) -> Option<Self> {
        let (pid, start) = job.as_str().split_once('-')?;
        let pid = pid.parse().ok().filter(|pid| *pid > 1)?;
        Some(Self { pid, start: start.parse().ok()? })
    }
}

/// What a job writes of itself before it does anything else: the file `job.id`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct JobRecord {
    /// Its id.
    pub(crate) job: JobId,
    /// The boot of the machine that its start time counts from.
    pub(crate) boot: String,
    /// Seconds that it may run; 0 for no limit.
    pub(crate) limit: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_is_a_pid_and_a_start_time() {
        assert_eq!(JobKey::parse(&JobId::new("42-1000")), Some(JobKey { pid: 42, start: 1000 }));
        // A pid of 0, 1 or less would address more than one process in kill(2).
        for bad in ["4711", "1-5", "0-5", "-1-5", "-5", "42-", "42-x", "42-1-1", "99999999999-1", ""] {
            assert_eq!(JobKey::parse(&JobId::new(bad)), None, "{bad}");
        }
    }
}
