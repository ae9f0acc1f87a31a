//! What may be wrong with a cluster: the sources of this crate's errors at the ports.

/// Why a cluster could not do what was asked of it.
///
/// Found in the chain of sources of the ports' errors, where a caller can tell it apart and give advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Slurm's commands are not on the `PATH` of the login shell.
    #[error("there is no {command} on PATH")]
    NoSlurm {
        /// The command that is missing.
        command: &'static str,
    },
    /// The directory for Towline's files cannot be used.
    #[error("failed to use the directory {home}: {words}")]
    Home {
        /// The directory, as configured.
        home: String,
        /// The shell's words.
        words: String,
    },
    /// Slurm's controller cannot be reached, or is too busy; it has not heard the request.
    #[error("the Slurm controller gave no answer: {words}")]
    Controller {
        /// Slurm's words.
        words: String,
    },
    /// The controller may have heard the request, and what it did is not known.
    #[error("the outcome at the Slurm controller is unknown: {words}")]
    Unknown {
        /// Slurm's words.
        words: String,
    },
    /// Another submission of the same service is under way.
    #[error("another submission of this service is under way")]
    Busy,
    /// What came back is no answer of our script.
    #[error("failed to read the answer of the login host: {problem}")]
    Garbled {
        /// What is wrong with it.
        problem: String,
    },
}
