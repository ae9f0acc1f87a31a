//! Races: what the engine's verbs come to when they are dropped half-way, or when others work on the same service.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use towline_core::engine::{Engine, EngineError, Site};
use towline_core::id::{JobId, ServiceId};
use towline_core::job::Place;
use towline_core::lifecycle::{Echo, EndStatus, Status, Terms, Tunnel};
use towline_core::ports::{
    CancelError, Change, Clock as _, Ledger, LedgerError, Listing, Probe, SaveOutcome, Scheduler, Select,
    Subject, SubmitError, Survey, SurveyError, TunnelError, Tunnels,
};
use towline_core::service::{Event, Service};
use towline_core::spec::{ServiceSpec, SpecError};
use towline_core::testing::{Behaviour, Faults, MemoryLedger, World, sample_service};

const MINUTE: Duration = Duration::from_secs(60);

/// Ports that leave the thread before and after each call, that take their time, and during which others may act.
struct Slow {
    world: Arc<World>,
    ledger: Arc<MemoryLedger>,
    ping_takes: Mutex<Duration>,
    survey_takes: Mutex<Duration>,
    before_save: Mutex<Option<Interference>>,
}

type Interference = Box<dyn FnOnce() + Send>;

impl Slow {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            world: World::new(),
            ledger: Arc::new(MemoryLedger::new()),
            ping_takes: Mutex::default(),
            survey_takes: Mutex::default(),
            before_save: Mutex::default(),
        })
    }

    fn engine(self: &Arc<Self>) -> Engine {
        let site = Site {
            scheduler: Arc::clone(self) as _,
            tunnels: Arc::clone(self) as _,
            probe: Arc::clone(self) as _,
        };
        Engine::new("lab", site, Arc::clone(self) as _, Arc::clone(&self.world) as _)
    }

    /// An engine in the same world whose calls are done at once.
    fn quick(&self) -> Engine {
        self.world.engine("lab", Arc::clone(&self.ledger) as _)
    }

    fn service(&self, n: u32) -> Service {
        let sample = sample_service(n, &format!("web-{n}"));
        Service::new(sample.id, sample.spec, Terms::with_grace(10 * MINUTE), self.world.now())
    }

    fn healthy(&self, n: u32) -> Service {
        run(self.quick().start(self.service(n), Some(&mut |_| {}))).unwrap()
    }

    fn history(&self, id: ServiceId) -> Vec<Status> {
        run(self.ledger.history(id)).unwrap().into_iter().map(|event| event.to).collect()
    }

    /// Lets that happen just before the next change is saved.
    fn before_save(&self, interference: impl FnOnce() + Send + 'static) {
        *self.before_save.lock().unwrap() = Some(Box::new(interference));
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
        let echo = self.world.ping(tunnel, path).await;
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
        if let Some(interference) = self.before_save.lock().unwrap().take() {
            interference();
        }
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
async fn pause() {
    let mut asked = false;
    let again = |context: &mut Context<'_>| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
    };
    std::future::poll_fn(again).await;
}

/// Drives a future for that many polls and drops it; whether it was done by then.
fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).any(|_| future.as_mut().poll(&mut context).is_ready())
}

/// Drives a future to its end.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
    panic!("no end in sight");
}

#[test]
fn a_start_dropped_anywhere_leaves_one_job_or_none() {
    for lost in [false, true] {
        let mut done = false;
        for polls in 0.. {
            let slow = Slow::new();
            slow.world.break_down(Faults { submit_reply_lost: lost, ..Faults::default() });
            let service = slow.service(1);
            done = drop_after(polls, slow.engine().start(service.clone(), Some(&mut |_| {})));
            slow.world.break_down(Faults::default());
            if run(slow.quick().refresh_all()).unwrap().services.is_empty() {
                assert_eq!(slow.world.live_jobs(service.id), 0, "after {polls} polls");
            } else {
                let settled = run(slow.quick().wait(service.id, &[Status::Healthy], &mut |_| {})).unwrap();
                assert_eq!(settled.status(), Status::Healthy, "after {polls} polls");
                assert_eq!(slow.world.live_jobs(service.id), 1, "after {polls} polls");
                assert_eq!(slow.world.open_tunnels(), 1, "after {polls} polls");
            }
            if done {
                break;
            }
        }
        assert!(done);
    }
}

#[test]
fn a_stop_dropped_anywhere_is_fulfilled_or_was_never_wished() {
    for polls in 0.. {
        let slow = Slow::new();
        let service = slow.healthy(1);
        let done = drop_after(polls, slow.engine().stop(service.id, Duration::ZERO, EndStatus::Timeout));
        let recorded = run(slow.quick().refresh(service.id)).unwrap();
        if recorded.life.stop.is_some() || recorded.status().is_terminal() {
            let ended = run(slow.quick().wait(service.id, &[], &mut |_| {})).unwrap();
            assert_eq!(ended.status(), Status::Timeout, "after {polls} polls");
            assert_eq!((slow.world.live_jobs(service.id), slow.world.open_tunnels()), (0, 0));
        } else {
            assert_eq!((recorded.status(), slow.world.live_jobs(service.id)), (Status::Healthy, 1));
        }
        if done {
            return;
        }
    }
}

