//! Requests: what a user wishes. Unlike facts, they may be refused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::life::Life;
use super::phase::{Cause, Phase};
use super::status::{EndStatus, Status};
use crate::doubt::Doubt;
use crate::time::Timestamp;

/// A wish about one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    /// Look again: knowledge older than the freshness interval will not do. What failed a moment ago waits its turn.
    Look,
    /// Look again at once, whatever failed a moment ago.
    LookNow,
    /// Close the tunnel and keep it closed until it is asked for again.
    CloseTunnel,
    /// Open the tunnel again.
    OpenTunnel,
}

/// A stop that was asked for and is not confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StopWish {
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When the job is to be cancelled.
    pub due: Timestamp,
    /// The status to record once the job has ended.
    pub status: EndStatus,
    /// When the scheduler last heard the cancel.
    pub cancelled_at: Option<Timestamp>,
    /// Cancels that did not get through since.
    pub failed: Option<Doubt>,
}

impl StopWish {
    /// Whether its delay is over. It counts as over when the wish lies further in the future than it (clocks jump):
    /// waiting for it could take for ever.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let delay = self.due.since(self.asked_at);
        self.due <= now || self.asked_at > now.plus(delay)
    }
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

impl Life {
    /// The life after somebody wished for `request` at `now`.
    ///
    /// # Errors
    /// [`Refusal`] if it cannot be granted here; nothing changes then. An ended service refuses all but
    /// [`Request::Look`] and [`Request::LookNow`], which make it settle what it still owes.
    pub fn request(&self, request: &Request, now: Timestamp) -> Result<Self, Refusal> {
        let mut life = self.clone();
        match (&self.phase, request) {
            (
                Phase::Intent | Phase::Sending { .. } | Phase::Live { .. } | Phase::Ended(_),
                Request::Look | Request::LookNow,
            ) => {
                life.asked_at = Some(now);
                if *request == Request::LookNow {
                    life.looked_at = life.looked_at.filter(|_| life.doubt.is_none());
                    let failed = life.stop.as_mut().and_then(|stop| stop.failed.as_mut());
                    life.doubt.as_mut().into_iter().chain(failed).for_each(|doubt| doubt.count = 0);
                }
            }
            (
                Phase::Ended(ending),
                Request::Stop { .. } | Request::Abandon { .. } | Request::CloseTunnel | Request::OpenTunnel,
            ) => return Err(Refusal::Ended { status: ending.status.into(), at: ending.at }),
            (Phase::Intent, Request::Stop { status, .. }) => life.end(*status, Cause::Requested, now),
            (Phase::Sending { .. } | Phase::Live { .. }, Request::Stop { delay, status }) => {
                // A cancel that was heard cannot be taken back.
                let cancelled_at = life.stop.and_then(|stop| stop.cancelled_at);
                let (asked_at, due, status) = (now, now.plus(*delay), *status);
                life.stop = Some(StopWish { asked_at, due, status, cancelled_at, failed: None });
                life.asked_at = Some(now);
            }
            (Phase::Intent, Request::Abandon { why }) => {
                life.end(EndStatus::Failed, Cause::NotSent(why.clone()), now);
            }
            (Phase::Sending { .. } | Phase::Live { .. }, Request::Abandon { .. }) => {
                return Err(Refusal::MayBeSent);
            }
            (Phase::Intent | Phase::Sending { .. } | Phase::Live { .. }, Request::CloseTunnel) => {
                life.tunnel_unwanted = true;
            }
            (Phase::Intent | Phase::Sending { .. } | Phase::Live { .. }, Request::OpenTunnel) => {
                life.tunnel_unwanted = false;
                life.asked_at = Some(now);
            }
        }
        Ok(life)
    }
}
