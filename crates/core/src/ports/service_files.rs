//! The files that a service leaves where it runs.

use std::time::Duration;

use async_trait::async_trait;

use super::BoxError;
use crate::id::ServiceId;

/// Where to begin reading a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFrom {
    /// That many lines before its end.
    Tail(u32),
    /// At that byte.
    Offset(u64),
}

/// A piece of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogChunk {
    /// The bytes; none if there is nothing new. At most 1 MiB at a time.
    pub bytes: Vec<u8>,
    /// Where to go on reading.
    pub next: u64,
}

/// Reads and removes what a service left where it ran.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait ServiceFiles: Send + Sync {
    /// Reads the output of the service's job. If there is nothing to read yet, waits up to `wait` for it and then
    /// returns an empty piece. A log that has shrunk (the job was requeued) is read from its beginning.
    ///
    /// # Errors
    /// [`FilesError::Missing`] if there is no log, [`FilesError::Unreachable`] if it cannot be told.
    async fn read_log(&self, id: ServiceId, from: LogFrom, wait: Duration) -> Result<LogChunk, FilesError>;

    /// Removes the directory of a service that has ended. Removing what is not there is done at once.
    ///
    /// # Errors
    /// [`FilesError::Unreachable`] or [`FilesError::Failed`] if something may be left.
    async fn remove(&self, id: ServiceId) -> Result<(), FilesError>;
}

/// Why a service's files could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// There is no such file: the job has not begun to run, or its directory was removed.
    #[error("there is no log yet")]
    Missing,
    /// The host that holds them could not be reached.
    #[error("failed to reach the service's files")]
    Unreachable(#[source] BoxError),
    /// Anything else, such as a missing permission.
    #[error("failed to use the service's files")]
    Failed(#[source] BoxError),
}
