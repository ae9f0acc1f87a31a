//! Phases: where a service stands, and what it owns there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::stage::Stage;
use super::status::{EndStatus, Status};
use crate::job::{JobEnd, Outcome};
use crate::known_job::Job;
use crate::phase_record::PhaseRecord;
use crate::time::Timestamp;

/// Where a service stands and what it owns there. The flat name of it is [`Phase::status`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "PhaseRecord", into = "PhaseRecord")]
pub enum Phase {
    /// SUBMITTED. Recorded; nothing was sent to the scheduler. Comes next: [`Phase::Sending`], or an end on request.
    Intent,
    /// SUBMITTED. A submission was sent, or was about to be, and no answer is known: a job may exist. Comes next:
    /// [`Phase::Live`] with whatever job of ours the scheduler tells of; an end if it refused the job; [`Phase::Intent`]
    /// again if nothing was sent after all, or once the job was absent for the whole settling time.
    Sending {
        /// When it was sent.
        since: Timestamp,
    },
    /// The scheduler has a job of ours, and nothing says that it has ended. Comes next: another stage, or an end.
    Live {
        /// How far the service has come.
        stage: Stage,
        /// Its job.
        job: Job,
    },
    /// STOPPED, TIMEOUT or FAILED. Nothing comes next; what is still owed to the world is settled.
    Ended(Ending),
}

/// How a service ended, and what is still owed to the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ending {
    /// STOPPED, TIMEOUT or FAILED.
    pub status: EndStatus,
    /// What ended it.
    pub cause: Cause,
    /// When that was recorded.
    pub at: Timestamp,
    /// Its last job.
    pub job: Option<Job>,
    /// Whether the job is still to be cancelled: a spent grace period ends the service first and the job after.
    pub owes_cancel: bool,
}

/// What ended a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it, and the job (if there was one) has ended.
    Requested,
    /// The job ended by itself or by the scheduler.
    Job(JobEnd),
    /// The server did not answer a ping within the grace period.
    GraceSpent {
        /// The grace period.
        grace: Duration,
    },
    /// The scheduler refused the job; its own words.
    Refused(String),
    /// The submission never left this machine, and who asked for it gave up; why.
    NotSent(String),
    /// Queue and accounting have missed the job for the whole settling time.
    Vanished,
}

impl Phase {
    /// The flat name of the phase.
    pub fn status(&self) -> Status {
        match self {
            Self::Intent | Self::Sending { .. } => Status::Submitted,
            Self::Live { stage, .. } => stage.status(),
            Self::Ended(ending) => ending.status.into(),
        }
    }

    /// The job that the phase owns, if it owns one.
    pub fn job(&self) -> Option<&Job> {
        match self {
            Self::Intent | Self::Sending { .. } => None,
            Self::Live { job, .. } => Some(job),
            Self::Ended(ending) => ending.job.as_ref(),
        }
    }
}

impl JobEnd {
    /// The status in which such an end leaves the service.
    pub const fn status(&self) -> EndStatus {
        match self.outcome {
            Outcome::Completed | Outcome::Cancelled => EndStatus::Stopped,
            Outcome::TimeLimit | Outcome::Deadline => EndStatus::Timeout,
            Outcome::Failed
            | Outcome::NodeFail
            | Outcome::BootFail
            | Outcome::OutOfMemory
            | Outcome::Preempted => EndStatus::Failed,
        }
    }
}
