//! What a look at a cluster finds: what is there, and what stands in Towline's way.

use serde::Serialize;
use towline_core::time::Timestamp;

use crate::parse::association::Association;
use crate::parse::disk::Room;
use crate::parse::partition::Partition;

/// What one look at a cluster found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterProbe {
    /// The login host's own name.
    pub login_host: String,
    /// The user's name there.
    pub user: String,
    /// The user's Linux groups there.
    pub groups: Vec<String>,
    /// The user's login shell there.
    pub login_shell: String,
    /// Address and port on which the login host's own sshd took this connection, as that host sees them.
    pub sshd: Option<(String, u16)>,
    /// Where Towline's files lie, with `~` expanded.
    pub home: String,
    /// How much room there is.
    pub room: Room,
    /// Slurm's version, such as `22.05.8`.
    pub slurm_version: Option<String>,
    /// The cluster's clock when the look began, and when it ended.
    pub clock: Option<(Timestamp, Timestamp)>,
    /// The partitions that are shown to this user; none if they could not be learnt.
    pub partitions: Vec<Partition>,
    /// Whether accounting can be asked how vanished jobs ended.
    pub has_accounting: bool,
    /// Whether the controller refuses jobs without an account that the user may charge, as far as that is known.
    pub enforces_accounts: Option<bool>,
    /// The accounts that the user may charge jobs to; `None` if that could not be learnt.
    pub associations: Option<Vec<Association>>,
    /// What is in the way, the worst first.
    pub problems: Vec<Problem>,
}

/// Something that is in Towline's way on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// A command is not on the `PATH` that a login without a terminal has.
    #[error("there is no {command} on PATH")]
    MissingCommand {
        /// The command.
        command: String,
    },
    /// The directory for Towline's files cannot be written.
    #[error("failed to write below {home}: {words}")]
    Home {
        /// The directory.
        home: String,
        /// The shell's words.
        words: String,
    },
    /// Slurm is older than any with which this is known to work.
    #[error("Slurm {version} is older than {needed}")]
    OldSlurm {
        /// Its version.
        version: String,
        /// The oldest that is known to work, or the oldest that can.
        needed: &'static str,
    },
    /// Slurm's controller gives no answer.
    #[error("the Slurm controller gives no answer: {words}")]
    Controller {
        /// Slurm's words.
        words: String,
    },
    /// Accounting exists and gives no answer.
    #[error("Slurm's accounting gives no answer: {words}")]
    Accounting {
        /// Slurm's words.
        words: String,
    },
    /// The login shell's start-up files print text; it is passed over, but breaks other programs.
    #[error("the login shell's start-up files print {lines} {}, first {first:?}", if *.lines == 1 { "line" } else { "lines" })]
    Noise {
        /// The first line that is not empty.
        first: String,
        /// How many lines there are that are not empty.
        lines: usize,
    },
}

impl Problem {
    /// Whether no service can be run until it is solved.
    pub fn is_fatal(&self) -> bool {
        match self {
            // Without these a service runs, and less is known of it.
            Self::MissingCommand { command } => !["sacct", "sinfo", "scontrol"].contains(&command.as_str()),
            Self::OldSlurm { needed, .. } => *needed == "20.02",
            Self::Home { .. } | Self::Controller { .. } => true,
            Self::Accounting { .. } | Self::Noise { .. } => false,
        }
    }
}
