//! Ways from this machine to a place inside a cluster.

use async_trait::async_trait;

use super::BoxError;
use crate::id::ServiceId;
use crate::job::Place;
use crate::lifecycle::Tunnel;

/// Opens and closes tunnels. A tunnel outlives the process that opened it.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Tunnels: Send + Sync {
    /// Makes sure that a tunnel to `place` is open and returns it.
    ///
    /// Done twice is done once: an open tunnel that leads there is found again and returned. `before` is the tunnel
    /// that the service had last; its local end is kept, and if it leads elsewhere it is closed first. `local_port`
    /// asks for that port; with `None` a free one is chosen. Says nothing about whether a server listens at the far
    /// end. If dropped, the tunnel may be open; opening it again finds it.
    ///
    /// # Errors
    /// [`TunnelError::PortTaken`] if another program has the port, [`TunnelError::Unreachable`] if the cluster cannot
    /// be reached, [`TunnelError::Failed`] otherwise.
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError>;

    /// Closes a tunnel: its local port is free afterwards. Closing one that is not open is done at once.
    ///
    /// # Errors
    /// [`TunnelError::Failed`] if it may still be open.
    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError>;
}

/// Why a tunnel could not be opened or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// Another program listens on the wanted local port.
    #[error("local port {port} is taken by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The cluster could not be reached.
    #[error("failed to reach the cluster for a tunnel")]
    Unreachable(#[source] BoxError),
    /// Anything else.
    #[error("failed to set up a tunnel")]
    Failed(#[source] BoxError),
}
