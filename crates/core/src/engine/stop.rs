//! `stop`: ends a service by cancelling its job.

use std::time::Duration;

use super::entry::Entry;
use super::error::EngineError;
use super::site::Engine;
use crate::id::ServiceId;
use crate::lifecycle::{EndStatus, Request};
use crate::service::Service;

impl Engine {
    /// Wishes for the end of a service: after `delay` its job is cancelled, and once it has ended the service is
    /// recorded as `status`.
    ///
    /// The wish is recorded first; whatever happens to this process, the next turn of any engine fulfils it. Makes one
    /// turn and returns the service as it is recorded then, which may be before its job has ended: [`Engine::wait`]
    /// waits for that.
    ///
    /// # Errors
    /// [`EngineError::Refused`] if it has ended already; nothing changes then.
    pub async fn stop(
        &self,
        id: ServiceId,
        delay: Duration,
        status: EndStatus,
    ) -> Result<Service, EngineError> {
        let mut entries = [Entry::new(self.load(id).await?)];
        entries[0].request(Request::Stop { delay, status }, self.clock.now())?;
        self.save(&mut entries, |_, _| true, &mut None).await?;
        let [mut entry] = entries;
        if let Some(refusal) = entry.refused.take() {
            return Err(refusal.into());
        }
        self.turn_one(entry, &mut None).await
    }
}
