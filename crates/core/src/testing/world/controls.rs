//! The world itself: what a story can do to it, and what it can ask.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::behaviour::Behaviour;
use super::cluster::Cluster;
use super::faults::Faults;
use super::job::SimulatedJob;
use super::network::Network;
use super::truth::JobTruth;
use crate::engine::{Engine, Site};
use crate::id::{JobId, ServiceId};
use crate::lifecycle::Tunnel;
use crate::ports::Ledger;
use crate::testing::MemoryTurnstile;
use crate::time::Timestamp;

/// The simulated world. It is scheduler, tunnels, probe and clock in one.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
    pub(super) turnstile: MemoryTurnstile,
}

#[derive(Debug)]
pub(super) struct State {
    /// The time on the cluster, which never jumps.
    pub(super) now: Timestamp,
    /// How far this machine's clock is ahead of it, in microseconds.
    ahead: i64,
    pub(super) cluster: Cluster,
    pub(super) network: Network,
    pub(super) faults: Faults,
    pub(super) surveys: u32,
    pub(super) sleeps: u32,
    /// For each service, when it was first called absent, and when that was last said of a living job.
    pub(super) absences: BTreeMap<ServiceId, (Timestamp, Option<Timestamp>)>,
    pub(super) tally: BTreeMap<&'static str, u64>,
}

