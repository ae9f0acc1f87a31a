//! The abstract world: the jobs of one service, its cluster's memory, and the tunnels that are open.
//!
//! The network and the scheduler's daemons are not in it: at each call [`crate::calls`] leaves it open whether it gets
//! through, fails, or has its effect and loses its answer, so that every pattern of ups and downs is among the walks.
//! So is the server: whether it answers a ping is open at each ping, once it was published, and so is whether a
//! stranger answers where it does not listen.

use towline_core::id::JobId;
use towline_core::job::{JobEnd, JobState, Outcome, Place};

/// Jobs that the walk tells apart. Two are enough to see that there are two.
pub(crate) const JOBS: usize = 2;
/// Runs of each that are told apart: one is requeued once.
pub(crate) const RUNS: u8 = 2;

/// What there is outside the processes, and what it remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// What kind of cluster it is; never changes.
    pub(crate) cluster: Cluster,
    /// The jobs of the service, in the order of their submission.
    pub(crate) jobs: [Option<SimJob>; JOBS],
    /// The places to which a tunnel is open, as bits.
    pub(crate) tunnels: u8,
    /// Those of them that were opened and have not been recorded since, as bits.
    pub(crate) unrecorded: u8,
    /// The places that were silent when their job had run for the whole grace period, as bits: to a ping that reached
    /// them, or by the job's own account.
    pub(crate) silent: u8,
    /// Whether anybody ever asked for a stop.
    pub(crate) stop_asked: bool,
}

/// What a cluster keeps of what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cluster {
    /// Whether it can tell, asked to submit again, that it did already.
    pub(crate) remembers: bool,
    /// What is known of a job that its queue has forgotten.
    pub(crate) books: Books,
}

/// What is known of a job that the queue has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Books {
    /// Accounting tells of it, though maybe late.
    Accounting,
    /// Its own last line tells how it ended.
    ExitRecord,
    /// Nothing.
    None,
}

/// A job of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SimJob {
    /// Its number, which may be that of an earlier one.
    pub(crate) id: u8,
    pub(crate) state: SimState,
    /// Whether and where it is listed.
    pub(crate) listed: Listed,
    /// Which run it is in, or waits for; the first is 1.
    pub(crate) run: u8,
    /// How many steps this run has run, suspensions left out.
    pub(crate) ran: u8,
    /// How many steps ago its last run was over, one at most.
    pub(crate) over: u8,
    pub(crate) published: Published,
    /// Whether it was told to end.
    pub(crate) cancelled: bool,
}

/// Where a job really stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SimState {
    Queued,
    Configuring,
    Running,
    Suspended,
    Leaving,
    Ended(End),
}

/// How it ended. The machine tells no more apart: a failing node is a failure, a deadline a time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Completed,
    Cancelled,
    TimeLimit,
    Failed,
}

/// Who tells of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Listed {
    /// Nobody yet.
    NotYet,
    Queue,
    /// The queue has forgotten it, and accounting has it as not ended.
    Late,
    Accounting,
    /// Nobody any more. Its number may be a stranger's by now, which no look at this service shows.
    Gone,
}

/// What a run has told of the place where its server is to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Published {
    Nothing,
    /// The port that it will try.
    Intention,
    /// The port on which its own process listens.
    Listening,
}

/// What happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    List,
    Configure,
    Run,
    Intend,
    Listen,
    Suspend,
    Resume,
    Leave,
    End(End),
    Requeue,
    /// The queue forgets it, and these tell of it from now on.
    Forget(Listed),
    CatchUp,
}

impl End {
    pub(crate) const ALL: [Self; 4] = [Self::Completed, Self::Cancelled, Self::TimeLimit, Self::Failed];

    pub(crate) const fn job_end(self) -> JobEnd {
        let outcome = match self {
            Self::Completed => Outcome::Completed,
            Self::Cancelled => Outcome::Cancelled,
            Self::TimeLimit => Outcome::TimeLimit,
            Self::Failed => Outcome::Failed,
        };
        JobEnd { outcome, exit: None, reason: None }
    }
}

