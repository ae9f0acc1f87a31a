//! The simulated cluster: its jobs, and what becomes of what is sent to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::behaviour::Behaviour;
use super::faults::Faults;
use super::job::SimulatedJob;
use crate::id::{JobId, ServiceId};
use crate::time::Timestamp;

/// First port of a server; each job has one of its own.
const FIRST_PORT: u16 = 20_001;

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) behaviour: Behaviour,
    /// How long the queue lists a job that has ended.
    pub(super) keeps_ended_for: Duration,
    pub(super) jobs: Vec<SimulatedJob>,
    next_id: u64,
    /// How many jobs have the id of an earlier one.
    pub(super) used_again: u64,
    /// The jobs of services as they are kept in the services' directories.
    kept: BTreeMap<ServiceId, JobId>,
    /// Services for which a submission was begun, as their directories show.
    tried: BTreeSet<ServiceId>,
    /// What is still on its way, and when it arrives.
    late: Vec<(Timestamp, Request)>,
    /// The most jobs of a service that were ever alive at once.
    pub(super) most_live: BTreeMap<ServiceId, usize>,
    /// Services whose living job was not listed when its cancel came, so that it was called done.
    pub(super) denied: BTreeSet<ServiceId>,
    /// The cancels that reached a live job, in their order.
    pub(super) cancelled: Vec<(ServiceId, JobId)>,
}

/// What is sent to the scheduler.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Submit { service: ServiceId, keeps: Keeps },
    Cancel { service: ServiceId, job: JobId },
}

/// What the cluster keeps of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    Nothing,
    /// That it was begun.
    Trace,
    /// The job's id.
    Id,
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self {
            behaviour: Behaviour::default(),
            keeps_ended_for: Duration::from_secs(300),
            jobs: Vec::new(),
            next_id: 1,
            used_again: 0,
            kept: BTreeMap::new(),
            tried: BTreeSet::new(),
            late: Vec::new(),
            most_live: BTreeMap::new(),
            denied: BTreeSet::new(),
            cancelled: Vec::new(),
        }
    }

    /// Lets all happen that is due by `now`.
    pub(super) fn pass(&mut self, now: Timestamp, faults: &Faults) {
        self.late.sort_by_key(|(at, _)| *at);
        while self.late.first().is_some_and(|(at, _)| *at <= now) {
            let (at, request) = self.late.remove(0);
            self.jobs.iter_mut().for_each(|job| job.pass(at));
            match request {
                Request::Submit { service, keeps } => drop(self.submit(service, keeps, faults, at)),
                Request::Cancel { service, job } => self.cancel(service, &job, faults, at),
            }
        }
        self.jobs.iter_mut().for_each(|job| job.pass(now));
    }

    /// Lets a request arrive at `at`.
    pub(super) fn send_late(&mut self, at: Timestamp, request: Request) {
        self.late.push((at, request));
    }

    /// Submits the job of a service. The service's directory is used as the Slurm adapter does, unless nothing is kept:
    /// the job that is noted there is returned, and after a trace of another attempt the queue is looked through first.
    pub(super) fn submit(
        &mut self,
        service: ServiceId,
        keeps: Keeps,
        faults: &Faults,
        now: Timestamp,
    ) -> JobId {
        if keeps != Keeps::Nothing {
            if let Some(job) = self.kept.get(&service) {
                return job.clone();
            }
            let listed = |job: &&SimulatedJob| job.service == Some(service) && self.lists(job, faults, now);
            let earlier = self.jobs.iter().find(listed).map(|job| job.id.clone());
            if let (false, Some(job)) = (self.tried.insert(service), earlier) {
                self.kept.insert(service, job.clone());
                return job;
            }
        }
        let id = self.add(Some(service), now);
        if keeps == Keeps::Id {
            self.kept.insert(service, id.clone());
        }
        let live = self.live(service).count();
        let most = self.most_live.entry(service).or_default();
        *most = live.max(*most);
        id
    }

    /// Adds a job: a stranger's without a service.
    pub(super) fn add(&mut self, service: Option<ServiceId>, now: Timestamp) -> JobId {
        let in_use = |id: &JobId| self.jobs.iter().any(|job| job.id == *id && self.remembers(job, now));
        let id = (self.next_id..).map(|id| JobId::new(id.to_string())).find(|id| !in_use(id));
        let id = id.unwrap_or_else(|| JobId::new("0"));
        self.next_id = id.as_str().parse::<u64>().unwrap_or_default() + 1;
        self.used_again += u64::from(self.jobs.iter().any(|job| job.id == id));
        let serial = u16::try_from(self.jobs.len()).unwrap_or(u16::MAX);
        let port = FIRST_PORT.wrapping_add(serial);
        let mut job = SimulatedJob::new(id.clone(), service, self.behaviour.clone(), port, now);
        job.pass(now);
        self.jobs.push(job);
        id
    }

    /// Lets the next job get the lowest id that the queue does not know.
    pub(super) const fn recycle_ids(&mut self) {
        self.next_id = 1;
    }

    /// Cancels the job of that id if it is the service's own. What the queue does not list has ended, as far as the
    /// adapter can tell.
    pub(super) fn cancel(&mut self, service: ServiceId, id: &JobId, faults: &Faults, now: Timestamp) {
        let listed = self.jobs.iter().rposition(|job| job.id == *id && self.lists(job, faults, now));
        let Some(job) = listed.and_then(|index| self.jobs.get_mut(index)) else {
            let lives = self.live(service).next().is_some();
            self.denied.extend(lives.then_some(service));
            return;
        };
        if job.service == Some(service) && job.is_live() {
            job.cancel(now);
            job.pass(now);
            self.cancelled.push((service, id.clone()));
        }
    }

    /// Whether the controller knows the job.
    fn remembers(&self, job: &SimulatedJob, now: Timestamp) -> bool {
        job.is_live() || now.since(job.since) < self.keeps_ended_for
    }

    /// Whether the queue lists the job.
    pub(super) fn lists(&self, job: &SimulatedJob, faults: &Faults, now: Timestamp) -> bool {
        let hidden = faults.jobs_unlisted || faults.queue_empty;
        !hidden && now >= job.submitted_at.plus(job.behaviour.listed_after) && self.remembers(job, now)
    }

    pub(super) fn live(&self, service: ServiceId) -> impl Iterator<Item = &SimulatedJob> {
        self.jobs.iter().filter(move |job| job.service == Some(service) && job.is_live())
    }

    pub(super) fn live_mut(&mut self, service: ServiceId) -> impl Iterator<Item = &mut SimulatedJob> {
        self.jobs.iter_mut().filter(move |job| job.service == Some(service) && job.is_live())
    }
}
