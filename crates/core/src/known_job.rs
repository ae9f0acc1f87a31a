//! The job behind a service, as far as it is known.

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::job::{JobState, Place};
use crate::time::Timestamp;

/// The job behind a service, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// The scheduler's id.
    pub id: JobId,
    /// Its last known state; `None` until the scheduler was first asked about it.
    pub state: Option<JobState>,
    /// The scheduler's own word for that state.
    pub word: Option<String>,
    /// Where it runs.
    pub node: Option<String>,
    /// Why it stands where it stands, in the scheduler's words.
    pub reason: Option<String>,
    /// The present run, once it has begun.
    pub run: Option<Run>,
}

/// One run of a job. A requeued job keeps its id and begins another run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The scheduler's mark of this run, which grows from run to run.
    pub mark: Option<u64>,
    /// When the command began to run, by our clock. Grace counts from here; begins anew after a suspension.
    pub since: Timestamp,
    /// When the scheduler last said that it runs.
    pub verified_at: Timestamp,
    /// When its time limit is reached; `None` without one.
    pub ends_at: Option<Timestamp>,
    /// Where its server listens, once it was told.
    pub place: Option<Place>,
}

impl Job {
    /// A job that the scheduler has accepted and that nobody has looked at yet.
    pub const fn accepted(id: JobId) -> Self {
        Self { id, state: None, word: None, node: None, reason: None, run: None }
    }

    /// Where its server listens in the present run.
    pub fn place(&self) -> Option<&Place> {
        self.run.as_ref()?.place.as_ref()
    }
}
