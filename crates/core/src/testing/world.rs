//! A simulated world in virtual time: one cluster, its network, and the clock, all in memory.
//!
//! Nothing waits for real: [`Clock::sleep_until`] moves the time. A story sets how jobs behave, lets an engine act,
//! breaks something, and looks at what became of the services.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::{Engine, Site};
use crate::id::{JobId, ServiceId};
use crate::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Place, Sight, Sighting};
use crate::lifecycle::{Echo, Tunnel};
use crate::ports::{
    CancelError, Clock, Ledger, Probe, Scheduler, Subject, SubmitError, Survey, SurveyError, TunnelError,
    Tunnels,
};
use crate::spec::{ServiceSpec, SpecError};
use crate::time::Timestamp;

/// How the jobs submitted from now on behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How long a job waits in the queue.
    pub queued_for: Duration,
    /// How long its command runs until the server listens and answers; `None` if it never does.
    pub listens_after: Option<Duration>,
    /// How long its command runs; `None` if until it is cancelled.
    pub runs_for: Option<Duration>,
    /// How it ends after that.
    pub end: JobEnd,
    /// The scheduler's words if it refuses the job.
    pub refused: Option<String>,
}

impl Default for Behaviour {
    /// Two seconds in the queue, a server after three more, and no end.
    fn default() -> Self {
        Self {
            queued_for: Duration::from_secs(2),
            listens_after: Some(Duration::from_secs(3)),
            runs_for: None,
            end: JobEnd {
                outcome: Outcome::Completed,
                exit: Some(ExitStatus { code: 0, signal: None }),
                reason: None,
            },
            refused: None,
        }
    }
}

/// What is wrong with the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Nothing of the cluster can be reached.
    pub network_down: bool,
    /// The scheduler does not answer; jobs and tunnels go on.
    pub scheduler_down: bool,
    /// The answer to a submission is lost after the job was accepted.
    pub submit_reply_lost: bool,
    /// Accepted jobs are not listed.
    pub jobs_unlisted: bool,
}

/// The simulated world. It is scheduler, tunnels, probe and clock in one.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    behaviour: Behaviour,
    faults: Faults,
    jobs: BTreeMap<JobId, SimulatedJob>,
    tunnels: BTreeMap<u16, ServiceId>,
    surveys: u32,
}

#[derive(Debug)]
struct SimulatedJob {
    service: ServiceId,
    behaviour: Behaviour,
    queued_at: Timestamp,
    cancelled_at: Option<Timestamp>,
    runs: u64,
    port: u16,
}

