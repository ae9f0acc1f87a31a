//! One process in the world: ports whose every call can be waited before and after, can go wrong, and takes its time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::calls::{Call, Mishap};
use super::controls::World;
use super::errand::Gate;
use crate::engine::{Engine, Site};
use crate::ports::{Change, Clock as _, Ledger, LedgerError, Select};
use crate::time::Timestamp;

/// How much later than it was announced a submission can arrive at all: after that its connection is dead. Services
/// whose settling time is shorter than this could get a second job.
const IDLE_CONNECTION: Duration = Duration::from_secs(200);

/// Who waits again so soon has done nothing meanwhile that takes time.
const IN_VAIN: Duration = Duration::from_millis(100);

/// A process of Towline in a [`World`]: all ports of an engine, whose calls wait before their effect and before their
/// answer until an [`Errand`](super::Errand) lets them go on. Whatever happens meanwhile, happens in between.
pub struct Process {
    pub(super) world: Arc<World>,
    pub(super) ledger: Arc<dyn Ledger>,
    gate: Gate,
    troubles: Mutex<Troubles>,
}

#[derive(Default)]
struct Troubles {
    mishaps: BTreeMap<Call, VecDeque<Mishap>>,
    takes: BTreeMap<Call, Duration>,
    saved_at: Option<Timestamp>,
    calls: u64,
    longest_call: Duration,
    slept_at: Option<Timestamp>,
    vain_sleeps: u32,
}

impl Process {
    /// A process that records in `ledger`.
    pub fn new(world: &Arc<World>, ledger: Arc<dyn Ledger>) -> Arc<Self> {
        let (gate, troubles) = (Gate::default(), Mutex::default());
        Arc::new(Self { world: Arc::clone(world), ledger, gate, troubles })
    }

    /// An engine for `profile` in this process. Its verbs come to an end in an [`Errand`](super::Errand) alone.
    pub fn engine(self: &Arc<Self>, profile: &str) -> Engine {
        let site = Site {
            scheduler: Arc::clone(self) as _,
            tunnels: Arc::clone(self) as _,
            probe: Arc::clone(self) as _,
        };
        Engine::new(profile, site, Arc::clone(self) as _, Arc::clone(self) as _)
    }

    /// The same, and it shares what it learns with all others in this world that do so.
    pub fn sharing_engine(self: &Arc<Self>, profile: &str) -> Engine {
        self.engine(profile).sharing(Arc::clone(self) as _)
    }

    /// Lets that happen to the next call of that kind which has nothing to come yet.
    pub fn befall(&self, call: Call, mishap: Mishap) {
        self.troubles().mishaps.entry(call).or_default().push_back(mishap);
    }

    /// Sets how much time passes during each call of that kind, between its effect and its answer.
    pub fn takes(&self, call: Call, duration: Duration) {
        self.troubles().takes.insert(call, duration);
    }

    /// Takes back all mishaps that are still to come, and all slowness.
    pub fn recover(&self) {
        let mut troubles = self.troubles();
        troubles.mishaps.clear();
        troubles.takes.clear();
    }

    /// How many calls it has made.
    pub fn calls(&self) -> u64 {
        self.troubles().calls
    }

    /// How long the longest of its calls has taken.
    pub fn longest_call(&self) -> Duration {
        self.troubles().longest_call
    }

    /// How often in a row it has waited for a time that had come already, and had done nothing since that took any
    /// time.
    pub fn vain_sleeps(&self) -> u32 {
        self.troubles().vain_sleeps
    }

    pub(super) const fn gate(&self) -> &Gate {
        &self.gate
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call: `effect` is what it does, told what befalls it, and `lost` what is told if its answer is lost.
    pub(super) async fn call<T>(
        &self,
        call: Call,
        effect: impl AsyncFnOnce(Option<Mishap>) -> T,
        lost: impl Fn() -> T,
    ) -> T {
        self.troubles().calls += 1;
        let begun = self.world.state().now;
        self.gate.wait(call).await;
        self.note_length(begun);
        let mishap = self.next_mishap(call);
        let arrives = mishap != Some(Mishap::LostBefore);
        let answer = if arrives { effect(mishap).await } else { lost() };
        let takes = self.troubles().takes.get(&call).copied();
        if let Some(duration) = takes {
            self.world.advance(duration);
            self.note("slow answer");
        }
        self.gate.wait(call).await;
        self.note_length(begun);
        if mishap == Some(Mishap::LostAfter) { lost() } else { answer }
    }

    fn next_mishap(&self, call: Call) -> Option<Mishap> {
        let mishap = self.troubles().mishaps.get_mut(&call)?.pop_front()?;
        self.note(match mishap {
            Mishap::LostBefore => "request lost",
            Mishap::LostAfter => "answer lost after its effect",
            Mishap::Late(_) => "request arrives late",
            Mishap::Overtaken => "ledger conflict",
        });
        Some(mishap)
    }

    pub(super) fn note(&self, fault: &'static str) {
        self.world.state().note(fault);
    }

    fn note_length(&self, begun: Timestamp) {
        let took = self.world.state().now.since(begun);
        let mut troubles = self.troubles();
        troubles.longest_call = troubles.longest_call.max(took);
    }

    pub(super) fn note_save(&self) {
        self.troubles().saved_at = Some(self.world.state().now);
    }

    pub(super) fn note_sleep(&self, until: Timestamp) {
        let (here, now) = (self.world.now(), self.world.state().now);
        let mut troubles = self.troubles();
        let since_last = troubles.slept_at.map_or(Duration::MAX, |at| now.since(at));
        let vain = until <= here && since_last < IN_VAIN;
        troubles.vain_sleeps = if vain { troubles.vain_sleeps + 1 } else { 0 };
        troubles.slept_at = Some(now);
    }

    /// Whether a submission that was announced by the last save can no longer arrive.
    pub(super) fn is_connection_dead(&self, mishap: Option<Mishap>) -> bool {
        let late = if let Some(Mishap::Late(after)) = mishap { after } else { Duration::ZERO };
        let saved_at = self.troubles().saved_at;
        let arrives_at = self.world.state().now.plus(late);
        saved_at.is_some_and(|at| arrives_at.since(at) >= IDLE_CONNECTION)
    }

    /// Saves each of the services once more as it is, as another process does that was quicker.
    pub(super) async fn overtake(&self, changes: &[Change]) -> Result<(), LedgerError> {
        for change in changes {
            let listing = self.ledger.list(Select::Id(change.service.id)).await?;
            let same = listing.services.into_iter().map(|service| Change { service, event: None });
            self.ledger.save(&same.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }
}
