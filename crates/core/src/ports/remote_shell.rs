//! Shell scripts on the host from which a cluster is used.

use std::time::Duration;

use async_trait::async_trait;

use super::BoxError;

/// A script for a POSIX shell and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellScript {
    /// Its text, fed to the shell's standard input: nothing of it is ever an argument, so nothing shows in `ps`.
    pub text: String,
    /// How long to wait for its end.
    pub deadline: Duration,
}

/// What a script printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellOutput {
    /// Standard output. A login shell's start-up files may have printed here before the script.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Exit code; 128 + n if a signal n ended it.
    pub code: i32,
}

/// Runs scripts where the scheduler's commands are.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait RemoteShell: Send + Sync {
    /// Runs `script` in a POSIX `sh`, started by the user's login shell so that `PATH` is theirs, and returns what
    /// it printed. A script that exits with another code than 0 is no error here. If dropped, the script may run on.
    ///
    /// # Errors
    /// [`ShellError::NotSent`] if the script certainly did not run, [`ShellError::Lost`] if it may have run.
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError>;
}

/// Why a script's output could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShellError {
    /// The host could not be reached; the script did not run.
    #[error("failed to reach {host}")]
    NotSent {
        /// The host, in the user's words.
        host: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The script was sent; its outcome is unknown.
    #[error("lost the connection to {host} during a command")]
    Lost {
        /// The host, in the user's words.
        host: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The script was sent and did not end in time; its outcome is unknown.
    #[error("a command on {host} did not end within {} s", .deadline.as_secs())]
    TimedOut {
        /// The host, in the user's words.
        host: String,
        /// How long it was waited for.
        deadline: Duration,
    },
}