impl World {
    /// A world in which everything works, at noon of the first day of 2026.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                now: Timestamp::from_secs(1_767_268_800),
                behaviour: Behaviour::default(),
                faults: Faults::default(),
                jobs: BTreeMap::new(),
                tunnels: BTreeMap::new(),
                surveys: 0,
            }),
        })
    }

    /// An engine for `profile` that lives in this world and records in `ledger`.
    pub fn engine(self: &Arc<Self>, profile: &str, ledger: Arc<dyn Ledger>) -> Engine {
        let site = Site {
            scheduler: Arc::clone(self) as _,
            tunnels: Arc::clone(self) as _,
            probe: Arc::clone(self) as _,
        };
        Engine::new(profile, site, ledger, Arc::clone(self) as _)
    }

    /// Sets how the jobs submitted from now on behave.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// Sets what is wrong with the world from now on.
    pub fn break_down(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        state.now = state.now.plus(duration);
    }

    /// Cancels the jobs of a service behind Towline's back.
    pub fn cancel_by_hand(&self, service: ServiceId) {
        let mut state = self.state();
        let now = state.now;
        for job in state.jobs.values_mut().filter(|job| job.service == service) {
            job.cancelled_at.get_or_insert(now);
        }
    }

    /// Puts the live jobs of a service back into the queue, from where they run again elsewhere under the same id.
    pub fn requeue(&self, service: ServiceId) {
        let mut state = self.state();
        let now = state.now;
        let live = |job: &&mut SimulatedJob| {
            job.service == service && !matches!(job.state(now).0, JobState::Ended(_))
        };
        for job in state.jobs.values_mut().filter(live) {
            job.queued_at = now;
            job.runs += 1;
        }
    }

    /// How many jobs of a service have not ended.
    pub fn live_jobs(&self, service: ServiceId) -> usize {
        let state = self.state();
        let live = |job: &&SimulatedJob| {
            job.service == service && !matches!(job.state(state.now).0, JobState::Ended(_))
        };
        state.jobs.values().filter(live).count()
    }

    /// How many tunnels are open.
    pub fn open_tunnels(&self) -> usize {
        self.state().tunnels.len()
    }

    /// How many questions the scheduler was asked.
    pub fn surveys(&self) -> u32 {
        self.state().surveys
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimulatedJob {
    /// Where it stands at `now`, and for how long its command has run.
    fn state(&self, now: Timestamp) -> (JobState, Duration) {
        let began = self.queued_at.plus(self.behaviour.queued_for);
        let by_itself = self.behaviour.runs_for.map(|runs| began.plus(runs));
        let ended = match (self.cancelled_at, by_itself) {
            (Some(cancelled), Some(end)) if end <= cancelled => Some((end, self.behaviour.end.clone())),
            (Some(cancelled), _) => {
                Some((cancelled, JobEnd { outcome: Outcome::Cancelled, exit: None, reason: None }))
            }
            (None, Some(end)) => Some((end, self.behaviour.end.clone())),
            (None, None) => None,
        };
        match ended {
            Some((at, end)) if at <= now => (JobState::Ended(end), at.since(began)),
            _ if now < began => (JobState::Queued, Duration::ZERO),
            _ => (JobState::Running, now.since(began)),
        }
    }

    fn place(&self, now: Timestamp) -> Option<Place> {
        let (state, ran) = self.state(now);
        let listening = self.behaviour.listens_after.is_some_and(|after| ran >= after);
        let host = format!("node{}", self.runs);
        (state == JobState::Running).then_some(Place {
            host,
            port: self.port,
            pid: 1,
            listening,
            loopback: false,
        })
    }

    fn sighting(&self, id: &JobId, now: Timestamp) -> Sighting {
        let (state, ran) = self.state(now);
        let running = state == JobState::Running;
        let place = self.place(now);
        let report = JobReport {
            id: id.clone(),
            word: if running { "RUNNING".into() } else { String::new() },
            node: place.as_ref().map(|place| place.host.clone()),
            reason: (state == JobState::Queued).then(|| "Priority".into()),
            running_for: running.then_some(ran),
            time_left: None,
            run: running.then_some(self.runs),
            state,
        };
        Sighting { sight: Sight::Seen(report), place, exit: None, at: Some(now) }
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    async fn sleep_until(&self, at: Timestamp) {
        let mut state = self.state();
        state.now = state.now.max(at);
    }
}

#[async_trait]
impl Scheduler for World {
    fn check(&self, _spec: &ServiceSpec) -> Result<(), SpecError> {
        Ok(())
    }

    async fn submit(&self, id: ServiceId, _spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        let mut state = self.state();
        if state.faults.network_down || state.faults.scheduler_down {
            return Err(SubmitError::NotSent("no route to host".into()));
        }
        let behaviour = state.behaviour.clone();
        if let Some(words) = behaviour.refused {
            return Err(SubmitError::Refused { words });
        }
        let port = 20_001 + u16::try_from(state.jobs.len()).unwrap_or(u16::MAX - 20_001);
        let (job, queued_at) = (JobId::new((state.jobs.len() + 1).to_string()), state.now);
        let simulated = SimulatedJob { service: id, behaviour, queued_at, cancelled_at: None, runs: 1, port };
        state.jobs.insert(job.clone(), simulated);
        if state.faults.submit_reply_lost {
            return Err(SubmitError::Unclear("connection reset".into()));
        }
        Ok(job)
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        let mut state = self.state();
        if state.faults.network_down {
            return Err(SurveyError::Unreachable("no route to host".into()));
        }
        state.surveys += 1;
        if state.faults.scheduler_down {
            return Err(SurveyError::Scheduler { words: "unable to contact slurm controller".into() });
        }
        let listed = !state.faults.jobs_unlisted;
        let sighting = |subject: &Subject| {
            let job = state.jobs.iter().rev().find(|(_, job)| listed && job.service == subject.id);
            job.map_or(Sighting::absent(Some(state.now)), |(id, job)| job.sighting(id, state.now))
        };
        Ok(Survey { sightings: subjects.iter().map(|subject| (subject.id, sighting(subject))).collect() })
    }

    async fn cancel(&self, _id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        let mut state = self.state();
        if state.faults.network_down || state.faults.scheduler_down {
            return Err(CancelError::Unreachable { job: job.clone(), source: "no route to host".into() });
        }
        let now = state.now;
        if let Some(job) = state.jobs.get_mut(job) {
            job.cancelled_at.get_or_insert(now);
        }
        Ok(())
    }
}

#[async_trait]
impl Tunnels for World {
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        _before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        let mut state = self.state();
        if state.faults.network_down {
            return Err(TunnelError::Unreachable("no route to host".into()));
        }
        let own = state.tunnels.iter().find(|(_, service)| **service == id).map(|(port, _)| *port);
        let free = (40_000..u16::MAX).find(|port| !state.tunnels.contains_key(port));
        let port = local_port.or(own).or(free).unwrap_or(u16::MAX);
        if state.tunnels.get(&port).is_some_and(|service| *service != id) {
            return Err(TunnelError::PortTaken { port });
        }
        state.tunnels.insert(port, id);
        Ok(Tunnel { host: "127.0.0.1".into(), port, place: place.clone(), handle: Some(port.to_string()) })
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        self.state().tunnels.remove(&tunnel.port);
        Ok(())
    }
}

#[async_trait]
impl Probe for World {
    async fn ping(&self, tunnel: &Tunnel, _path: &str) -> Echo {
        let state = self.state();
        if state.faults.network_down || !state.tunnels.contains_key(&tunnel.port) {
            return Echo::NoRoute("connection refused".into());
        }
        let here = |job: &SimulatedJob| job.place(state.now).filter(|p| p.is_same_address(&tunnel.place));
        if state.jobs.values().filter_map(here).any(|place| place.listening) {
            Echo::Answered
        } else {
            Echo::Silent("connection refused by the node".into())
        }
    }
}
