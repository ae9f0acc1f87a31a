//! What a tester brings along for the contract of tunnels.

use std::sync::Arc;

use async_trait::async_trait;

use crate::id::ServiceId;
use crate::job::Place;
use crate::ports::Tunnels;

/// Tunnels, places for them to lead to, and the means to look at their local ends.
///
/// The contract closes the tunnels that it opened. After a panic they are the bench's to close, best when it is
/// dropped, and so is a cut in force.
#[async_trait]
pub trait TunnelsBench: Sync {
    /// The tunnels as one more program opens them: what one has opened, the others find.
    fn tunnels(&self) -> Arc<dyn Tunnels>;

    /// An id that no service has had yet.
    fn new_id(&self) -> ServiceId;

    /// A place where a server answers: another one each time.
    async fn place(&self) -> Place;

    /// The place whose server answers at that host and port of this machine; `None` if none of [`Self::place`]'s does.
    async fn reaches(&self, host: &str, port: u16) -> Option<Place>;

    /// A port of this machine on which nobody listens, and which no tunnel would choose by itself.
    async fn free_port(&self) -> u16;

    /// Listens as another program at that port of 127.0.0.1, from now on.
    async fn take_port(&self, port: u16);

    /// Whether anybody listens at that port of that address of this machine.
    async fn is_taken(&self, address: &str, port: u16) -> bool;

    /// How many tunnels are open. Told by what holds them open, without the implementation that is being tested.
    async fn open_tunnels(&self) -> usize;

    /// Puts the cluster out of reach, and ends the connections to it; `false` if this bench cannot.
    async fn cut(&self) -> bool {
        false
    }

    /// Puts the cluster within reach again.
    async fn mend(&self) {}
}
