//! Ways from this machine to a place inside a cluster.

use async_trait::async_trait;

use super::BoxError;
use crate::id::ServiceId;
use crate::job::Place;
use crate::lifecycle::Tunnel;

/// Opens and closes tunnels. A tunnel outlives the program that opened it, and is found again by any other.
///
/// Its local end is on the loopback interface only: whoever may use this machine may use the service, and nobody else.
/// Where places are reached as they are, nothing is opened: a tunnel is then the place's own host and port, its
/// [`handle`](Tunnel::handle) is `None`, and no local port is kept, since there is none.
///
/// Whoever implements it can run `towline_core::testing::tunnels_contract` (feature `testing`), which tests every
/// promise made here.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Tunnels: Send + Sync {
    /// Makes sure that a tunnel to `place` is open and returns it.
    ///
    /// Done twice is done once: an open tunnel that leads there is found again and returned, also if `before` does
    /// not name it. `before` is the tunnel that the service had last, open or not; its local port is kept unless
    /// another is asked for, and if it leads elsewhere it is closed first. `local_port` asks for that port; with
    /// neither of the two a free one is chosen, the same again if that is possible. Says nothing about whether a
    /// server listens at the far end. If dropped, the tunnel may be open; opening it again finds it.
    ///
    /// # Errors
    /// [`TunnelError::PortTaken`] if another program, or the tunnel of another service, has the wanted port: it is left
    /// alone. [`TunnelError::Unreachable`] if the cluster cannot be reached, [`TunnelError::Failed`] otherwise.
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError>;

    /// Closes a tunnel, and no other: its local port is free afterwards. Closing one that is not open (any more) is
    /// done at once. If dropped, it may be closed.
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
