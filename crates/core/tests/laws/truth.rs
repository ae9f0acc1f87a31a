//! What really happens to one job, by a clock that never jumps, and how that looks to a life whose clock does.
//!
//! The scheduler tells its own clock and how long a run has lasted, as Slurm does.

use std::time::Duration;

use proptest::prelude::*;
use towline_core::id::JobId;
use towline_core::job::{JobEnd, JobReport, JobState, Place, Sight, Sighting};
use towline_core::lifecycle::{Action, CancelFact, Echo, Fact, Job, Ping, Submission, Tunnel, TunnelFact};
use towline_core::time::Timestamp;

use towline_core::testing::strategies::{clock_jump, job_end};

/// Something that happens, or that is asked.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// The job gets its nodes, or goes on after a suspension.
    Run,
    Suspend,
    Requeue,
    End(JobEnd),
    /// The server answers from now on, or no more.
    Listen(bool),
    /// Something else answers at the place of a server that does not, or no more.
    Stranger(bool),
    /// The cluster can be reached, or not.
    Network(bool),
    /// The scheduler lists the job, or not.
    List(bool),
    Look,
    Ping,
}

/// A deed after some time, and how far our clock jumps just before, in milliseconds.
pub(crate) type Moves = Vec<(Duration, i64, Deed)>;

/// What happens to a job whose grace period is `grace` and whose absence settles in `settle`.
pub(crate) fn moves(grace: Duration, settle: Duration) -> impl Strategy<Value = Moves> {
    let wait = prop_oneof![
        6 => (0..5_000_u64).prop_map(Duration::from_millis),
        4 => (0..70_000_u64).prop_map(Duration::from_millis),
        1 => Just(grace),
        1 => Just(settle),
    ];
    let deed = prop_oneof![
        4 => Just(Deed::Run),
        1 => Just(Deed::Suspend),
        1 => Just(Deed::Requeue),
        1 => job_end().prop_map(Deed::End),
        2 => prop::bool::weighted(0.7).prop_map(Deed::Listen),
        1 => any::<bool>().prop_map(Deed::Stranger),
        1 => prop::bool::weighted(0.7).prop_map(Deed::Network),
        1 => prop::bool::weighted(0.6).prop_map(Deed::List),
        16 => Just(Deed::Look),
        14 => Just(Deed::Ping),
    ];
    prop::collection::vec((wait, clock_jump(), deed.boxed()), 1..80)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Queued,
    Running { since: Timestamp },
    Suspended,
    Ended(JobEnd),
}

/// The truth about the job of one service.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    /// The true time, which is the scheduler's.
    pub(crate) time: Timestamp,
    /// What our clock shows.
    pub(crate) ours: Timestamp,
    pub(crate) stand: Stand,
    /// How long the present run had lasted when it was last suspended.
    lasted: Duration,
    pub(crate) mark: u64,
    pub(crate) listens: bool,
    pub(crate) stranger: bool,
    pub(crate) reachable: bool,
    pub(crate) listed: bool,
    pub(crate) cancelled: bool,
}

