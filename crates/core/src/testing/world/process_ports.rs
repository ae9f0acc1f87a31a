//! The ports of a process: each call of the world or of the ledger, made in steps.

use std::time::Duration;

use async_trait::async_trait;

use super::calls::{Call, Mishap};
use super::cluster::Request;
use super::process::Process;
use crate::id::{JobId, ServiceId};
use crate::job::Place;
use crate::lifecycle::{Echo, Tunnel};
use crate::ports::{
    CancelError, Change, Clock, Ledger, LedgerError, Listing, Pass, Probe, SaveOutcome, Scheduler, Select,
    Subject, SubmitError, Survey, SurveyError, TunnelError, Tunnels, Turnstile,
};
use crate::ready::Ready;
use crate::service::{Event, Service};
use crate::spec::{ServiceSpec, SpecError};
use crate::time::Timestamp;

/// How often a process tries a turnstile that is taken, and how long it waits after each time.
const TRIES: usize = 400;
const TRY_AGAIN: Duration = Duration::from_millis(50);

const LOST: &str = "the connection was lost";

#[async_trait]
impl Clock for Process {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.note_sleep(at);
        self.call(Call::Sleep, async |_| self.world.sleep_until(at).await, || {}).await;
    }
}

#[async_trait]
impl Scheduler for Process {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        self.world.check(spec)
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        let lost = || Err(SubmitError::Unclear(LOST.into()));
        let effect = async |mishap| match mishap {
            _ if self.is_connection_dead(mishap) => lost(),
            Some(Mishap::Late(after)) => {
                let mut state = self.world.state();
                let keeps = state.keeps();
                state.send_late(after, Request::Submit { service: id, keeps });
                lost()
            }
            _ => self.world.submit(id, spec).await,
        };
        self.call(Call::Submit, effect, lost).await
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        let lost = || Err(SurveyError::Unreachable(LOST.into()));
        self.call(Call::Survey, async |_| self.world.survey(subjects).await, lost).await
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        let lost = || Err(CancelError::Unreachable { job: job.clone(), source: LOST.into() });
        let effect = async |mishap| match mishap {
            Some(Mishap::Late(after)) => {
                let cancel = Request::Cancel { service: id, job: job.clone() };
                self.world.state().send_late(after, cancel);
                lost()
            }
            _ => self.world.cancel(id, job).await,
        };
        self.call(Call::Cancel, effect, lost).await
    }
}

#[async_trait]
impl Tunnels for Process {
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        let lost = || Err(TunnelError::Failed(LOST.into()));
        let effect = async |_| self.world.open(id, place, local_port, before).await;
        self.call(Call::Open, effect, lost).await
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        let lost = || Err(TunnelError::Failed(LOST.into()));
        self.call(Call::Close, async |_| self.world.close(tunnel).await, lost).await
    }
}

#[async_trait]
impl Probe for Process {
    async fn ping(&self, tunnel: &Tunnel, path: &str, ready: &Ready) -> Echo {
        let lost = || Echo::NoRoute(LOST.into());
        self.call(Call::Ping, async |_| self.world.ping(tunnel, path, ready).await, lost).await
    }
}

#[async_trait]
impl Turnstile for Process {
    async fn enter(&self, profile: &str) -> Option<Pass> {
        for _ in 0..TRIES {
            let entered = async |_| self.world.turnstile.try_enter(profile);
            if let Some(pass) = self.call(Call::Enter, entered, || None).await {
                return Some(pass);
            }
            self.world.advance(TRY_AGAIN);
        }
        self.call(Call::Enter, async |_| Some(self.world.turnstile.take_over(profile)), || None).await
    }
}

#[async_trait]
impl Ledger for Process {
    async fn insert(&self, service: &Service, event: &Event) -> Result<(), LedgerError> {
        let effect = async |_| self.ledger.insert(service, event).await;
        self.call(Call::Insert, effect, || Err(broken())).await
    }

    async fn save(&self, changes: &[Change]) -> Result<Vec<SaveOutcome>, LedgerError> {
        let effect = async |mishap| {
            self.note_save();
            if mishap == Some(Mishap::Overtaken) {
                self.overtake(changes).await?;
            }
            self.ledger.save(changes).await
        };
        self.call(Call::Save, effect, || Err(broken())).await
    }

    async fn list(&self, select: Select) -> Result<Listing, LedgerError> {
        let effect = async |_| self.ledger.list(select.clone()).await;
        self.call(Call::List, effect, || Err(broken())).await
    }

    async fn history(&self, id: ServiceId) -> Result<Vec<Event>, LedgerError> {
        self.ledger.history(id).await
    }

    async fn remove(&self, id: ServiceId, generation: u64) -> Result<(), LedgerError> {
        self.ledger.remove(id, generation).await
    }
}

fn broken() -> LedgerError {
    LedgerError::Failed { location: "memory".into(), source: LOST.into() }
}
