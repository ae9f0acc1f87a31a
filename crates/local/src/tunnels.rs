//! Places that this machine reaches without a tunnel.

use async_trait::async_trait;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::lifecycle::Tunnel;
use towline_core::ports::{TunnelError, Tunnels};

/// No tunnels at all: a service is reached at its own host and port. For services of this machine, and for a cluster
/// whose login node this machine is.
///
/// Nothing is opened, so nothing can be left open; a wanted local port cannot be honoured and is ignored.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectTunnels;

#[async_trait]
impl Tunnels for DirectTunnels {
    async fn open<'a>(
        &self,
        _id: ServiceId,
        place: &Place,
        _local_port: Option<u16>,
        _before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        Ok(Tunnel { host: place.host.clone(), port: place.port, place: place.clone(), handle: None })
    }

    async fn close(&self, _tunnel: &Tunnel) -> Result<(), TunnelError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn leads_to_the_place_itself() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let place = Place { host: "::1".into(), port: 8000, pid: 1, listening: true, loopback: true };
        let tunnel = DirectTunnels.open(id, &place, Some(9000), None).await.unwrap();
        assert_eq!(tunnel.url(), "http://[::1]:8000");
        assert_eq!((&tunnel.place, &tunnel.handle), (&place, &None));
        DirectTunnels.close(&tunnel).await.unwrap();
    }
}
