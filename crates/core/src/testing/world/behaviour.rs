//! How jobs behave when nobody meddles with them.

use std::time::Duration;

use crate::job::{ExitStatus, JobEnd, Outcome};

/// How the jobs submitted from now on behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How long after it was accepted a job is not listed, neither by the queue nor by accounting.
    pub listed_after: Duration,
    /// How long a job waits in the queue; a second at least after a requeue.
    pub queued_for: Duration,
    /// How long its nodes take to get ready then.
    pub configures_for: Duration,
    /// How long its command runs until the server listens and answers; `None` if it never does.
    pub listens_after: Option<Duration>,
    /// How long its command runs; `None` if until something ends it.
    pub runs_for: Option<Duration>,
    /// How it ends after that.
    pub end: JobEnd,
    /// After how much running it is ended by the scheduler; `None` without a limit.
    pub time_limit: Option<Duration>,
    /// How long a run takes to leave its nodes.
    pub leaves_for: Duration,
    /// Whether it goes back to the queue when its node fails.
    pub requeues: bool,
    /// The scheduler's words if it refuses the job.
    pub refused: Option<String>,
}

impl Default for Behaviour {
    /// Two seconds in the queue, a server after three more, and no end.
    fn default() -> Self {
        Self {
            listed_after: Duration::ZERO,
            queued_for: Duration::from_secs(2),
            configures_for: Duration::ZERO,
            listens_after: Some(Duration::from_secs(3)),
            runs_for: None,
            end: JobEnd {
                outcome: Outcome::Completed,
                exit: Some(ExitStatus { code: 0, signal: None }),
                reason: None,
            },
            time_limit: None,
            leaves_for: Duration::ZERO,
            requeues: false,
            refused: None,
        }
    }
}
