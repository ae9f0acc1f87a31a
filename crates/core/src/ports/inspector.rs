//! A closer look at one service, for an explanation.

use async_trait::async_trait;

use super::BoxError;
use crate::service::Service;
use crate::why::Evidence;

/// Gathers what explains where a service stands. Decides nothing: a life does not depend on it.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Inspector: Send + Sync {
    /// Looks once at what bears on the service where it stands by its record: its place in the queue and the limits
    /// there while it waits, its node while it runs, its memory once it has ended, and the end of its log. Changes
    /// nothing. What could not be had is missing, and [`Evidence::gaps`] tells why where that is worth telling.
    ///
    /// # Errors
    /// [`InspectError`] if nothing could be learnt at all.
    async fn inspect(&self, service: &Service) -> Result<Evidence, InspectError>;
}

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The host could not be reached, or did not answer in time.
    #[error("failed to look at the service where it runs")]
    Unreachable(#[source] BoxError),
    /// The answer could not be read.
    #[error("failed to read what the host of the service answered: {problem}")]
    Garbled {
        /// What is wrong with it.
        problem: String,
    },
}
