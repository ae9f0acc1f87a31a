//! Facts: what the world said. Folding one is never illegal.

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::job::{Place, Sighting};
use crate::time::Timestamp;
use crate::tunnel::Tunnel;

/// One thing learnt about a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// The submission is about to be sent; recorded first, so that a job whose answer was lost is looked for.
    Submitting,
    /// What became of a submission.
    Submission(Submission),
    /// A look at the scheduler, and at what the job published.
    Job(Sighting),
    /// What became of the tunnel.
    Tunnel(TunnelFact),
    /// A ping of the health path.
    Ping(Ping),
    /// What became of a cancel.
    Cancel(CancelFact),
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Submission {
    /// The scheduler accepted it.
    Accepted(JobId),
    /// The scheduler refused it, in these words. There is no job.
    Refused(String),
    /// It certainly never reached the scheduler, and why. There is no job.
    NotSent(String),
    /// It was sent and its answer is lost, and why. There may be a job.
    Unclear(String),
}

/// What became of the tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TunnelFact {
    /// It is open.
    Open(Tunnel),
    /// It could not be opened, and why. A ping that was due could not be made.
    Unopened(String),
    /// It is closed, and its local port is free.
    Closed,
    /// It could not be closed, and why. It may still be open.
    Unclosed(String),
}

/// One GET of the health path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ping {
    /// The place that it was meant for.
    pub place: Place,
    /// What came back.
    pub echo: Echo,
}

/// What came back from a ping.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    /// An answer that counts as ready: a 2xx, unless the service has a test of its own.
    Answered,
    /// The way to the place works and no such answer came back; what came instead.
    Silent(String),
    /// The way to the place does not work; why. Says nothing about the server.
    NoRoute(String),
}

/// What became of a cancel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CancelFact {
    /// The scheduler heard it. The job's end is still to be seen.
    Accepted,
    /// It did not get through, or was refused; why.
    Failed(String),
}

/// A ping that was made, and when.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PingRecord {
    /// When.
    pub at: Timestamp,
    /// What came back.
    pub echo: Echo,
    /// Whether it reached this very service (see [`super::Life::observe`]).
    pub counted: bool,
}
