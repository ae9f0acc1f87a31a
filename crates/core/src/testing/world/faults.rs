//! What can be wrong with the world for a while.

use std::time::Duration;

use crate::id::ServiceId;

/// What is wrong with the world. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Nothing of the cluster can be reached, and that is known at once.
    pub network_down: bool,
    /// Nothing that is sent to the cluster arrives, and no answer comes: what was sent may have arrived, for all that
    /// this machine knows. Tunnels are opened and closed, and carry nothing.
    pub network_silent: bool,
    /// Open tunnels carry nothing, while the way to the login host works.
    pub tunnels_stuck: bool,
    /// The nodes cannot be reached from the login host; their jobs run on.
    pub nodes_cut_off: bool,
    /// The scheduler does not answer; jobs and tunnels go on.
    pub scheduler_down: bool,
    /// The login host dies in the middle of each submission: the job was accepted, its answer is lost, and the cluster
    /// keeps a trace of the attempt without the job's id.
    pub submit_reply_lost: bool,
    /// The cluster keeps nothing of a submission: asked again for a service, it makes another job.
    pub submissions_forgotten: bool,
    /// Accepted jobs are nowhere to be seen: neither queue nor accounting list them, and their records are gone.
    pub jobs_unlisted: bool,
    /// The queue answers, and lists nothing at all.
    pub queue_empty: bool,
    /// What cannot be read of the scheduler's answers.
    pub garbage: Option<Garbage>,
    /// What the accounting database knows.
    pub accounting: Accounting,
}

/// What cannot be read of the scheduler's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Garbage {
    /// All of it: cut short, or no output at all.
    Answer,
    /// The row of one service's job: damaged, or in a state that no Slurm known so far has.
    Row(ServiceId),
}

/// What the accounting database knows of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accounting {
    /// Everything, at once.
    #[default]
    Fresh,
    /// What was true that long ago.
    Late(Duration),
    /// It does not answer, and says so.
    Down,
    /// The cluster has none.
    None,
}
