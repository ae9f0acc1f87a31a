//! `open_tunnel` and `close_tunnel`.

use super::entry::Entry;
use super::error::EngineError;
use super::site::Engine;
use crate::id::ServiceId;
use crate::lifecycle::{Fact, Job, Request, Tunnel, TunnelFact};
use crate::service::Service;

impl Engine {
    /// Makes sure that a tunnel to the service is open and keeps it so from now on; looks for the service's place
    /// first if that is not known.
    ///
    /// # Errors
    /// [`EngineError::NoPlace`] if the job has not told where it listens, [`EngineError::Tunnel`] if the tunnel could
    /// not be opened, [`EngineError::Refused`] if the service has ended.
    pub async fn open_tunnel(&self, id: ServiceId) -> Result<Tunnel, EngineError> {
        let mut entry = Entry::new(self.load(id).await?);
        entry.request(Request::OpenTunnel, self.clock.now())?;
        let service = self.turn_one(entry, &mut None).await?;
        // It may have ended in that turn.
        service.life.request(&Request::OpenTunnel, self.clock.now())?;
        let Some(place) = service.life.phase.job().and_then(Job::place).cloned() else {
            return Err(EngineError::NoPlace { why: service.life.why() });
        };
        let began = self.clock.now();
        let tunnel = self.open(id, &place, service.life.local_port, service.life.open_tunnel(), true).await?;
        let mut entries = [Entry::new(service)];
        entries[0].learn(Fact::Tunnel(TunnelFact::Open(tunnel.clone())), began, self.clock.now());
        self.save(&mut entries, |_, _| true, &mut None).await?;
        // Another process may have opened one meanwhile, which is kept then.
        Ok(entries[0].service.life.open_tunnel().cloned().unwrap_or(tunnel))
    }

    /// Closes the tunnel and keeps it closed until it is asked for again; the service runs on, unpinged. Closing what
    /// is not open is done at once.
    ///
    /// # Errors
    /// [`EngineError::Tunnel`] if it may still be open, [`EngineError::Refused`] if the service has ended.
    pub async fn close_tunnel(&self, id: ServiceId) -> Result<Service, EngineError> {
        let mut entries = [Entry::new(self.load(id).await?)];
        entries[0].request(Request::CloseTunnel, self.clock.now())?;
        self.save(&mut entries, |_, _| true, &mut None).await?;
        if let Some(refusal) = entries[0].refused.take() {
            return Err(refusal.into());
        }
        if let Some(tunnel) = entries[0].service.life.open_tunnel().cloned() {
            let began = self.clock.now();
            self.site.tunnels.close(&tunnel).await?;
            entries[0].learn(Fact::Tunnel(TunnelFact::Closed), began, self.clock.now());
            self.save(&mut entries, |_, _| true, &mut None).await?;
        }
        let [entry] = entries;
        Ok(entry.service)
    }
}
