//! The engine itself: one profile's ports, the ledger and the clock.

use std::sync::Arc;

use super::error::EngineError;
use crate::id::ServiceId;
use crate::ports::{Clock, Ledger, Probe, Scheduler, Select, Tunnels, Turnstile};
use crate::service::Service;

/// The ports of one profile.
#[derive(Clone)]
pub struct Site {
    /// Where jobs run.
    pub scheduler: Arc<dyn Scheduler>,
    /// How their servers are reached.
    pub tunnels: Arc<dyn Tunnels>,
    /// How they are asked whether they answer.
    pub probe: Arc<dyn Probe>,
}

/// Is shown a service whenever something about it may have changed.
pub type Watch<'a> = &'a mut (dyn FnMut(&Service) + Send);

/// Drives the services of one profile.
///
/// Every verb may be dropped at any await: what it had begun is in the ledger, and the next turn of any engine takes
/// it up.
#[derive(Clone)]
pub struct Engine {
    pub(super) profile: String,
    pub(super) site: Site,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) turnstile: Option<Arc<dyn Turnstile>>,
    pub(super) is_urgent: bool,
}

impl Engine {
    /// An engine for the services of `profile`.
    pub fn new(
        profile: impl Into<String>,
        site: Site,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { profile: profile.into(), site, ledger, clock, turnstile: None, is_urgent: false }
    }

    /// The same engine, which asks the scheduler only while it holds a pass: it shares what it learns with all others
    /// that do so on this ledger.
    #[must_use]
    pub fn sharing(self, turnstile: Arc<dyn Turnstile>) -> Self {
        Self { turnstile: Some(turnstile), ..self }
    }

    /// The same engine, whose looks do not wait after looks that have failed.
    #[must_use]
    pub fn urgent(self) -> Self {
        Self { is_urgent: true, ..self }
    }

    /// The service as it is recorded.
    pub(super) async fn load(&self, id: ServiceId) -> Result<Service, EngineError> {
        let listing = self.ledger.list(Select::Id(id)).await?;
        if let Some(row) = listing.damaged.into_iter().next() {
            return Err(EngineError::Damaged { id, problem: row.problem });
        }
        let service = listing.services.into_iter().next().ok_or(EngineError::Unknown { id })?;
        if service.spec.profile == self.profile {
            Ok(service)
        } else {
            Err(EngineError::OtherProfile { id, profile: service.spec.profile.clone() })
        }
    }
}
