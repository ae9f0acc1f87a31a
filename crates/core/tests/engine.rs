//! Stories: the engine's verbs in the simulated world.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use towline_core::engine::{Engine, EngineError, Site};
use towline_core::job::{ExitStatus, JobEnd, Outcome, Sight};
use towline_core::lifecycle::{Cause, EndStatus, Refusal, Status, Terms};
use towline_core::ports::{
    Clock as _, Ledger as _, MockClock, MockTunnels, Select, SubmitError, TunnelError,
};
use towline_core::service::Service;
use towline_core::testing::{Behaviour, Faults, MemoryLedger, World, sample_service};

const MINUTE: Duration = Duration::from_secs(60);

struct Story {
    world: Arc<World>,
    ledger: Arc<MemoryLedger>,
    engine: Engine,
}

impl Story {
    fn new() -> Self {
        let (world, ledger) = (World::new(), Arc::new(MemoryLedger::new()));
        let engine = world.engine("lab", Arc::clone(&ledger) as _);
        Self { world, ledger, engine }
    }

    fn site(&self) -> Site {
        Site {
            scheduler: Arc::clone(&self.world) as _,
            tunnels: Arc::clone(&self.world) as _,
            probe: Arc::clone(&self.world) as _,
        }
    }

    /// Starts a service and waits; returns it with the statuses that were shown on the way.
    async fn start(&self, service: Service) -> (Result<Service, EngineError>, Vec<Status>) {
        let mut seen = Vec::new();
        let result = self.engine.start(service, Some(&mut |service| seen.push(service.status()))).await;
        seen.dedup();
        (result, seen)
    }

    async fn healthy(&self) -> Service {
        self.start(self.service(1)).await.0.unwrap()
    }

    fn service(&self, n: u32) -> Service {
        let mut sample = sample_service(n, &format!("web-{n}"));
        Arc::make_mut(&mut sample.spec).grace = 10 * MINUTE;
        Service::new(sample.id, sample.spec, Terms::with_grace(10 * MINUTE), self.world.now())
    }

    async fn end(&self, service: &Service) -> Service {
        self.engine.wait(service.id, &[], &mut |_| {}).await.unwrap()
    }

    async fn history(&self, service: &Service) -> Vec<Status> {
        self.ledger.history(service.id).await.unwrap().into_iter().map(|event| event.to).collect()
    }
}

#[tokio::test]
async fn a_service_becomes_healthy_and_is_stopped() {
    let story = Story::new();
    let (service, seen) = story.start(story.service(1)).await;
    let service = service.unwrap();
    assert_eq!(seen, [Status::Submitted, Status::Pending, Status::Starting, Status::Healthy]);
    assert_eq!(service.url().as_deref(), Some("http://127.0.0.1:40000"));
    assert_eq!(story.world.live_jobs(service.id), 1);

    let stopping = story.engine.stop(service.id, Duration::ZERO, EndStatus::Stopped).await.unwrap();
    assert_eq!(stopping.status(), Status::Healthy, "the wish is recorded, its effect is still to be seen");
    let ended = story.end(&service).await;
    assert_eq!((ended.status(), ended.life.cause()), (Status::Stopped, Some(&Cause::Requested)));
    assert_eq!((story.world.live_jobs(service.id), story.world.open_tunnels()), (0, 0));
    assert_eq!(story.history(&service).await, [seen, vec![Status::Stopped]].concat());
}

#[tokio::test]
async fn a_stop_ends_in_the_status_that_was_asked_for() {
    for (status, recorded) in [(EndStatus::Timeout, Status::Timeout), (EndStatus::Failed, Status::Failed)] {
        let story = Story::new();
        let service = story.healthy().await;
        let delayed = story.engine.stop(service.id, MINUTE, status).await.unwrap();
        assert_eq!(delayed.status(), Status::Healthy);
        assert_eq!(story.world.live_jobs(service.id), 1, "the delay is not over");
        assert_eq!(story.end(&service).await.status(), recorded);
        assert_eq!(story.world.live_jobs(service.id), 0);
    }
}

#[tokio::test]
async fn stopping_an_ended_service_says_when_it_ended() {
    let story = Story::new();
    let service = story.healthy().await;
    story.engine.stop(service.id, Duration::ZERO, EndStatus::Stopped).await.unwrap();
    let ended = story.end(&service).await;
    let again = story.engine.stop(service.id, Duration::ZERO, EndStatus::Failed).await;
    let expected = Refusal::Ended { status: Status::Stopped, at: ended.life.since };
    assert!(matches!(again, Err(EngineError::Refused(refusal)) if refusal == expected));
}

