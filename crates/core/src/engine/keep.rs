//! `keep`: look again and again, at the pace of the services' own plans.

use std::collections::BTreeSet;

use super::error::EngineError;
use super::refresh::Scope;
use super::site::Engine;
use crate::id::ServiceId;
use crate::ports::Listing;
use crate::service::Service;
use crate::time::Timestamp;

impl Engine {
    /// Does what the listed services of this profile plan for now, and no more. Of the others nothing is pinged, opened or
    /// closed; a question to the scheduler may be about them as well, since one serves all. A server that answers is pinged every
    /// few seconds, the scheduler is asked when its word is too old, and what failed waits its turn. Of several engines
    /// that share and do so at once, one looks, and the others have nothing left to do.
    ///
    /// At the `suspects` it looks as [`Engine::refresh_listed`] does: something tells that their knowledge is out of date.
    /// Returns those services as they are recorded then, also those that others have finished meanwhile, without those that
    /// were removed; [`next_look`] tells when to come again.
    ///
    /// # Errors
    /// Only the ledger's; a cluster that does not answer leaves a doubt in each service.
    pub async fn keep_listed(
        &self,
        listing: Listing,
        suspects: &BTreeSet<ServiceId>,
    ) -> Result<Listing, EngineError> {
        self.pass(listing, Scope::Listed(suspects)).await
    }
}

/// When the first of the services plans something, as seen at `now`; `None` if nothing is awaited of any.
pub fn next_look<'a>(services: impl IntoIterator<Item = &'a Service>, now: Timestamp) -> Option<Timestamp> {
    services.into_iter().filter_map(|service| service.life.plan(now).wake_at).min()
}
