//! One look at a time.

use async_trait::async_trait;

/// Leave to look. Whoever drops it, or is killed, has left.
pub type Pass = Box<dyn Send + Sync>;

/// Lets one process at a time ask a cluster, of all that use the same ledger: what the first one learns, the others
/// read from the ledger and need not ask for. This spares login nodes. Nothing depends on it for being right.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Turnstile: Send + Sync {
    /// Waits until nobody else holds a pass for `whom` (a profile, and what is to be done there), and returns one.
    ///
    /// Never waits for ever: somebody who has held one for longer than any look takes (a process may be suspended) is
    /// not waited for any more. `None` if there is no telling. If dropped, it has no effect.
    async fn enter(&self, whom: &str) -> Option<Pass>;
}
