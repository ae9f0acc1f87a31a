//! Time, told and waited for.

use async_trait::async_trait;

use crate::time::Timestamp;

/// The clock of this machine. The engine waits by it alone, so that a simulated one can be put in its place.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time now. May jump, forwards and backwards.
    fn now(&self) -> Timestamp;

    /// Returns once it is `at` or later; at once if that has passed.
    async fn sleep_until(&self, at: Timestamp);
}