impl Truth {
    /// A job that was just submitted; the scheduler may list it late.
    pub(crate) fn new(listed: bool) -> Self {
        let time = Timestamp::from_secs(1_900_000_000);
        Self {
            time,
            ours: Timestamp::from_secs(1_800_000_000),
            stand: Stand::Queued,
            lasted: Duration::ZERO,
            mark: 1,
            listens: false,
            stranger: false,
            reachable: true,
            listed,
            cancelled: false,
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, wait: Duration, jump: i64) {
        self.time = self.time.plus(wait);
        let by = Duration::from_millis(jump.unsigned_abs());
        let ours = self.ours.plus(wait);
        self.ours = if jump < 0 { ours.minus(by) } else { ours.plus(by) };
    }

    /// What comes of a deed; what the service learns of it is its own question.
    pub(crate) fn happens(&mut self, deed: &Deed) {
        match (deed, &self.stand) {
            (Deed::Run, Stand::Queued | Stand::Suspended) => self.stand = Stand::Running { since: self.time },
            (Deed::Suspend, Stand::Running { since }) => {
                self.lasted += self.time.since(*since);
                self.stand = Stand::Suspended;
            }
            (Deed::Requeue, Stand::Running { .. } | Stand::Suspended) => {
                (self.stand, self.lasted, self.mark) = (Stand::Queued, Duration::ZERO, self.mark + 1);
                self.listens = false;
            }
            (Deed::End(end), Stand::Queued | Stand::Running { .. } | Stand::Suspended) => {
                self.stand = Stand::Ended(end.clone());
            }
            (Deed::Listen(listens), _) => self.listens = *listens,
            (Deed::Stranger(stranger), _) => self.stranger = *stranger,
            (Deed::Network(reachable), _) => self.reachable = *reachable,
            (Deed::List(listed), _) => self.listed = *listed,
            (Deed::Run | Deed::Suspend | Deed::Requeue | Deed::End(_) | Deed::Look | Deed::Ping, _) => {}
        }
    }

    /// How long the command has run in the present run of the job.
    pub(crate) fn ran(&self) -> Duration {
        match &self.stand {
            Stand::Running { since } => self.lasted + self.time.since(*since),
            Stand::Queued | Stand::Suspended | Stand::Ended(_) => self.lasted,
        }
    }

    /// A look at the scheduler.
    pub(crate) fn look(&self) -> Sighting {
        if !self.reachable {
            return Sighting::unseen("no route to host");
        }
        if !self.listed {
            return Sighting::absent(Some(self.time));
        }
        let (state, running_for) = match &self.stand {
            Stand::Queued => (JobState::Queued, None),
            Stand::Running { since } => (JobState::Running, Some(self.lasted + self.time.since(*since))),
            Stand::Suspended => (JobState::Suspended, Some(self.lasted)),
            Stand::Ended(end) => (JobState::Ended(end.clone()), None),
        };
        let place = running_for.map(|_| self.place());
        let report = JobReport {
            id: JobId::new("1"),
            word: String::new(),
            node: None,
            reason: None,
            running_for,
            time_left: None,
            run: running_for.map(|_| self.mark),
            state,
        };
        Sighting { sight: Sight::Seen(report), place, exit: None, at: Some(self.time) }
    }

    fn place(&self) -> Place {
        let host = format!("c{}", self.mark);
        Place { host, port: 20_000, pid: 1, listening: true, loopback: false }
    }

    /// A ping of `place`, and whether it was the service's own server that answered.
    pub(crate) fn ping(&self, place: &Place) -> Ping {
        let runs = matches!(self.stand, Stand::Running { .. });
        let echo = match (self.reachable, runs && self.listens && *place == self.place() || self.stranger) {
            (false, _) => Echo::NoRoute("no route to host".into()),
            (true, true) => Echo::Answered,
            (true, false) => Echo::Silent("connection refused".into()),
        };
        Ping { place: place.clone(), echo }
    }

    /// What comes of an action.
    pub(crate) fn answer(&mut self, action: &Action) -> Fact {
        match action {
            Action::Submit => Fact::Submission(Submission::Accepted(JobId::new("1"))),
            Action::Survey => Fact::Job(self.look()),
            Action::Open { place, .. } => Fact::Tunnel(TunnelFact::Open(Tunnel {
                host: "127.0.0.1".into(),
                port: 40_000,
                place: place.clone(),
                handle: Some("forward".into()),
            })),
            Action::Ping { tunnel } => Fact::Ping(self.ping(&tunnel.place)),
            Action::Cancel { .. } => {
                self.cancelled = true;
                Fact::Cancel(CancelFact::Accepted)
            }
            Action::Close { .. } => Fact::Tunnel(TunnelFact::Closed),
        }
    }
}

/// Where a life believes the server of its job to be.
pub(crate) fn known_place(life: &towline_core::lifecycle::Life) -> Option<Place> {
    life.phase.job().and_then(Job::place).cloned()
}
