//! Stages: how far a service with a job has come, and which stage what is learnt of it leads to.

use super::status::Status;

/// How far a service with a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// SUBMITTED. The scheduler has accepted the job and was not seen listing it. Comes next: any other, or an end.
    Accepted,
    /// PENDING. The job is in the queue, for the first time or requeued. Comes next: STARTING, or an end.
    Pending,
    /// STARTING. The job has its allocation, and no ping was answered. Comes next: HEALTHY on an answer, PENDING if the
    /// job is requeued (grace starts anew with its next run), TIMEOUT when the grace period is spent, or an end.
    Starting,
    /// HEALTHY. The last ping was answered. Comes next: UNHEALTHY, or an end.
    Healthy,
    /// UNHEALTHY. It was HEALTHY and the last ping was not answered. Comes next: HEALTHY, or an end; never by itself.
    Unhealthy,
}

impl Stage {
    /// The flat name of the stage.
    pub const fn status(self) -> Status {
        match self {
            Self::Accepted => Status::Submitted,
            Self::Pending => Status::Pending,
            Self::Starting => Status::Starting,
            Self::Healthy => Status::Healthy,
            Self::Unhealthy => Status::Unhealthy,
        }
    }

    /// After a ping that was not answered. One that was makes HEALTHY, from anywhere.
    pub(super) const fn unanswered(self) -> Self {
        match self {
            Self::Accepted | Self::Pending | Self::Starting => self,
            Self::Healthy | Self::Unhealthy => Self::Unhealthy,
        }
    }

    /// Once the job is (back) in the queue.
    pub(super) const fn queued(self) -> Self {
        match self {
            Self::Accepted | Self::Pending | Self::Starting => Self::Pending,
            Self::Healthy | Self::Unhealthy => Self::Unhealthy,
        }
    }

    /// Once the job has its allocation, in the run that was known already or in another one.
    pub(super) const fn allocated(self, in_another_run: bool) -> Self {
        match self {
            Self::Accepted | Self::Pending | Self::Starting => Self::Starting,
            Self::Healthy if in_another_run => Self::Unhealthy,
            Self::Healthy | Self::Unhealthy => self,
        }
    }
}
