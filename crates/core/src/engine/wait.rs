//! `wait`: turn after turn, at each life's own pace, until a status is reached.

use super::entry::Entry;
use super::error::EngineError;
use super::site::{Engine, Watch};
use super::turn::show;
use crate::id::ServiceId;
use crate::lifecycle::Status;
use crate::service::Service;

impl Engine {
    /// Follows a service until it has one of the statuses `until`, or has ended, and returns it as it is then. `watch`
    /// is shown it after each look.
    ///
    /// A cluster that does not answer is waited for: doubt ends nothing. A caller that wants a limit drops this.
    ///
    /// # Errors
    /// The ledger's, and [`EngineError::Unknown`] once the service is removed.
    pub async fn wait(
        &self,
        id: ServiceId,
        until: &[Status],
        watch: Watch<'_>,
    ) -> Result<Service, EngineError> {
        let mut watch = Some(watch);
        loop {
            let entry = Entry::new(self.load(id).await?);
            let service = self.turn_one(entry, &mut watch).await?;
            show(&mut watch, &service);
            let status = service.status();
            if status.is_terminal() || until.contains(&status) {
                return Ok(service);
            }
            let Some(wake_at) = service.life.plan(self.clock.now()).wake_at else { return Ok(service) };
            self.clock.sleep_until(wake_at).await;
        }
    }
}