#[tokio::test]
async fn a_refused_job_fails_with_the_schedulers_words() {
    let story = Story::new();
    let words = "invalid partition name specified".to_owned();
    story.world.behave(Behaviour { refused: Some(words.clone()), ..Behaviour::default() });
    let service = story.service(1);
    let (result, _) = story.start(service.clone()).await;
    assert!(matches!(result, Err(EngineError::Submit(SubmitError::Refused { words: w })) if w == words));
    let recorded = story.engine.refresh(service.id).await.unwrap();
    assert_eq!((recorded.status(), recorded.life.cause()), (Status::Failed, Some(&Cause::Refused(words))));
}

#[tokio::test]
async fn an_unreachable_cluster_gets_no_job_later() {
    let story = Story::new();
    story.world.break_down(Faults { network_down: true, ..Faults::default() });
    let service = story.service(1);
    let (result, _) = story.start(service.clone()).await;
    assert!(matches!(result, Err(EngineError::Submit(SubmitError::NotSent(_)))));
    story.world.break_down(Faults::default());
    assert_eq!(story.engine.refresh(service.id).await.unwrap().status(), Status::Failed);
    assert_eq!(story.world.live_jobs(service.id), 0);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_token_without_a_second_job() {
    let story = Story::new();
    story.world.break_down(Faults { submit_reply_lost: true, ..Faults::default() });
    let (service, seen) = story.start(story.service(1)).await;
    assert_eq!(seen.last(), Some(&Status::Healthy));
    assert_eq!(story.world.live_jobs(service.unwrap().id), 1);
}

#[tokio::test]
async fn an_unsettled_submission_is_made_again_only_after_the_settling_time() {
    let story = Story::new();
    story.world.break_down(Faults { submit_reply_lost: true, jobs_unlisted: true, ..Faults::default() });
    let service = story.service(1);
    let unsettled = story.engine.start(service.clone(), None).await.unwrap();
    assert_eq!(unsettled.status(), Status::Submitted);
    for _ in 0..4 {
        story.world.advance(MINUTE);
        story.engine.refresh(service.id).await.unwrap();
        assert_eq!(story.world.live_jobs(service.id), 1);
    }
    story.world.break_down(Faults::default());
    story.world.advance(Duration::from_secs(10));
    let found = story.engine.refresh(service.id).await.unwrap();
    assert!(found.life.phase.job().is_some());
    assert_eq!(story.world.live_jobs(service.id), 1);
}

#[tokio::test]
async fn doubt_ends_nothing_and_loses_no_url() {
    let story = Story::new();
    let service = story.healthy().await;
    story.world.break_down(Faults { network_down: true, ..Faults::default() });
    for _ in 0..100 {
        story.world.advance(10 * MINUTE);
        let doubted = story.engine.refresh(service.id).await.unwrap();
        assert_eq!(doubted.status(), Status::Unhealthy);
        assert!(doubted.life.doubt.is_some());
    }
    story.world.break_down(Faults::default());
    story.world.advance(MINUTE);
    let healed = story.engine.refresh(service.id).await.unwrap();
    assert_eq!((healed.status(), healed.url()), (Status::Healthy, service.url()));
    assert_eq!(story.world.live_jobs(service.id), 1);
}

#[tokio::test]
async fn without_the_schedulers_word_an_answer_is_believed_for_a_minute_only() {
    let story = Story::new();
    let service = story.healthy().await;
    story.world.break_down(Faults { scheduler_down: true, ..Faults::default() });
    story.world.advance(Duration::from_secs(30));
    assert_eq!(story.engine.refresh(service.id).await.unwrap().status(), Status::Healthy);
    story.world.advance(MINUTE);
    assert_eq!(story.engine.refresh(service.id).await.unwrap().status(), Status::Unhealthy);
    story.world.break_down(Faults::default());
    story.world.advance(Duration::from_secs(5));
    assert_eq!(story.engine.refresh(service.id).await.unwrap().status(), Status::Healthy);
}

#[tokio::test]
async fn a_job_that_vanished_fails_after_the_settling_time_and_not_before() {
    let story = Story::new();
    let service = story.healthy().await;
    story.world.cancel_by_hand(service.id);
    story.world.break_down(Faults { jobs_unlisted: true, ..Faults::default() });
    story.world.advance(MINUTE);
    assert_eq!(story.engine.refresh(service.id).await.unwrap().status(), Status::Unhealthy);
    story.world.advance(4 * MINUTE);
    assert_eq!(story.engine.refresh(service.id).await.unwrap().status(), Status::Unhealthy);
    story.world.advance(MINUTE);
    let ended = story.engine.refresh(service.id).await.unwrap();
    assert_eq!((ended.status(), ended.life.cause()), (Status::Failed, Some(&Cause::Vanished)));
}

#[tokio::test]
async fn a_silent_server_times_out_after_its_grace_and_its_job_is_cancelled() {
    let story = Story::new();
    story.world.behave(Behaviour { queued_for: 60 * MINUTE, listens_after: None, ..Behaviour::default() });
    let (service, seen) = story.start(story.service(1)).await;
    let service = service.unwrap();
    assert_eq!(seen, [Status::Submitted, Status::Pending, Status::Starting, Status::Timeout]);
    let lived = service.life.since.since(service.created_at);
    assert!(lived >= 70 * MINUTE, "queueing must not eat the grace period: {lived:?}");
    assert_eq!((story.world.live_jobs(service.id), story.world.open_tunnels()), (0, 0));
}

#[tokio::test]
async fn a_job_that_fails_gives_its_exit_code() {
    let story = Story::new();
    let exit = Some(ExitStatus { code: 3, signal: None });
    let end = JobEnd { outcome: Outcome::Failed, exit, reason: None };
    story.world.behave(Behaviour { runs_for: Some(MINUTE), end: end.clone(), ..Behaviour::default() });
    let service = story.healthy().await;
    story.world.advance(2 * MINUTE);
    let ended = story.engine.refresh(service.id).await.unwrap();
    assert_eq!((ended.status(), ended.life.cause()), (Status::Failed, Some(&Cause::Job(end))));
    assert_eq!(story.world.open_tunnels(), 0);
    let history = story.history(&service).await;
    assert_eq!(history.last(), Some(&Status::Failed));
    assert!(!history.contains(&Status::Unhealthy), "its job had ended: it was never UNHEALTHY");
}

#[tokio::test]
async fn a_requeued_job_is_followed_and_keeps_its_local_port() {
    let story = Story::new();
    let service = story.healthy().await;
    story.world.requeue(service.id);
    story.world.advance(MINUTE);
    let moved = story.engine.wait(service.id, &[Status::Healthy], &mut |_| {}).await.unwrap();
    assert_eq!(moved.url(), service.url());
    assert_eq!(moved.life.open_tunnel().unwrap().place.host, "node2");
}

#[tokio::test]
async fn answered_pings_leave_the_scheduler_alone() {
    let story = Story::new();
    let services: Vec<Service> = {
        let mut started = Vec::new();
        for n in 1..=50 {
            started.push(story.start(story.service(n)).await.0.unwrap());
        }
        started
    };
    story.world.advance(2 * MINUTE);
    let before = story.world.surveys();
    let all = story.engine.refresh_all().await.unwrap();
    assert_eq!(all.services.len(), services.len());
    assert_eq!(story.world.surveys() - before, 1, "one question for all of them");
    story.world.advance(Duration::from_secs(10));
    let all = story.engine.refresh_all().await.unwrap();
    assert!(all.services.iter().all(|service| service.status() == Status::Healthy));
    assert_eq!(story.world.surveys() - before, 1, "their pings were answered");
}

#[tokio::test]
async fn a_look_is_recorded_once_and_none_is_not_recorded() {
    let story = Story::new();
    let service = story.healthy().await;
    let waited = story.engine.wait(service.id, &[Status::Healthy], &mut |_| {}).await.unwrap();
    assert_eq!(waited.generation, service.generation, "it was not looked at again");
    let refreshed = async || {
        story.world.advance(Duration::from_secs(10));
        story.engine.refresh(service.id).await.unwrap().generation
    };
    // By the first of them the tunnel's place is known to be listened at.
    let (before, after) = (refreshed().await, refreshed().await);
    assert_eq!(after, before + 1, "its tunnel was checked, and its server pinged");
}

#[tokio::test]
async fn tunnels_are_closed_and_opened_on_their_own() {
    let story = Story::new();
    let service = story.healthy().await;
    let closed = story.engine.close_tunnel(service.id).await.unwrap();
    assert_eq!((closed.url(), story.world.open_tunnels()), (None, 0));
    story.world.advance(MINUTE);
    let refreshed = story.engine.refresh(service.id).await.unwrap();
    assert_eq!((refreshed.status(), story.world.open_tunnels()), (Status::Healthy, 0));
    let tunnel = story.engine.open_tunnel(service.id).await.unwrap();
    assert_eq!(Some(tunnel.url()), service.url());
}

#[tokio::test]
async fn a_port_that_nobody_wanted_is_not_asked_for_twice() {
    let story = Story::new();
    let mut tunnels = MockTunnels::new();
    let taken = |_, _: &_, _, _: Option<&_>| Err(TunnelError::PortTaken { port: 40_000 });
    tunnels.expect_open().times(2).returning(taken);
    let site = Site { tunnels: Arc::new(tunnels), ..story.site() };
    let engine = Engine::new("lab", site, Arc::clone(&story.ledger) as _, Arc::clone(&story.world) as _);
    let service = engine.start(story.service(1), None).await.unwrap();
    story.world.advance(MINUTE);
    engine.get_job(service.id).await.unwrap();
    // Once on the way, once for the answer.
    assert!(matches!(engine.open_tunnel(service.id).await, Err(EngineError::Tunnel(_))));
}

#[tokio::test]
async fn a_tunnel_needs_a_place() {
    let story = Story::new();
    story.world.behave(Behaviour { queued_for: 60 * MINUTE, ..Behaviour::default() });
    let service = story.engine.start(story.service(1), None).await.unwrap();
    assert!(matches!(story.engine.open_tunnel(service.id).await, Err(EngineError::NoPlace { .. })));
}

#[tokio::test]
async fn get_job_returns_what_the_scheduler_says() {
    let story = Story::new();
    let service = story.healthy().await;
    let sighting = story.engine.get_job(service.id).await.unwrap();
    assert!(matches!(sighting.sight, Sight::Seen(report) if report.word == "RUNNING"));
    story.world.break_down(Faults { scheduler_down: true, ..Faults::default() });
    assert!(matches!(story.engine.get_job(service.id).await, Err(EngineError::Survey(_))));
}

#[tokio::test]
async fn what_is_seen_counts_unless_the_clock_was_put_back_meanwhile() {
    let story = Story::new();
    let service = story.healthy().await;
    let now = story.world.now();
    for (answered, is_seen) in [(now, true), (now.plus(MINUTE), true), (now.minus(MINUTE), false)] {
        let mut clock = MockClock::new();
        let mut times = [now, answered].into_iter().chain(std::iter::repeat(answered));
        clock.expect_now().returning(move || times.next().unwrap());
        let engine = Engine::new("lab", story.site(), Arc::clone(&story.ledger) as _, Arc::new(clock));
        engine.get_job(service.id).await.unwrap();
        let recorded = story.ledger.list(Select::Id(service.id)).await.unwrap().services.remove(0);
        assert_eq!(recorded.life.doubt.is_none(), is_seen, "{answered}");
    }
}

#[tokio::test]
async fn two_engines_on_one_ledger_start_one_job() {
    let story = Story::new();
    let other = story.world.engine("lab", Arc::clone(&story.ledger) as _);
    let service = story.service(1);
    let (one, two) = tokio::join!(story.engine.start(service.clone(), None), other.refresh_all());
    one.unwrap();
    two.unwrap();
    other.refresh(service.id).await.unwrap();
    assert_eq!(story.world.live_jobs(service.id), 1);
}

#[tokio::test]
async fn what_is_wrong_is_refused_before_anything_is_recorded() {
    let story = Story::new();
    let mut bad = story.service(1);
    Arc::make_mut(&mut bad.spec).command.clear();
    assert!(matches!(story.start(bad).await.0, Err(EngineError::Spec(_))));
    let mut elsewhere = story.service(2);
    Arc::make_mut(&mut elsewhere.spec).profile = "other".into();
    assert!(matches!(story.start(elsewhere).await.0, Err(EngineError::OtherProfile { .. })));
    assert!(story.ledger.list(Select::All).await.unwrap().services.is_empty());
    let unknown = story.service(3).id;
    assert!(matches!(story.engine.refresh(unknown).await, Err(EngineError::Unknown { .. })));
}
