//! Tunnels: local ports that lead to places inside a cluster.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::SemaphorePermit;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::lifecycle::Tunnel;
use towline_core::ports::{TunnelError, Tunnels};

use crate::error::SshError;
use crate::forward::{Forward, ForwardError, free_port, has_gone};
use crate::master::Master;

/// First local port that is chosen for a service, and how many there are from there. Below the ports which the
/// kernels of Linux (from 32768) and macOS (from 49152) give to outgoing connections, so that a port that is
/// closed for a while is not taken by chance.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_768;

/// Opens forwards on 127.0.0.1 through a [`Master`].
///
/// A forward belongs to the master's process: it outlives this one, and it ends with the master.
#[derive(Clone, Debug)]
pub struct SshTunnels {
    pub(crate) master: Arc<Master>,
}

impl SshTunnels {
    /// Opens tunnels through that master, which is launched when it is first needed.
    pub fn new(master: Arc<Master>) -> Self {
        Self { master }
    }

    fn control(&self) -> String {
        // `ControlFiles` takes UTF-8 paths only, and so does whoever reads what `ssh -G` prints.
        self.master.control_path().to_string_lossy().into_owned()
    }

    fn forward(&self, local: u16, place: &Place) -> Forward {
        Forward { control: self.control(), local, host: place.host.clone(), port: place.port }
    }

    /// Makes sure that the master is there, and takes the right to ask it for something.
    pub(crate) async fn ready(&self) -> Result<SemaphorePermit<'_>, TunnelError> {
        self.master.make_ready().await.map_err(launch_failure)?;
        self.master.requests.acquire().await.map_err(|closed| TunnelError::Failed(closed.into()))
    }

    /// Opens the tunnel, by way of a master that is there or was a moment ago.
    async fn open_once(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        let _permit = self.ready().await?;
        let control = self.control();
        let former = before.and_then(former_forward);
        let wanted = local_port.filter(|port| *port != 0).or(former.as_ref().map(|forward| forward.local));
        if let Some(former) = former {
            let leads_there = wanted.is_some_and(|port| former == self.forward(port, place));
            if !leads_there {
                match former.close().await {
                    // Another master than the one that is used now, perhaps one that hangs and is not ours to end.
                    Err(error) if former.control != control => {
                        tracing::warn!(%error, "a forward of a former master was not closed");
                    }
                    closed => closed.map_err(failure)?,
                }
            }
        }
        let forward = match wanted {
            Some(port) => {
                let forward = self.forward(port, place);
                forward.open().await.map_err(failure)?;
                forward
            }
            None => self.open_first_free(id, place).await?,
        };
        let (host, handle) = ("127.0.0.1".to_owned(), Some(forward.handle()));
        Ok(Tunnel { host, port: forward.local, place: place.clone(), handle })
    }

    async fn open_first_free(&self, id: ServiceId, place: &Place) -> Result<Forward, TunnelError> {
        for port in own_ports(id).into_iter().chain(free_port()).chain(free_port()) {
            let forward = self.forward(port, place);
            match forward.open().await {
                Ok(()) => return Ok(forward),
                Err(ForwardError::PortTaken { .. }) => {}
                Err(error) => return Err(failure(error)),
            }
        }
        Err(TunnelError::Failed("no free local port was found".into()))
    }
}

#[async_trait]
impl Tunnels for SshTunnels {
    /// See the trait. Without a wanted port the service's own come first, which follow from its id: a tunnel that was
    /// opened and not recorded is found again by opening it once more.
    ///
    /// Sources of the errors are [`SshError`]s where the master is at fault.
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        if place.host.is_empty() || place.host.contains('\0') || place.port == 0 {
            let problem = format!("{:?} port {} is no place to connect to", place.host, place.port);
            return Err(TunnelError::Failed(problem.into()));
        }
        match self.open_once(id, place, local_port, before).await {
            Err(error) if is_of_gone_master(&error) => {
                self.master.forget_ready().await;
                self.open_once(id, place, local_port, before).await
            }
            opened => opened,
        }
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        let Some(handle) = &tunnel.handle else { return Ok(()) };
        let forward = Forward::from_handle(handle).map_err(|error| TunnelError::Failed(error.into()))?;
        let _permit =
            self.master.requests.acquire().await.map_err(|closed| TunnelError::Failed(closed.into()))?;
        forward.close().await.map_err(failure)
    }
}

/// The forward behind a tunnel of ours; `None` for one without, or of another kind.
fn former_forward(tunnel: &Tunnel) -> Option<Forward> {
    Forward::from_handle(tunnel.handle.as_deref()?).ok()
}

/// The ports that a service tries first, in order.
fn own_ports(id: ServiceId) -> [u16; 4] {
    let number = id.uuid().as_u128();
    [0, 1, 2, 3].map(|n| {
        let part = (number >> (32 * n)) as u32 ^ (number >> (32 * ((n + 3) % 4))) as u32;
        FIRST_PORT + (part % u32::from(PORTS)) as u16
    })
}

pub(crate) fn failure(error: ForwardError) -> TunnelError {
    match error {
        ForwardError::PortTaken { port } => TunnelError::PortTaken { port },
        other => TunnelError::Failed(other.into()),
    }
}

/// Whether nothing listened on the control socket when the master was asked for the forward.
fn is_of_gone_master(error: &TunnelError) -> bool {
    let TunnelError::Failed(source) = error else { return false };
    matches!(source.downcast_ref(), Some(ForwardError::Master(error)) if has_gone(error))
}

/// A login that failed for want of an answer is not one that could never work.
fn launch_failure(error: SshError) -> TunnelError {
    match error {
        SshError::NoProgram(_)
        | SshError::BadName { .. }
        | SshError::ControlPathTooLong { .. }
        | SshError::ControlDir { .. }
        | SshError::Files { .. }
        | SshError::Config { .. } => TunnelError::Failed(error.into()),
        _ => TunnelError::Unreachable(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_a_service_are_its_own_and_in_range() {
        let id = |text: &str| text.parse::<ServiceId>().unwrap();
        let one = own_ports(id("0199aaaa-0000-7000-8000-000000000001"));
        assert_eq!(one, own_ports(id("0199aaaa-0000-7000-8000-000000000001")));
        assert_ne!(one[0], own_ports(id("0199aaaa-0000-7000-8000-000000000002"))[0]);
        for port in own_ports(id("ffffffff-ffff-ffff-ffff-ffffffffffff")).into_iter().chain(one) {
            assert!((FIRST_PORT..FIRST_PORT + PORTS).contains(&port), "{port}");
        }
    }
}
