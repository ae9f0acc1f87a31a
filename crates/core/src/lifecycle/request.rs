//! Requests: what a user wishes. Unlike facts, they may be refused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::status::{EndStatus, Status};
use crate::time::Timestamp;

/// A wish about one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// End it: cancel the job after `delay` and record `status`. A later request replaces an earlier one.
    Stop {
        /// How long to wait first.
        delay: Duration,
        /// The terminal status to record.
        status: EndStatus,
    },
    /// Give up a submission that certainly was never sent. Refused once anything may have been.
    Abandon {
        /// Why it was not sent, to be recorded.
        why: String,
    },
    /// Close the tunnel and keep it closed until it is asked for again.
    CloseTunnel,
    /// Open the tunnel again.
    OpenTunnel,
}

/// A stop that was asked for and is not confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopWish {
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When the job is to be cancelled.
    pub due: Timestamp,
    /// The status to record once the job has ended.
    pub status: EndStatus,
    /// When the scheduler last heard the cancel.
    pub cancelled_at: Option<Timestamp>,
}

/// Why a request was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The service has ended.
    #[error("the service ended as {status} at {at}")]
    Ended {
        /// How.
        status: Status,
        /// When.
        at: Timestamp,
    },
    /// The submission may have been sent; only the scheduler can tell.
    #[error("the submission may have reached the scheduler")]
    MayBeSent,
}