impl SimJob {
    pub(crate) fn new(id: u8) -> Self {
        let (state, listed, published) = (SimState::Queued, Listed::NotYet, Published::Nothing);
        Self { id, state, listed, run: 1, ran: 0, over: 0, published, cancelled: false }
    }

    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.state, SimState::Ended(_))
    }

    pub(crate) fn job_id(&self) -> JobId {
        JobId::new(if self.id == 1 { "1" } else { "2" })
    }

    pub(crate) fn job_state(&self) -> JobState {
        match self.state {
            SimState::Queued => JobState::Queued,
            SimState::Configuring => JobState::Configuring,
            SimState::Running => JobState::Running,
            SimState::Suspended => JobState::Suspended,
            SimState::Leaving => JobState::Leaving,
            SimState::Ended(end) => JobState::Ended(end.job_end()),
        }
    }

    /// What may happen to it next. A job that was told to end is not requeued.
    pub(crate) fn events(&self, books: Books, events: &mut Vec<Event>) {
        if self.listed == Listed::NotYet {
            events.push(Event::List);
        }
        match self.state {
            SimState::Queued => events.extend([Event::Configure, Event::Run]),
            SimState::Configuring => events.push(Event::Run),
            SimState::Running => events.extend([Event::Suspend, Event::Leave]),
            SimState::Suspended => events.push(Event::Resume),
            SimState::Leaving | SimState::Ended(_) => {}
        }
        match (self.state, self.published) {
            (SimState::Running, Published::Nothing) => events.extend([Event::Intend, Event::Listen]),
            (SimState::Running, Published::Intention) => events.push(Event::Listen),
            _ => {}
        }
        if self.is_live() {
            events.extend(End::ALL.map(Event::End));
            let begun = self.state != SimState::Queued;
            if begun && self.run < RUNS && !self.cancelled {
                events.push(Event::Requeue);
            }
        }
        match (self.is_live(), self.listed, books) {
            (false, Listed::Queue, Books::Accounting) => {
                events.extend([Event::Forget(Listed::Late), Event::Forget(Listed::Accounting)]);
            }
            (false, Listed::Queue, Books::ExitRecord | Books::None) => {
                events.push(Event::Forget(Listed::Gone));
            }
            (_, Listed::Late, _) => events.push(Event::CatchUp),
            _ => {}
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::List => self.listed = Listed::Queue,
            Event::Configure => self.state = SimState::Configuring,
            Event::Run | Event::Resume => self.state = SimState::Running,
            Event::Intend => self.published = Published::Intention,
            Event::Listen => self.published = Published::Listening,
            Event::Suspend => self.state = SimState::Suspended,
            Event::Leave => self.state = SimState::Leaving,
            Event::End(end) => {
                self.state = SimState::Ended(end);
                (self.published, self.ran, self.over) = (Published::Nothing, 0, 0);
            }
            Event::Requeue => {
                self.state = SimState::Queued;
                (self.published, self.ran, self.over) = (Published::Nothing, 0, 0);
                self.run += 1;
            }
            Event::Forget(listed) => self.listed = listed,
            Event::CatchUp => self.listed = Listed::Accounting,
        }
    }

    /// Told to end: what waits ends at once, what runs after a while.
    pub(crate) fn cancel(&mut self) {
        match self.state {
            SimState::Queued => self.happen(Event::End(End::Cancelled)),
            SimState::Configuring | SimState::Running | SimState::Suspended => {
                self.happen(Event::Leave);
                self.cancelled = true;
            }
            SimState::Leaving => self.cancelled = true,
            SimState::Ended(_) => {}
        }
    }

    /// A step passes. By then whatever was accepted is listed: what the settling time is for.
    fn grow_older(&mut self) {
        if self.listed == Listed::NotYet {
            self.listed = Listed::Queue;
        }
        if self.state == SimState::Running {
            self.ran += 1;
        }
        if self.run > 1 || !self.is_live() {
            self.over = (self.over + 1).min(1);
        }
    }
}

/// A run of a job as the index of the place where its server is to listen.
pub(crate) fn place_of(job: usize, run: u8) -> usize {
    job * usize::from(RUNS) + usize::from(run) - 1
}

/// The place of that index.
pub(crate) fn place(index: usize, listening: bool) -> Place {
    let host = ["a", "b", "c", "d"][index].to_owned();
    Place { host, port: 1, pid: 0, listening, loopback: false }
}

/// The index of a place.
pub(crate) fn index_of(place: &Place) -> usize {
    usize::from(place.host.as_bytes()[0] - b'a')
}

impl World {
    pub(crate) const fn new(cluster: Cluster) -> Self {
        Self { cluster, jobs: [None; JOBS], tunnels: 0, unrecorded: 0, silent: 0, stop_asked: false }
    }

    pub(crate) fn jobs(&self) -> impl DoubleEndedIterator<Item = (usize, &SimJob)> {
        self.jobs.iter().enumerate().filter_map(|(index, job)| Some((index, job.as_ref()?)))
    }

    pub(crate) fn live_jobs(&self) -> usize {
        self.jobs().filter(|(_, job)| job.is_live()).count()
    }

    pub(crate) fn happen(&mut self, job: usize, event: Event) {
        if let Some(job) = &mut self.jobs[job] {
            job.happen(event);
        }
    }

    pub(crate) fn grow_older(&mut self) {
        self.jobs.iter_mut().flatten().for_each(SimJob::grow_older);
    }

    /// The job whose present run has that place and goes on.
    pub(crate) fn running_at(&self, place: usize) -> Option<&SimJob> {
        let here = |(index, job): &(usize, &SimJob)| place_of(*index, job.run) == place;
        let goes_on =
            |job: &&SimJob| matches!(job.state, SimState::Running | SimState::Suspended | SimState::Leaving);
        self.jobs().find(here).map(|(_, job)| job).filter(goes_on)
    }

    /// Whether the run of that place was over a step ago already.
    pub(crate) fn is_long_over(&self, place: usize) -> bool {
        self.running_at(place).is_none()
            && self.jobs[place / usize::from(RUNS)].is_none_or(|job| job.over > 0)
    }
}
