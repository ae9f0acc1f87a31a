//! The form in which a phase is written: ledgers hold it, so whatever was once written stays readable.

use serde::{Deserialize, Serialize};

use crate::lifecycle::{Ending, Job, Phase, Stage};
use crate::time::Timestamp;

/// A [`Phase`] as it is written, each stage of a life under a name of its own.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PhaseRecord {
    Intent,
    Sending { since: Timestamp },
    Accepted { job: Job },
    Pending { job: Job },
    Starting { job: Job },
    Healthy { job: Job },
    Unhealthy { job: Job },
    Ended(Ending),
}

impl From<PhaseRecord> for Phase {
    fn from(record: PhaseRecord) -> Self {
        let live = |stage, job| Self::Live { stage, job };
        match record {
            PhaseRecord::Intent => Self::Intent,
            PhaseRecord::Sending { since } => Self::Sending { since },
            PhaseRecord::Accepted { job } => live(Stage::Accepted, job),
            PhaseRecord::Pending { job } => live(Stage::Pending, job),
            PhaseRecord::Starting { job } => live(Stage::Starting, job),
            PhaseRecord::Healthy { job } => live(Stage::Healthy, job),
            PhaseRecord::Unhealthy { job } => live(Stage::Unhealthy, job),
            PhaseRecord::Ended(ending) => Self::Ended(ending),
        }
    }
}

impl From<Phase> for PhaseRecord {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Intent => Self::Intent,
            Phase::Sending { since } => Self::Sending { since },
            Phase::Live { stage: Stage::Accepted, job } => Self::Accepted { job },
            Phase::Live { stage: Stage::Pending, job } => Self::Pending { job },
            Phase::Live { stage: Stage::Starting, job } => Self::Starting { job },
            Phase::Live { stage: Stage::Healthy, job } => Self::Healthy { job },
            Phase::Live { stage: Stage::Unhealthy, job } => Self::Unhealthy { job },
            Phase::Ended(ending) => Self::Ended(ending),
        }
    }
}
