//! What is true in the simulated world, whoever knows.

use std::time::Duration;

use super::job::SimulatedJob;
use crate::id::JobId;
use crate::job::JobState;
use crate::time::Timestamp;

/// What is true of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTruth {
    /// Its id.
    pub id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// Since when, by the cluster's clock.
    pub since: Timestamp,
    /// How long its present or last run has lasted, suspensions left out.
    pub ran_for: Duration,
    /// Whether its own server answers.
    pub answers: bool,
    /// When its server last listened, whether it answered or not; `None` if it never did.
    pub served_until: Option<Timestamp>,
    /// The longest running, in any of its runs, after which its server was asked through a working tunnel and did not
    /// answer; `None` if it always did.
    pub silent_after: Option<Duration>,
}

impl JobTruth {
    pub(super) fn of(job: &SimulatedJob, now: Timestamp) -> Self {
        Self {
            id: job.id.clone(),
            state: job.state(),
            since: job.since,
            ran_for: job.ran_for(now),
            answers: job.answers(),
            served_until: job.served_until(now),
            silent_after: job.silent_after,
        }
    }

    /// Whether it has not ended.
    pub const fn is_live(&self) -> bool {
        !matches!(self.state, JobState::Ended(_))
    }
}
