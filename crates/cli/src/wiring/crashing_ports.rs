//! Ledger, scheduler and tunnels that know the points at which this process may be asked to die.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::{Place, Sight};
use towline_core::lifecycle::{Life, Phase, Tunnel};
use towline_core::ports::{
    CancelError, Change, Ledger, LedgerError, Listing, SaveOutcome, Scheduler, Select, Subject, SubmitError,
    Survey, SurveyError, TunnelError, Tunnels,
};
use towline_core::service::{Event, Service};
use towline_core::spec::{ServiceSpec, SpecError};

use super::crash_points::{CrashPoint, Step};

/// A ledger whose saves are known by what they change.
pub(super) struct CrashingLedger {
    inner: Arc<dyn Ledger>,
    at: CrashPoint,
    settle: Option<Duration>,
    /// The lives as they were read or saved last.
    known: Mutex<BTreeMap<ServiceId, Life>>,
}

impl CrashingLedger {
    /// Around `inner`; `settle` replaces the settling time of what is recorded.
    pub(super) fn new(inner: Arc<dyn Ledger>, at: CrashPoint, settle: Option<Duration>) -> Self {
        Self { inner, at, settle, known: Mutex::default() }
    }

    fn with_terms(&self, service: &Service) -> Service {
        let mut service = service.clone();
        if let Some(settle) = self.settle {
            service.life.terms.settle = settle;
        }
        service
    }

    fn know(&self, service: &Service) {
        locked(&self.known).insert(service.id, service.life.clone());
    }

    fn step(&self, service: &Service) -> Option<Step> {
        locked(&self.known).get(&service.id).and_then(|before| step(before, &service.life))
    }
}

/// What it means that `before` is replaced by `after`.
fn step(before: &Life, after: &Life) -> Option<Step> {
    let is_sending = |life: &Life| matches!(life.phase, Phase::Sending { .. });
    let changed = |of: fn(&Life) -> bool| !of(before) && of(after);
    if changed(|life| life.status().is_terminal()) {
        Some(Step::EndRecorded)
    } else if changed(|life| !life.is_unfinished()) {
        Some(Step::RowClosed)
    } else if !is_sending(before) && is_sending(after) {
        Some(Step::SubmissionAnnounced)
    } else if changed(|life| life.phase.job().is_some()) {
        Some(Step::IdRecorded)
    } else if changed(|life| life.stop.is_some()) {
        Some(Step::StopWishRecorded)
    } else if changed(Life::is_cancelled) {
        Some(Step::CancelRecorded)
    } else if before.open_tunnel() != after.open_tunnel() {
        Some(Step::TunnelRecorded)
    } else {
        (before.status() != after.status()).then_some(Step::StatusSaved)
    }
}

#[async_trait]
impl Ledger for CrashingLedger {
    async fn insert(&self, service: &Service, event: &Event) -> Result<(), LedgerError> {
        self.at.before(Step::IntentSaved);
        self.inner.insert(&self.with_terms(service), event).await?;
        self.at.after(Step::IntentSaved);
        self.know(service);
        Ok(())
    }

    async fn save(&self, changes: &[Change]) -> Result<Vec<SaveOutcome>, LedgerError> {
        let steps: Vec<Option<Step>> = changes.iter().map(|change| self.step(&change.service)).collect();
        steps.iter().flatten().for_each(|step| self.at.before(*step));
        let changes: Vec<Change> = changes
            .iter()
            .map(|change| Change { service: self.with_terms(&change.service), event: change.event.clone() })
            .collect();
        let outcomes = self.inner.save(&changes).await?;
        for ((change, step), outcome) in changes.iter().zip(steps).zip(&outcomes) {
            if let SaveOutcome::Saved(_) = outcome {
                step.into_iter().for_each(|step| self.at.after(step));
                self.know(&change.service);
            }
        }
        Ok(outcomes)
    }

    async fn list(&self, select: Select) -> Result<Listing, LedgerError> {
        let listing = self.inner.list(select).await?;
        listing.services.iter().for_each(|service| self.know(service));
        Ok(listing)
    }

    async fn history(&self, id: ServiceId) -> Result<Vec<Event>, LedgerError> {
        self.inner.history(id).await
    }

    async fn remove(&self, id: ServiceId, generation: u64) -> Result<(), LedgerError> {
        self.inner.remove(id, generation).await
    }
}

/// A scheduler whose surveys are known by what they tell. Nobody knows that beforehand, so before a survey that may
/// tell it is before that step.
pub(super) struct CrashingScheduler {
    inner: Arc<dyn Scheduler>,
    at: CrashPoint,
    told: Mutex<Told>,
}

/// What this process has heard of services.
#[derive(Default)]
struct Told {
    placed: BTreeSet<ServiceId>,
    cancelled: BTreeSet<ServiceId>,
}

impl CrashingScheduler {
    /// Around `inner`.
    pub(super) fn new(inner: Arc<dyn Scheduler>, at: CrashPoint) -> Self {
        Self { inner, at, told: Mutex::default() }
    }

    fn before_survey(&self, subjects: &[Subject]) {
        let told = locked(&self.told);
        for subject in subjects {
            if told.cancelled.contains(&subject.id) {
                self.at.before(Step::CancelConfirmed);
            } else if subject.job.is_some() && !told.placed.contains(&subject.id) {
                self.at.before(Step::PlaceRead);
            }
        }
    }

    fn after_survey(&self, survey: &Survey) {
        let mut told = locked(&self.told);
        for (id, sighting) in &survey.sightings {
            let has_ended = matches!(&sighting.sight, Sight::Seen(report) if report.state.has_ended());
            if has_ended && told.cancelled.remove(id) {
                self.at.after(Step::CancelConfirmed);
            }
            if sighting.place.is_some() && told.placed.insert(*id) {
                self.at.after(Step::PlaceRead);
            }
        }
    }
}

#[async_trait]
impl Scheduler for CrashingScheduler {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        self.inner.check(spec)
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        self.at.before(Step::JobSubmitted);
        let job = self.inner.submit(id, spec).await?;
        self.at.after(Step::JobSubmitted);
        Ok(job)
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        self.before_survey(subjects);
        let survey = self.inner.survey(subjects).await?;
        self.after_survey(&survey);
        Ok(survey)
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        self.at.before(Step::CancelSent);
        self.inner.cancel(id, job).await?;
        self.at.after(Step::CancelSent);
        locked(&self.told).cancelled.insert(id);
        Ok(())
    }
}

/// Tunnels of which it is known when they are opened and closed.
pub(super) struct CrashingTunnels {
    inner: Arc<dyn Tunnels>,
    at: CrashPoint,
}

impl CrashingTunnels {
    /// Around `inner`.
    pub(super) fn new(inner: Arc<dyn Tunnels>, at: CrashPoint) -> Self {
        Self { inner, at }
    }
}

#[async_trait]
impl Tunnels for CrashingTunnels {
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        self.at.before(Step::TunnelOpened);
        let tunnel = self.inner.open(id, place, local_port, before).await?;
        self.at.after(Step::TunnelOpened);
        Ok(tunnel)
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        self.at.before(Step::TunnelClosed);
        self.inner.close(tunnel).await?;
        self.at.after(Step::TunnelClosed);
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