#[test]
fn writers_at_the_same_time_agree() {
    for polls in 0..60 {
        let slow = Slow::new();
        let service = slow.service(1);
        let (one, two, three) = (slow.engine(), slow.engine(), slow.engine());
        let later = async {
            for _ in 0..polls {
                pause().await;
            }
            two.stop(service.id, Duration::ZERO, EndStatus::Stopped).await
        };
        let (_, stopped, others) =
            run(async { tokio::join!(one.start(service.clone(), None), later, three.refresh_all()) });
        others.unwrap();
        if stopped.is_ok() {
            let ended = run(slow.quick().wait(service.id, &[], &mut |_| {})).unwrap();
            assert_eq!(ended.status(), Status::Stopped, "stopped after {polls} polls");
            assert_eq!((slow.world.live_jobs(service.id), slow.world.open_tunnels()), (0, 0));
        } else {
            assert_eq!(slow.world.live_jobs(service.id), 1, "not recorded yet after {polls} polls");
        }
        let history = slow.history(service.id);
        assert!(history.windows(2).all(|pair| pair[0] != pair[1]), "{history:?}");
    }
}

#[test]
fn a_wish_that_comes_too_late_is_refused() {
    for wish in ["stop", "close"] {
        let slow = Slow::new();
        let id = slow.healthy(1).id;
        let (other, world) = (slow.quick(), Arc::clone(&slow.world));
        slow.before_save(move || {
            world.cancel_by_hand(id);
            world.advance(MINUTE);
            assert_eq!(run(other.refresh(id)).unwrap().status(), Status::Stopped);
        });
        let result = match wish {
            "stop" => run(slow.engine().stop(id, Duration::ZERO, EndStatus::Failed)),
            _ => run(slow.engine().close_tunnel(id)),
        };
        assert!(matches!(result, Err(EngineError::Refused(_))), "{wish}: {result:?}");
    }
}

#[test]
fn no_tunnel_is_opened_to_a_service_that_has_just_ended() {
    let slow = Slow::new();
    let id = slow.healthy(1).id;
    slow.world.cancel_by_hand(id);
    slow.world.advance(MINUTE);
    let opened = run(slow.engine().open_tunnel(id));
    assert!(matches!(opened, Err(EngineError::Refused(_))), "{opened:?}");
    assert_eq!(slow.world.open_tunnels(), 0);
}

#[test]
fn a_service_removed_during_its_start_is_told_so() {
    let slow = Slow::new();
    let service = slow.service(1);
    let (ledger, id) = (Arc::clone(&slow.ledger), service.id);
    slow.before_save(move || run(ledger.remove(id, 0)).unwrap());
    let started = run(slow.engine().start(service, None));
    assert!(matches!(started, Err(EngineError::Unknown { .. })), "{started:?}");
    assert_eq!(slow.world.live_jobs(id), 0);
}

#[test]
fn a_late_silence_does_not_undo_a_later_answer() {
    let slow = Slow::new();
    let id = slow.healthy(1).id;
    slow.world.advance(10 * Duration::from_secs(1));
    slow.world.break_down(Faults { network_down: true, ..Faults::default() });
    let (other, world) = (slow.quick(), Arc::clone(&slow.world));
    slow.before_save(move || {
        world.break_down(Faults::default());
        world.advance(Duration::from_secs(5));
        assert_eq!(run(other.refresh(id)).unwrap().status(), Status::Healthy);
    });
    assert_eq!(run(slow.engine().refresh(id)).unwrap().status(), Status::Healthy);
    assert!(!slow.history(id).contains(&Status::Unhealthy));
}

#[test]
fn a_healthy_service_does_not_flicker_when_its_verification_is_due() {
    for millis in (58_000..62_000).step_by(100) {
        let slow = Slow::new();
        *slow.ping_takes.lock().unwrap() = Duration::from_millis(700);
        let healthy = slow.healthy(1);
        slow.world.advance(Duration::from_millis(millis));
        let refreshed = run(slow.engine().refresh(healthy.id)).unwrap();
        assert_eq!(refreshed.status(), Status::Healthy, "after {millis} ms");
        assert_eq!(refreshed.life.since, healthy.life.since, "it was HEALTHY all the time");
        assert!(!slow.history(healthy.id).contains(&Status::Unhealthy), "after {millis} ms");
    }
}

#[test]
fn one_question_a_turn_serves_all_however_slow_the_scheduler() {
    let slow = Slow::new();
    let silent = slow.healthy(1).id;
    slow.world.cancel_by_hand(silent);
    slow.world.behave(Behaviour { queued_for: 60 * MINUTE, ..Behaviour::default() });
    run(slow.quick().start(slow.service(2), None)).unwrap();
    slow.world.behave(Behaviour { listens_after: None, ..Behaviour::default() });
    run(slow.quick().start(slow.service(3), None)).unwrap();
    slow.world.advance(Duration::from_secs(10));
    *slow.survey_takes.lock().unwrap() = Duration::from_secs(5);
    *slow.ping_takes.lock().unwrap() = Duration::from_secs(1);
    let before = slow.world.surveys();
    let statuses: Vec<Status> =
        run(slow.engine().refresh_all()).unwrap().services.iter().map(Service::status).collect();
    assert_eq!(statuses, [Status::Stopped, Status::Pending, Status::Starting]);
    assert_eq!(slow.world.surveys() - before, 1);
}
