//! What a scheduler says about a job, in words that fit every scheduler.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::time::Timestamp;

/// Where a job stands in its scheduler. A word that an adapter does not know is no state: it is [`Sight::Unseen`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits in the queue, held or requeued jobs included. Comes next: an allocation, or an end.
    Queued,
    /// Has an allocation whose nodes are not ready; the command does not run yet.
    Configuring,
    /// The command runs.
    Running,
    /// Keeps its allocation but makes no progress; its server is silent and that is not its fault.
    Suspended,
    /// Ends, but how is not final: it may yet complete, fail or be requeued.
    Leaving,
    /// Has ended for good.
    Ended(JobEnd),
}

impl JobState {
    /// Whether nothing comes next.
    pub const fn has_ended(&self) -> bool {
        match self {
            Self::Ended(_) => true,
            Self::Queued | Self::Configuring | Self::Running | Self::Suspended | Self::Leaving => false,
        }
    }
}

/// How a job ended, as its scheduler tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobEnd {
    /// In which way.
    pub outcome: Outcome,
    /// Exit code or signal of the batch script, where known.
    pub exit: Option<ExitStatus>,
    /// The scheduler's words on it: its reason, or who cancelled it.
    pub reason: Option<String>,
}

impl JobEnd {
    /// The end that the job's own record tells where the scheduler knows nothing more.
    pub fn recorded(exit: ExitStatus) -> Self {
        let failed = exit.code != 0 || exit.signal.is_some();
        let outcome = if failed { Outcome::Failed } else { Outcome::Completed };
        Self { outcome, exit: Some(exit), reason: None }
    }
}

/// The ways in which a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// By itself, with exit code 0.
    Completed,
    /// By a user's or an administrator's cancel.
    Cancelled,
    /// By its time limit.
    TimeLimit,
    /// By a deadline that could not be met.
    Deadline,
    /// By itself, with another exit code or by a signal.
    Failed,
    /// Its node failed.
    NodeFail,
    /// Its node did not boot.
    BootFail,
    /// It used more memory than it had asked for.
    OutOfMemory,
    /// It had to make room for another job and was not requeued.
    Preempted,
}

/// Exit code and signal of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The exit code, 0 to 255.
    pub code: u8,
    /// The signal that killed it, if one did.
    pub signal: Option<u8>,
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.signal {
            Some(signal) => write!(f, "signal {signal}"),
            None => write!(f, "exit code {}", self.code),
        }
    }
}

/// One job as its scheduler reports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobReport {
    /// The scheduler's id.
    pub id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// The scheduler's own word for that, such as `CONFIGURING`.
    pub word: String,
    /// The host on which the command runs, once there is one.
    pub node: Option<String>,
    /// Why it stands there, in the scheduler's words (`Resources`, `Priority`); `None` if it says nothing.
    pub reason: Option<String>,
    /// How long the present run has lasted, by the scheduler's own clock.
    pub running_for: Option<Duration>,
    /// How long until its time limit, by the scheduler's own clock; `None` without a limit or before it runs.
    pub time_left: Option<Duration>,
    /// A mark of the present run that grows when a job is requeued and runs again (its start time, say).
    pub run: Option<u64>,
}

/// What one look at the scheduler tells of one service's job. Three answers, never two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// The scheduler knows it.
    Seen(JobReport),
    /// Authoritative answers (the queue and, where it exists, accounting) miss it. One such answer ends nothing.
    Absent,
    /// Nobody knows: no answer, no permission, an unknown word, late accounting. Holds why, for people.
    Unseen(String),
}

/// Where a server really listens inside the cluster, told by its own job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The host as it is reached from the login node.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Process id of the server on that host; 0 if untold.
    pub pid: u32,
    /// Whether the service's own process has been seen listening there; before that the place is an intention
    /// and an answer from it proves nothing.
    pub listening: bool,
    /// Whether it listens on the loopback interface only, out of reach from any other host.
    pub loopback: bool,
}

impl Place {
    /// Whether both name the same host and port, whatever else is known of them.
    pub fn is_same_address(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }
}

/// Everything that one look tells of one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// What the scheduler says.
    pub sight: Sight,
    /// The place that the job's present run published; an adapter never passes on one of an earlier run.
    pub place: Option<Place>,
    /// The exit status that the job's last line left behind, of its present run. Evidence where the scheduler knows
    /// nothing; it never overrules the scheduler.
    pub exit: Option<ExitStatus>,
    /// When that was, by the scheduler's own clock; `None` if it does not tell. Only its differences count: the clocks
    /// of this machine and of a cluster need not agree.
    pub at: Option<Timestamp>,
}

impl Sighting {
    /// A look that found out nothing, and why.
    pub fn unseen(why: impl Into<String>) -> Self {
        Self { sight: Sight::Unseen(why.into()), place: None, exit: None, at: None }
    }

    /// A look that missed the job with authority, at `at` by the scheduler's own clock.
    pub const fn absent(at: Option<Timestamp>) -> Self {
        Self { sight: Sight::Absent, place: None, exit: None, at }
    }
}
