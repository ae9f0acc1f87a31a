//! The ledger of a story, which holds each verdict against the truth at the moment in which it is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::id::ServiceId;
use towline_core::job::{JobEnd, JobState, Outcome};
use towline_core::lifecycle::{Cause, Status, Tunnel};
use towline_core::ports::{Change, Ledger, LedgerError, Listing, SaveOutcome, Select};
use towline_core::service::{Event, Service};
use towline_core::testing::{JobTruth, MemoryLedger, World};

/// A rule that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) how: String,
}

/// A ledger in memory that watches what is recorded in it.
pub(crate) struct Records {
    world: Arc<World>,
    inner: MemoryLedger,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    violations: Vec<Violation>,
    stopped: BTreeSet<ServiceId>,
    granted: BTreeSet<ServiceId>,
    tunnels: Vec<Tunnel>,
    /// The local port of each service.
    ports: BTreeMap<ServiceId, u16>,
    lost_ports: usize,
    /// How long a call has taken at most.
    slowest: Duration,
    /// By how much this machine's clock was put back in all.
    put_back: Duration,
}

impl Records {
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), inner: MemoryLedger::new(), seen: Mutex::default() })
    }

    /// Notes that somebody asked for the end of a service.
    pub(crate) fn note_stop(&self, id: ServiceId) {
        self.seen().stopped.insert(id);
    }

    /// Notes that a stop was granted.
    pub(crate) fn note_grant(&self, id: ServiceId) {
        self.seen().granted.insert(id);
    }

    pub(crate) fn is_stop_granted(&self, id: ServiceId) -> bool {
        self.seen().granted.contains(&id)
    }

    pub(crate) fn is_stopped(&self, id: ServiceId) -> bool {
        self.seen().stopped.contains(&id)
    }

    /// Notes how slow answers were at most, and by how much this machine's clock was put back: for that much longer
    /// may be believed what was once true.
    pub(crate) fn note_delays(&self, slowest: Duration, put_back: Duration) {
        let mut seen = self.seen();
        (seen.slowest, seen.put_back) = (slowest, put_back);
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.seen().violations.first().cloned()
    }

    pub(crate) fn accuse(&self, rule: &'static str, how: String) {
        self.seen().violations.push(Violation { rule, how });
    }

    /// Whether that tunnel was ever recorded.
    pub(crate) fn has_known(&self, tunnel: &Tunnel) -> bool {
        self.seen().tunnels.iter().any(|known| known.handle == tunnel.handle)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A service keeps its local port, unless another program takes it; or a tunnel of its own leads from there that
    /// nobody has recorded.
    fn judge_port(&self, service: &Service) {
        let Some(port) = service.life.local_port else { return };
        let before = self.seen().ports.insert(service.id, port).filter(|before| *before != port);
        let Some(before) = before.filter(|before| !self.world.is_local_port_taken(*before)) else { return };
        if self.world.tunnels().iter().any(|(_, open)| open.port == before && !self.has_known(open)) {
            self.seen().lost_ports += 1;
        } else {
            self.accuse("the local port is kept", format!("{}: {before}, {port}", service.spec.name));
        }
    }

    /// How often a service has lost its local port to a tunnel of its own that nobody had recorded.
    pub(crate) fn lost_ports(&self) -> usize {
        self.seen().lost_ports
    }

    fn judge(&self, service: &Service, event: &Event) {
        let jobs = self.world.jobs(service.id);
        let broken = match (event.to, service.life.cause()) {
            (Status::Healthy, _) => self.doubtful_health(service, &jobs),
            (Status::Unhealthy, _) if event.from != Some(Status::Healthy) => {
                Some("UNHEALTHY only after HEALTHY")
            }
            (_, Some(cause)) => self.wrong_end(service, cause, &jobs),
            (_, None) => None,
        };
        if let Some(rule) = broken {
            let name = &service.spec.name;
            self.accuse(rule, format!("{name} became {} ({}); in truth: {jobs:?}", event.to, event.why));
        }
    }

    fn doubtful_health(&self, service: &Service, jobs: &[JobTruth]) -> Option<&'static str> {
        let served = jobs.iter().filter_map(|job| job.served_until).max();
        let terms = &service.life.terms;
        let seen = self.seen();
        let trusted = terms.verify + terms.fresh + seen.slowest + seen.put_back;
        let lately = served.is_some_and(|at| self.world.cluster_now().since(at) <= trusted);
        (!lately).then_some("HEALTHY only if its own server listened lately")
    }

    fn wrong_end(&self, service: &Service, cause: &Cause, jobs: &[JobTruth]) -> Option<&'static str> {
        let lives = jobs.iter().any(JobTruth::is_live);
        let misled = self.world.misled_for(service.id) >= service.life.terms.settle;
        match cause {
            Cause::Requested if !self.is_stopped(service.id) => Some("stopped only on request"),
            Cause::Requested if lives && !misled => Some("stopped only once its job has ended"),
            Cause::Vanished if lives && !misled => Some("no living job vanishes"),
            Cause::Refused(_) | Cause::NotSent(_) if lives => Some("not submitted only without a job"),
            Cause::Job(end) => {
                let id = service.life.phase.job().map(|job| &job.id);
                let ended_so = |job: &JobTruth| Some(&job.id) == id && has_ended_so(job, end);
                (!jobs.iter().any(ended_so) && !misled).then_some("ended as its job did")
            }
            Cause::GraceSpent { grace } => {
                // A slow answer counts as of when it came.
                let silent = jobs.iter().filter_map(|job| job.silent_after).max();
                let silent = silent.map(|silent| silent + self.seen().slowest);
                (silent < Some(*grace)).then_some("TIMEOUT only after a whole grace of running in silence")
            }
            Cause::Requested | Cause::Vanished | Cause::Refused(_) | Cause::NotSent(_) => None,
        }
    }
}

