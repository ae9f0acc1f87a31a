//! A world whose calls take turns and time, and in which others act meanwhile.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::engine::{Engine, Site};
use towline_core::id::{JobId, ServiceId};
use towline_core::job::Place;
use towline_core::lifecycle::{Echo, Status, Terms, Tunnel};
use towline_core::ports::{
    CancelError, Change, Clock as _, Ledger, LedgerError, Listing, Probe, SaveOutcome, Scheduler, Select,
    Subject, SubmitError, Survey, SurveyError, TunnelError, Tunnels,
};
use towline_core::service::{Event, Service};
use towline_core::spec::{ServiceSpec, SpecError};
use towline_core::testing::{MemoryLedger, World, sample_service};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Ports that leave the thread before and after each call, that take their time, and during which others may act.
pub(crate) struct Slow {
    pub(crate) world: Arc<World>,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) ping_takes: Mutex<Duration>,
    pub(crate) survey_takes: Mutex<Duration>,
    before_save: Mutex<Option<Interference>>,
    before_ping: Mutex<Option<Interference>>,
    during_ping: Mutex<Option<Interference>>,
    during_survey: Mutex<Option<Interference>>,
}

type Interference = Box<dyn FnOnce() + Send>;

impl Slow {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            world: World::new(),
            ledger: Arc::new(MemoryLedger::new()),
            ping_takes: Mutex::default(),
            survey_takes: Mutex::default(),
            before_save: Mutex::default(),
            before_ping: Mutex::default(),
            during_ping: Mutex::default(),
            during_survey: Mutex::default(),
        })
    }

    pub(crate) fn engine(self: &Arc<Self>) -> Engine {
        let site = Site {
            scheduler: Arc::clone(self) as _,
            tunnels: Arc::clone(self) as _,
            probe: Arc::clone(self) as _,
        };
        Engine::new("lab", site, Arc::clone(self) as _, Arc::clone(&self.world) as _)
    }

    /// An engine in the same world whose calls are done at once.
    pub(crate) fn quick(&self) -> Engine {
        self.world.engine("lab", Arc::clone(&self.ledger) as _)
    }

    pub(crate) fn service(&self, n: u32) -> Service {
        let sample = sample_service(n, &format!("web-{n}"));
        Service::new(sample.id, sample.spec, Terms::with_grace(10 * MINUTE), self.world.now())
    }

    pub(crate) fn healthy(&self, n: u32) -> Service {
        run(self.quick().start(self.service(n), Some(&mut |_| {}))).unwrap()
    }

    pub(crate) fn history(&self, id: ServiceId) -> Vec<Status> {
        run(self.ledger.history(id)).unwrap().into_iter().map(|event| event.to).collect()
    }

    /// Lets that happen just before the next change is saved.
    pub(crate) fn before_save(&self, interference: impl FnOnce() + Send + 'static) {
        *self.before_save.lock().unwrap() = Some(Box::new(interference));
    }

    /// Lets that happen just before the next ping is sent.
    pub(crate) fn before_ping(&self, interference: impl FnOnce() + Send + 'static) {
        *self.before_ping.lock().unwrap() = Some(Box::new(interference));
    }

    /// Lets that happen while the answer to the next ping is under way.
    pub(crate) fn during_ping(&self, interference: impl FnOnce() + Send + 'static) {
        *self.during_ping.lock().unwrap() = Some(Box::new(interference));
    }

    /// Lets that happen while the answer to the next survey is under way.
    pub(crate) fn during_survey(&self, interference: impl FnOnce() + Send + 'static) {
        *self.during_survey.lock().unwrap() = Some(Box::new(interference));
    }
}

/// Lets happen what was to happen once.
fn interfere(interference: &Mutex<Option<Interference>>) {
    let interference = interference.lock().unwrap().take();
    if let Some(interference) = interference {
        interference();
    }
}

#[async_trait]
impl Scheduler for Slow {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        self.world.check(spec)
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        pause().await;
        let answer = self.world.submit(id, spec).await;
        pause().await;
        answer
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        pause().await;
        let answer = self.world.survey(subjects).await;
        interfere(&self.during_survey);
        self.world.advance(*self.survey_takes.lock().unwrap());
        pause().await;
        answer
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        pause().await;
        let answer = self.world.cancel(id, job).await;
        pause().await;
        answer
    }
}

#[async_trait]
impl Tunnels for Slow {
    async fn open<'a>(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&'a Tunnel>,
    ) -> Result<Tunnel, TunnelError> {
        pause().await;
        let answer = self.world.open(id, place, local_port, before).await;
        pause().await;
        answer
    }

    async fn close(&self, tunnel: &Tunnel) -> Result<(), TunnelError> {
        pause().await;
        let answer = self.world.close(tunnel).await;
        pause().await;
        answer
    }
}

#[async_trait]
impl Probe for Slow {
    async fn ping(&self, tunnel: &Tunnel, path: &str) -> Echo {
        pause().await;
        interfere(&self.before_ping);
        let echo = self.world.ping(tunnel, path).await;
        interfere(&self.during_ping);
        self.world.advance(*self.ping_takes.lock().unwrap());
        pause().await;
        echo
    }
}

#[async_trait]
impl Ledger for Slow {
    async fn insert(&self, service: &Service, event: &Event) -> Result<(), LedgerError> {
        pause().await;
        let answer = self.ledger.insert(service, event).await;
        pause().await;
        answer
    }

    async fn save(&self, changes: &[Change]) -> Result<Vec<SaveOutcome>, LedgerError> {
        pause().await;
        interfere(&self.before_save);
        let answer = self.ledger.save(changes).await;
        pause().await;
        answer
    }

    async fn list(&self, select: Select) -> Result<Listing, LedgerError> {
        pause().await;
        self.ledger.list(select).await
    }

    async fn history(&self, id: ServiceId) -> Result<Vec<Event>, LedgerError> {
        self.ledger.history(id).await
    }

    async fn remove(&self, id: ServiceId, generation: u64) -> Result<(), LedgerError> {
        self.ledger.remove(id, generation).await
    }
}

/// Is ready the second time it is asked.
pub(crate) async fn pause() {
    let mut asked = false;
    let again = |context: &mut Context<'_>| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
    };
    std::future::poll_fn(again).await;
}

/// Drives a future for that many polls and drops it; whether it was done by then.
pub(crate) fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).any(|_| future.as_mut().poll(&mut context).is_ready())
}

/// Drives a future to its end.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
    panic!("no end in sight");
}
