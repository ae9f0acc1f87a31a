//! The eight statuses: the flat projection of a phase that people, files and databases see.

use serde::{Deserialize, Serialize};

/// Where a service stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The request is recorded; the job is submitted, or its submission is being settled.
    Submitted,
    /// The scheduler holds the job in its queue.
    Pending,
    /// The job runs, the server has not answered yet, the grace period is not over.
    Starting,
    /// The last ping was answered.
    Healthy,
    /// It was healthy once; the last ping was not answered; nothing says that the job has ended.
    Unhealthy,
    /// Ended normally: stopped by the user, the job was cancelled, or it completed by itself. Final.
    Stopped,
    /// The job reached its time limit, or the server did not answer within the grace period. Final.
    Timeout,
    /// The job failed, was refused, or vanished. Final.
    Failed,
}

impl Status {
    /// All statuses, in the order of a life.
    pub const ALL: [Self; 8] = [
        Self::Submitted,
        Self::Pending,
        Self::Starting,
        Self::Healthy,
        Self::Unhealthy,
        Self::Stopped,
        Self::Timeout,
        Self::Failed,
    ];

    /// Whether nothing can follow it.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Stopped | Self::Timeout | Self::Failed => true,
            Self::Submitted | Self::Pending | Self::Starting | Self::Healthy | Self::Unhealthy => false,
        }
    }

    /// The word, in upper case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Pending => "PENDING",
            Self::Starting => "STARTING",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
            Self::Stopped => "STOPPED",
            Self::Timeout => "TIMEOUT",
            Self::Failed => "FAILED",
        }
    }
}

/// The terminal statuses: how a service can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EndStatus {
    /// Ended normally.
    Stopped,
    /// Ran out of time.
    Timeout,
    /// Failed.
    Failed,
}

impl From<EndStatus> for Status {
    fn from(end: EndStatus) -> Self {
        match end {
            EndStatus::Stopped => Self::Stopped,
            EndStatus::Timeout => Self::Timeout,
            EndStatus::Failed => Self::Failed,
        }
    }
}
