//! Stories: services that are kept, each at its own pace, in the simulated world.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use towline_core::engine::{Engine, next_look};
use towline_core::id::ServiceId;
use towline_core::lifecycle::{EndStatus, Status, Terms};
use towline_core::ports::{Clock as _, Ledger as _, Select};
use towline_core::service::Service;
use towline_core::testing::{Faults, MemoryLedger, World, sample_service};
use towline_core::time::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);

/// Keepers of the same services, as in several processes, taking turns.
struct Keepers {
    world: Arc<World>,
    ledger: Arc<MemoryLedger>,
    engines: Vec<Engine>,
}

impl Keepers {
    fn new(count: usize) -> Self {
        let (world, ledger) = (World::new(), Arc::new(MemoryLedger::new()));
        let engine =
            || world.engine("lab", Arc::clone(&ledger) as _).sharing(Arc::new(world.turnstile()) as _);
        let engines = (0..count).map(|_| engine()).collect();
        Self { world, ledger, engines }
    }

    async fn healthy(&self, number: u32) -> Service {
        let sample = sample_service(number, &format!("web-{number}"));
        let service = Service::new(sample.id, sample.spec, Terms::with_grace(10 * MINUTE), self.world.now());
        self.engines[0].start(service, Some(&mut |_| {})).await.unwrap()
    }

    /// One pass of each keeper, and when the next one is due.
    async fn pass(&self, suspects: &BTreeSet<ServiceId>) -> Timestamp {
        let mut next = None;
        for engine in &self.engines {
            let listing = self.ledger.list(Select::Unfinished).await.unwrap();
            let kept = engine.keep_listed(listing, suspects).await.unwrap();
            next = next_look(&kept.services, self.world.now());
        }
        next.unwrap()
    }

    /// Keeps for so long, each pass when it is due.
    async fn keep_for(&self, duration: Duration) {
        let end = self.world.now().plus(duration);
        while self.world.now() < end {
            let next = self.pass(&BTreeSet::new()).await;
            assert!(next > self.world.now(), "a pass leaves nothing to do at once");
            self.world.sleep_until(next).await;
        }
    }

    async fn recorded(&self, service: &Service) -> Service {
        self.ledger.list(Select::Id(service.id)).await.unwrap().services.remove(0)
    }
}

#[tokio::test]
async fn healthy_services_cost_a_question_a_minute_however_many_keep_them() {
    for keepers in [1, 3] {
        let story = Keepers::new(keepers);
        for number in 1..=3 {
            story.healthy(number).await;
        }
        let before = story.world.surveys();
        story.keep_for(10 * MINUTE).await;
        let asked = story.world.surveys() - before;
        assert!((9..=11).contains(&asked), "{asked} questions by {keepers} keepers");
    }
}

#[tokio::test]
async fn tunnels_that_are_lost_are_open_again_on_their_ports_five_seconds_later() {
    let story = Keepers::new(1);
    let service = story.healthy(1).await;
    story.keep_for(MINUTE).await;
    story.world.drop_tunnels();
    story.keep_for(Duration::from_secs(5)).await;
    assert_eq!(story.world.tunnels().len(), 1);
    let kept = story.recorded(&service).await;
    assert_eq!((kept.status(), kept.url()), (Status::Healthy, service.url()));
}

#[tokio::test]
async fn a_suspect_is_looked_at_before_its_time() {
    let story = Keepers::new(1);
    let service = story.healthy(1).await;
    story.keep_for(MINUTE).await;
    let next = story.pass(&BTreeSet::new()).await;
    story.world.drop_tunnels();
    story.world.advance(service.life.terms.fresh);
    assert!(story.world.now() < next, "nothing is due yet");
    story.pass(&BTreeSet::new()).await;
    assert_eq!(story.world.open_tunnels(), 0);
    story.pass(&BTreeSet::from([service.id])).await;
    assert_eq!(story.world.open_tunnels(), 1);
}

#[tokio::test]
async fn a_local_port_that_is_taken_meanwhile_is_given_up_for_another() {
    let story = Keepers::new(1);
    let service = story.healthy(1).await;
    let port = service.life.local_port.unwrap();
    story.world.drop_tunnels();
    story.world.take_local_port(port);
    story.keep_for(Duration::from_secs(10)).await;
    let kept = story.recorded(&service).await;
    assert_eq!(kept.status(), Status::Healthy);
    assert_ne!(kept.life.local_port, Some(port));
    assert_eq!(story.world.tunnels()[0].1.port, kept.life.local_port.unwrap());
}

#[tokio::test]
async fn a_cluster_that_is_away_is_asked_less_and_less_often_and_nothing_ends() {
    let story = Keepers::new(2);
    let service = story.healthy(1).await;
    story.world.drop_tunnels();
    story.world.break_down(Faults { network_down: true, ..Faults::default() });
    story.keep_for(10 * MINUTE).await;
    let kept = story.recorded(&service).await;
    assert_eq!(kept.status(), Status::Unhealthy);
    let doubt = kept.life.no_news().unwrap();
    assert!((10..=20).contains(&doubt.count), "{} tries in ten minutes", doubt.count);
    story.world.break_down(Faults::default());
    story.keep_for(MINUTE).await;
    let back = story.recorded(&service).await;
    assert_eq!((back.status(), back.url()), (Status::Healthy, service.url()));
}

/// Named services are kept by one, and others by nobody: that one does nothing for these, though they are due as well.
#[tokio::test]
async fn those_that_were_not_listed_are_left_alone() {
    let story = Keepers::new(1);
    let (kept, other) = (story.healthy(1).await, story.healthy(2).await);
    story.keep_for(MINUTE).await;
    let before = story.recorded(&other).await;
    story.world.drop_tunnels();
    story.world.advance(Duration::from_secs(10));
    let listing = story.ledger.list(Select::Id(kept.id)).await.unwrap();
    let looked = story.engines[0].keep_listed(listing, &BTreeSet::from([kept.id])).await.unwrap();
    assert_eq!(looked.services.iter().map(|service| service.id).collect::<Vec<_>>(), [kept.id]);
    assert_eq!(story.world.tunnels().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [kept.id]);
    assert_eq!(story.recorded(&other).await.life.ping, before.life.ping);
}

#[tokio::test]
async fn what_others_have_finished_meanwhile_is_told_and_what_they_have_removed_is_not() {
    let story = Keepers::new(2);
    let (stopped, removed) = (story.healthy(1).await, story.healthy(2).await);
    let listing = story.ledger.list(Select::Unfinished).await.unwrap();
    let other = &story.engines[1];
    for service in [&stopped, &removed] {
        other.stop(service.id, Duration::ZERO, EndStatus::Stopped).await.unwrap();
        other.wait(service.id, &[], &mut |_| {}).await.unwrap();
        assert!(!story.recorded(service).await.life.is_unfinished());
    }
    let generation = story.recorded(&removed).await.generation;
    story.ledger.remove(removed.id, generation).await.unwrap();
    story.world.advance(MINUTE);
    let looked = story.engines[0].keep_listed(listing, &BTreeSet::new()).await.unwrap();
    let told: Vec<_> = looked.services.iter().map(|service| (service.id, service.status())).collect();
    assert_eq!(told, [(stopped.id, Status::Stopped)]);
}
