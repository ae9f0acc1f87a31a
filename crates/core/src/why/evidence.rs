//! What can be learnt of a service beyond its record.

use crate::time::Timestamp;

/// What one look where a service runs has told of it. Every part may be missing: an old scheduler, one without
/// accounting or one that does not answer tells less, and the explanation does without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether the cluster was asked just now and answered; `None` if it was not asked.
    pub reached: Option<bool>,
    /// Whether the service runs on this machine, so that its loopback interface is in reach.
    pub is_local: bool,
    /// Why the job waits, in the scheduler's own word.
    pub reason: Option<String>,
    /// Where the job stands among those that wait.
    pub position: Option<Position>,
    /// When the scheduler expects the job to start, by its own clock.
    pub starts_at: Option<Timestamp>,
    /// What the job asks for.
    pub asked: Asked,
    /// Limits that bear on the job.
    pub limits: Vec<Limit>,
    /// What the job's memory came to.
    pub memory: Memory,
    /// State of the job's node in the scheduler's words, such as `down* (Not responding)`.
    pub node: Option<String>,
    /// The end of the service's log.
    pub log: Option<String>,
    /// What could not be learnt and why, a line each.
    pub gaps: Vec<String>,
}

/// Where a job stands among those that wait in its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// How many of them are of a higher priority.
    pub ahead: u64,
    /// How many wait, this one included.
    pub waiting: u64,
}

/// What a job asks for, in the scheduler's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Partition, or several separated by commas.
    pub partition: Option<String>,
    /// Account that is charged.
    pub account: Option<String>,
    /// Quality of service.
    pub qos: Option<String>,
    /// Time limit.
    pub time: Option<String>,
    /// Number of nodes.
    pub nodes: Option<String>,
    /// Number of CPUs.
    pub cpus: Option<String>,
    /// Memory per node or CPU.
    pub memory: Option<String>,
    /// Generic resources.
    pub gres: Option<String>,
    /// Other jobs that it depends on.
    pub dependency: Option<String>,
    /// Nodes that it requires.
    pub nodelist: Option<String>,
    /// Features that its nodes must have.
    pub features: Option<String>,
    /// Licenses.
    pub licenses: Option<String>,
    /// Reservation.
    pub reservation: Option<String>,
}

/// A limit of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it is a limit of, such as `partition short`.
    pub of: String,
    /// Its name in the scheduler's words, such as `MaxTime`.
    pub name: String,
    /// Its value in the scheduler's words.
    pub value: String,
}

/// A job's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What it may use, on each of its nodes.
    pub limit: Option<u64>,
    /// The most that it was seen using.
    pub peak: Option<u64>,
}