impl World {
    /// A world in which everything works, at noon of the first day of 2026.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            turnstile: MemoryTurnstile::default(),
            state: Mutex::new(State {
                now: Timestamp::from_secs(1_767_268_800),
                ahead: 0,
                cluster: Cluster::new(),
                network: Network::default(),
                faults: Faults::default(),
                surveys: 0,
                sleeps: 0,
                absences: BTreeMap::new(),
                tally: BTreeMap::new(),
            }),
        })
    }

    /// An engine for `profile` that lives in this world, has its answers at once, and records in `ledger`.
    pub fn engine(self: &Arc<Self>, profile: &str, ledger: Arc<dyn Ledger>) -> Engine {
        let site = Site {
            scheduler: Arc::clone(self) as _,
            tunnels: Arc::clone(self) as _,
            probe: Arc::clone(self) as _,
        };
        Engine::new(profile, site, ledger, Arc::clone(self) as _)
    }

    /// The turnstile of this world, for engines that share what they learn.
    pub fn turnstile(&self) -> MemoryTurnstile {
        self.turnstile.clone()
    }

    /// Sets how the jobs submitted from now on behave.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().cluster.behaviour = behaviour;
    }

    /// Sets for how long the queue lists a job that has ended; five minutes if never set. After that only accounting
    /// knows it.
    pub fn keep_ended_jobs_for(&self, duration: Duration) {
        self.state().cluster.keeps_ended_for = duration;
    }

    /// Sets what is wrong with the world from now on.
    pub fn break_down(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// What is wrong with the world.
    pub fn faults(&self) -> Faults {
        self.state().faults.clone()
    }

    /// Lets time pass, here and on the cluster.
    pub fn advance(&self, duration: Duration) {
        self.state().advance(duration);
    }

    /// The time by the cluster's clock, which never jumps.
    pub fn cluster_now(&self) -> Timestamp {
        self.state().now
    }

    /// Puts this machine's clock forwards; the cluster's goes on as before.
    pub fn put_clock_forwards(&self, by: Duration) {
        let mut state = self.state();
        state.put_clock(by, i64::saturating_add);
        state.note("clock put forwards");
    }

    /// Puts this machine's clock back; the cluster's goes on as before.
    pub fn put_clock_back(&self, by: Duration) {
        let mut state = self.state();
        state.put_clock(by, i64::saturating_sub);
        state.note("clock put back");
    }

    /// Cancels the jobs of a service behind Towline's back.
    pub fn cancel_by_hand(&self, service: ServiceId) {
        self.meddle("job cancelled by hand", service, SimulatedJob::cancel);
    }

    /// Puts the running jobs of a service back into the queue, from where they run again elsewhere under the same id.
    pub fn requeue(&self, service: ServiceId) {
        self.meddle("job requeued", service, SimulatedJob::requeue);
    }

    /// Suspends the running jobs of a service: they keep their nodes, and their servers are silent.
    pub fn suspend(&self, service: ServiceId) {
        self.meddle("job suspended", service, SimulatedJob::suspend);
    }

    /// Lets the suspended jobs of a service go on.
    pub fn resume(&self, service: ServiceId) {
        self.meddle("job resumed", service, SimulatedJob::resume);
    }

    /// Switches off the nodes on which jobs of a service run; the scheduler notices half a minute later.
    pub fn fail_node(&self, service: ServiceId) {
        self.meddle("node failed", service, SimulatedJob::fail_node);
    }

    /// Makes the servers of a service's present runs silent, or lets them answer again.
    pub fn hush(&self, service: ServiceId, is_silent: bool) {
        let what = if is_silent { "server silent" } else { "server answers again" };
        self.meddle(what, service, |job, _| job.hushed = is_silent);
    }

    /// Lets another program listen, and answer, where the server of a service's last job is to listen or did: before
    /// the server does (which then takes another port), or once its job no longer runs. A server keeps the port that
    /// it has.
    pub fn take_port(&self, service: ServiceId) {
        let mut state = self.state();
        let last = state.cluster.jobs.iter_mut().rfind(|job| job.service == Some(service));
        if let Some(place) = last.and_then(SimulatedJob::lose_port) {
            state.network.strangers.insert((place.host, place.port));
            state.note("port taken on the node");
        }
    }

    /// Lets another program listen on a port of this machine, unless a tunnel does.
    pub fn take_local_port(&self, port: u16) {
        let mut state = self.state();
        if state.network.place_behind(port).is_none() {
            state.network.taken.insert(port);
            state.note("port taken on this machine");
        }
    }

    /// Whether another program listens on a port of this machine.
    pub fn is_local_port_taken(&self, port: u16) -> bool {
        self.state().network.taken.contains(&port)
    }

    /// Ends all tunnels, as when the process that holds them is killed.
    pub fn drop_tunnels(&self) {
        let mut state = self.state();
        if state.network.open_tunnels().next().is_some() {
            state.note("tunnels dropped");
        }
        state.network.drop_all();
    }

    /// Lets the next job have the lowest id that the queue no longer knows.
    pub fn recycle_ids(&self) {
        self.state().cluster.recycle_ids();
    }

    /// Submits a job of somebody else, which takes the next id.
    pub fn submit_by_stranger(&self) {
        let mut state = self.state();
        let now = state.now;
        state.cluster.add(None, now);
    }

    /// How many jobs of a service have not ended.
    pub fn live_jobs(&self, service: ServiceId) -> usize {
        self.state().cluster.live(service).count()
    }

    /// How many jobs of a service were ever alive at once.
    pub fn most_live_jobs(&self, service: ServiceId) -> usize {
        self.state().cluster.most_live.get(&service).copied().unwrap_or_default()
    }

    /// What is true of the jobs of a service, oldest first.
    pub fn jobs(&self, service: ServiceId) -> Vec<JobTruth> {
        let state = self.state();
        let ours = state.cluster.jobs.iter().filter(|job| job.service == Some(service));
        ours.map(|job| JobTruth::of(job, state.now)).collect()
    }

    /// How many tunnels are open.
    pub fn open_tunnels(&self) -> usize {
        self.state().network.open_tunnels().count()
    }

    /// The open tunnels, and for which services they were opened.
    pub fn tunnels(&self) -> Vec<(ServiceId, Tunnel)> {
        self.state().network.open_tunnels().collect()
    }

    /// The cancels by which Towline ended, or began to end, a living job, in their order.
    pub fn cancels(&self) -> Vec<(ServiceId, JobId)> {
        self.state().cluster.cancelled.clone()
    }

    /// How many questions the scheduler was asked.
    pub fn surveys(&self) -> u32 {
        self.state().surveys
    }

    /// For how long the scheduler has told that a living job of a service is absent: from the first time that the
    /// service was called absent to the last time that this was not true. Who is told so for longer than the settling
    /// time may believe it.
    pub fn misled_for(&self, service: ServiceId) -> Duration {
        let absence = self.state().absences.get(&service).copied();
        absence.and_then(|(first, lied)| Some(lied?.since(first))).unwrap_or_default()
    }

    /// Whether a cancel of a living job was called done since the queue did not list the job.
    pub fn has_denied_a_cancel(&self, service: ServiceId) -> bool {
        self.state().cluster.denied.contains(&service)
    }

    /// How often each kind of fault befell something, or changed what an engine was told, by its name.
    pub fn tally(&self) -> BTreeMap<&'static str, u64> {
        let state = self.state();
        let mut tally = state.tally.clone();
        tally.insert("job id used again", state.cluster.used_again);
        tally
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state as a call finds it. No two calls come at the same moment.
    pub(super) fn called(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.advance(Duration::from_micros(1));
        state
    }

    fn meddle(&self, what: &'static str, service: ServiceId, deed: impl Fn(&mut SimulatedJob, Timestamp)) {
        let mut state = self.state();
        let now = state.now;
        let mut hit = false;
        for job in state.cluster.live_mut(service) {
            deed(job, now);
            job.pass(now);
            hit = true;
        }
        if hit {
            state.note(what);
        }
    }
}

impl State {
    /// The time by this machine's clock.
    pub(super) const fn here(&self) -> Timestamp {
        Timestamp::from_micros(self.now.as_micros().saturating_add(self.ahead))
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
        self.cluster.pass(self.now, &self.faults);
    }

    /// Notes that a fault has shown.
    pub(super) fn note(&mut self, fault: &'static str) {
        *self.tally.entry(fault).or_default() += 1;
    }

    fn put_clock(&mut self, by: Duration, change: fn(i64, i64) -> i64) {
        self.ahead = change(self.ahead, i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
    }
}