/// Whether that is how the job ended; or what its own record tells, where nobody knows more.
fn has_ended_so(job: &JobTruth, told: &JobEnd) -> bool {
    let JobState::Ended(end) = &job.state else { return false };
    let by_own_record = match told.outcome {
        Outcome::Completed => end.outcome == Outcome::Completed,
        Outcome::Failed => told.exit.is_some_and(|exit| exit.code != 0) && told.reason.is_none(),
        Outcome::Cancelled
        | Outcome::TimeLimit
        | Outcome::Deadline
        | Outcome::NodeFail
        | Outcome::BootFail
        | Outcome::OutOfMemory
        | Outcome::Preempted => false,
    };
    end.outcome == told.outcome || by_own_record
}

#[async_trait]
impl Ledger for Records {
    async fn insert(&self, service: &Service, event: &Event) -> Result<(), LedgerError> {
        self.inner.insert(service, event).await
    }

    async fn save(&self, changes: &[Change]) -> Result<Vec<SaveOutcome>, LedgerError> {
        let outcomes = self.inner.save(changes).await?;
        let saved = changes.iter().zip(&outcomes).filter(|(_, outcome)| **outcome != SaveOutcome::Conflict);
        for (change, _) in saved {
            self.seen().tunnels.extend(change.service.life.open_tunnel().cloned());
            self.judge_port(&change.service);
            if let Some(event) = &change.event {
                self.judge(&change.service, event);
            }
        }
        Ok(outcomes)
    }

    async fn list(&self, select: Select) -> Result<Listing, LedgerError> {
        self.inner.list(select).await
    }

    async fn history(&self, id: ServiceId) -> Result<Vec<Event>, LedgerError> {
        self.inner.history(id).await
    }

    async fn remove(&self, id: ServiceId, generation: u64) -> Result<(), LedgerError> {
        self.inner.remove(id, generation).await
    }
}
