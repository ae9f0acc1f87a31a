//! The state of one service's life: everything that the ledger keeps of it besides its spec.

use serde::{Deserialize, Serialize};

use super::fact::PingRecord;
use super::phase::{Cause, Phase};
use super::request::StopWish;
use super::status::Status;
use crate::doubt::{Absence, Doubt};
use crate::terms::Terms;
use crate::time::Timestamp;
use crate::tunnel::Tunnel;

/// The life of one service: a value that facts and requests turn into the next one, and that plans what to do.
///
/// [`Life::observe`] folds a fact, [`Life::request`] takes a wish, [`Life::plan`] says what is to be done now and when
/// to ask again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Life {
    /// The intervals that decide.
    pub terms: Terms,
    /// Where it stands.
    pub phase: Phase,
    /// Since when it has had its present status.
    pub since: Timestamp,
    /// A stop that is not confirmed yet.
    pub stop: Option<StopWish>,
    /// The way to the server, open as far as is known.
    pub tunnel: Option<TunnelRecord>,
    /// The local port, kept for the whole life once it is chosen.
    pub local_port: Option<u16>,
    /// Whether the user wants the tunnel closed.
    pub tunnel_unwanted: bool,
    /// The last ping.
    pub ping: Option<PingRecord>,
    /// When somebody last asked for fresh knowledge.
    pub asked_at: Option<Timestamp>,
    /// When the scheduler was last asked, whatever it said.
    pub looked_at: Option<Timestamp>,
    /// When anything was last known for sure: an answer of the scheduler, or a ping that counted.
    pub observed_at: Option<Timestamp>,
    /// Authoritative answers that have missed the job without a break.
    #[serde(alias = "absent_since")]
    pub absence: Option<Absence>,
    /// What could not be learnt or done, and why.
    pub doubt: Option<Doubt>,
}

/// An open tunnel and when that was last made sure of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TunnelRecord {
    /// The tunnel.
    pub tunnel: Tunnel,
    /// When it was last opened or found open.
    pub checked_at: Timestamp,
}

impl Life {
    /// A service that was just asked for: nothing has been sent.
    pub const fn new(terms: Terms, now: Timestamp) -> Self {
        Self {
            terms,
            phase: Phase::Intent,
            since: now,
            stop: None,
            tunnel: None,
            local_port: None,
            tunnel_unwanted: false,
            ping: None,
            asked_at: None,
            looked_at: None,
            observed_at: None,
            absence: None,
            doubt: None,
        }
    }

    /// The flat name of where it stands.
    pub fn status(&self) -> Status {
        self.phase.status()
    }

    /// What ended it; `None` while it lives.
    pub const fn cause(&self) -> Option<&Cause> {
        let Phase::Ended(ending) = &self.phase else { return None };
        Some(&ending.cause)
    }

    /// Whether the scheduler has heard a cancel whose effect is still to be seen.
    pub fn is_cancelled(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.cancelled_at.is_some())
    }

    /// Whether anything is left to do: it has not ended, or it ended owing a cancel or holding a tunnel.
    pub const fn is_unfinished(&self) -> bool {
        let Phase::Ended(ending) = &self.phase else { return true };
        ending.owes_cancel || self.tunnel.is_some()
    }

    /// The open way to the server, as far as is known.
    pub fn open_tunnel(&self) -> Option<&Tunnel> {
        self.tunnel.as_ref().map(|record| &record.tunnel)
    }
}
