//! Pings.

use async_trait::async_trait;

use crate::lifecycle::{Echo, Tunnel};
use crate::ready::Ready;

/// Asks a server for its health path.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Probe: Send + Sync {
    /// Sends one GET of `path` through `tunnel` and says what came back, within a deadline of its own.
    ///
    /// Never fails: not getting through is an answer, [`Echo::NoRoute`]. What `ready` lets pass is [`Echo::Answered`]; anything
    /// that the server or its host did instead (another HTTP status, refused, reset, silence) is [`Echo::Silent`].
    async fn ping(&self, tunnel: &Tunnel, path: &str, ready: &Ready) -> Echo;
}
