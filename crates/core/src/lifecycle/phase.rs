//! Phases: what a service owns at each stage of its life.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::status::{EndStatus, Status};
use crate::id::JobId;
use crate::job::{JobEnd, JobState, Outcome, Place};
use crate::time::Timestamp;

/// The job behind a service, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Where a service stands and what it owns there. The flat name of it is [`Phase::status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// SUBMITTED. Recorded; nothing was sent to the scheduler. Comes next: [`Phase::Sending`], or an end on request.
    Intent,
    /// SUBMITTED. A submission was sent, or was about to be, and no answer is known: a job may exist. Comes next:
    /// whatever the scheduler says of a job with our token; [`Phase::Intent`] again only after it was absent for the
    /// whole settling time.
    Sending {
        /// When it was sent.
        since: Timestamp,
    },
    /// SUBMITTED. The scheduler accepted the job and has not been seen listing it. Comes next: any of the below.
    Accepted {
        /// The job.
        job: Job,
    },
    /// PENDING. The job is in the queue. Comes next: STARTING, or an end.
    Pending {
        /// The job.
        job: Job,
    },
    /// STARTING. The job has its allocation, no ping was answered. Comes next: HEALTHY, PENDING again if requeued,
    /// TIMEOUT when the grace period is spent, or an end.
    Starting {
        /// The job.
        job: Job,
    },
    /// HEALTHY. The last ping was answered. Comes next: UNHEALTHY, or an end.
    Healthy {
        /// The job.
        job: Job,
    },
    /// UNHEALTHY. The last ping was not answered. Comes next: HEALTHY, or an end; never by itself.
    Unhealthy {
        /// The job.
        job: Job,
    },
    /// Ended, for good.
    Ended(Ending),
}

/// How a service ended, and what is still owed to the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl fmt::Display for Cause {
    /// A sentence fragment for people, such as `the job ran out of memory (signal 9)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("stopped on request"),
            Self::Job(end) => fmt::Display::fmt(end, f),
            Self::GraceSpent { grace } => {
                write!(f, "the server did not answer within the grace period of {} s", grace.as_secs())
            }
            Self::Refused(words) => write!(f, "the scheduler refused the job: {words}"),
            Self::NotSent(why) => write!(f, "the job was never submitted: {why}"),
            Self::Vanished => f.write_str("the job vanished: neither queue nor accounting knows it"),
        }
    }
}

impl fmt::Display for JobEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.outcome {
            Outcome::Completed => "the job completed by itself",
            Outcome::Cancelled => "the job was cancelled",
            Outcome::TimeLimit => "the job reached its time limit",
            Outcome::Deadline => "the job could not meet its deadline",
            Outcome::Failed => "the job failed",
            Outcome::NodeFail => "the job's node failed",
            Outcome::BootFail => "the job's node did not boot",
            Outcome::OutOfMemory => "the job ran out of memory",
            Outcome::Preempted => "the job was preempted",
        })?;
        match (&self.exit, &self.reason) {
            (Some(exit), Some(reason)) => write!(f, " ({exit}, {reason})"),
            (Some(exit), None) => write!(f, " ({exit})"),
            (None, Some(reason)) => write!(f, " ({reason})"),
            (None, None) => Ok(()),
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

impl Phase {
    /// The flat name of the phase.
    pub fn status(&self) -> Status {
        match self {
            Self::Intent | Self::Sending { .. } | Self::Accepted { .. } => Status::Submitted,
            Self::Pending { .. } => Status::Pending,
            Self::Starting { .. } => Status::Starting,
            Self::Healthy { .. } => Status::Healthy,
            Self::Unhealthy { .. } => Status::Unhealthy,
            Self::Ended(ending) => ending.status.into(),
        }
    }

    /// The job that the phase owns, if it owns one.
    pub fn job(&self) -> Option<&Job> {
        match self {
            Self::Intent | Self::Sending { .. } => None,
            Self::Accepted { job }
            | Self::Pending { job }
            | Self::Starting { job }
            | Self::Healthy { job }
            | Self::Unhealthy { job } => Some(job),
            Self::Ended(ending) => ending.job.as_ref(),
        }
    }
}
