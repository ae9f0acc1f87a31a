//! Processes that share what they learn: one of them asks the cluster, the others read.

use std::time::Duration;

use towline_core::lifecycle::{Doubt, Status};
use towline_core::service::Service;
use towline_core::testing::{Behaviour, Call, Errand, Faults};

use super::support::{MINUTE, Scene, begin_sharing, end, run, until};

/// Several errands, each a step in its turn, to their ends.
fn side_by_side<T>(errands: Vec<Errand<T>>) -> Vec<T> {
    let mut open: Vec<_> = errands.into_iter().map(Some).collect();
    let mut done = Vec::new();
    for _ in 0..10_000 {
        for errand in &mut open {
            if let Some(result) = errand.as_mut().and_then(|errand| errand.step(0)) {
                done.push(result);
                *errand = None;
            }
        }
        if open.iter().all(Option::is_none) {
            return done;
        }
    }
    panic!("they do not come to an end");
}

/// Healthy services whose last look is too old to be believed.
fn stale(scene: &Scene, count: u32) {
    (1..=count).for_each(|n| drop(scene.healthy(n)));
    scene.world.advance(2 * MINUTE);
}

fn doubts(services: &[Service]) -> Vec<&Doubt> {
    services.iter().filter_map(|service| service.life.doubt.as_ref()).collect()
}

#[test]
fn of_ten_that_look_at_once_one_asks() {
    let scene = Scene::new();
    stale(&scene, 5);
    let before = scene.world.surveys();
    let look = || begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
    for listing in side_by_side((0..10).map(|_| look()).collect()) {
        let services = listing.unwrap().services;
        assert!(services.iter().all(|service| service.status() == Status::Healthy));
        assert_eq!(services.len(), 5);
    }
    assert_eq!(scene.world.surveys() - before, 1);
}

#[test]
fn of_two_that_look_at_once_one_asks_the_servers() {
    let scene = Scene::new();
    stale(&scene, 2);
    let look = || begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
    let (mut first, mut second) = (look(), look());
    until(&mut first, Call::Ping, 1);
    until(&mut second, Call::Enter, 1);
    end(first).unwrap();
    for _ in 0..1_000 {
        assert!(!second.waiting().contains(&Call::Ping), "it was asked a moment ago");
        if let Some(listing) = second.step(0) {
            return assert_eq!(listing.unwrap().services.len(), 2);
        }
    }
    panic!("it does not come to an end");
}

#[test]
fn a_look_within_the_freshness_interval_of_another_asks_nobody() {
    let scene = Scene::new();
    scene.world.behave(Behaviour { queued_for: 60 * MINUTE, ..Behaviour::default() });
    run(scene.quick().start(scene.service(1), None)).unwrap();
    let before = scene.world.surveys();
    for _ in 0..100 {
        scene.world.advance(Duration::from_millis(100));
        run(scene.quick().refresh_all()).unwrap();
    }
    let asked = scene.world.surveys() - before;
    assert!((4..=5).contains(&asked), "{asked} questions in ten seconds");
}

#[test]
fn who_asks_for_one_service_asks_for_all() {
    let scene = Scene::new();
    stale(&scene, 2);
    let ids = [scene.listed(0).id, scene.listed(1).id];
    scene.world.cancel_by_hand(ids[1]);
    scene.world.advance(MINUTE);
    let before = scene.world.surveys();
    let look =
        |id| end(begin_sharing(&scene.process(), move |engine| async move { engine.refresh(id).await }));
    assert_eq!(look(ids[0]).unwrap().status(), Status::Healthy);
    assert_eq!(scene.history(ids[1]).last(), Some(&Status::Stopped), "its end was seen on the way");
    assert_eq!(look(ids[1]).unwrap().status(), Status::Stopped);
    assert_eq!(scene.world.surveys() - before, 1);
}

#[test]
fn a_cluster_that_does_not_answer_is_asked_by_one_and_less_and_less_often() {
    let scene = Scene::new();
    stale(&scene, 3);
    scene.world.break_down(Faults { scheduler_down: true, ..Faults::default() });
    let (before, began) = (scene.world.surveys(), scene.world.cluster_now());
    while scene.world.cluster_now().since(began) < 5 * MINUTE {
        let look = || begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
        for listing in side_by_side(vec![look(), look(), look()]) {
            assert_eq!(doubts(&listing.unwrap().services).len(), 3, "each says that there is no news");
        }
        scene.world.advance(Duration::from_secs(1));
    }
    // 1, 2, 4, 8, 16 and 32 s, and from then on a minute: up to a quarter less each.
    let asked = scene.world.surveys() - before;
    assert!((9..=13).contains(&asked), "{asked} questions in five minutes");
    scene.world.break_down(Faults::default());
    let now = |engine: towline_core::engine::Engine| async move { engine.urgent().refresh_all().await };
    let healed = end(begin_sharing(&scene.process(), now)).unwrap().services;
    assert_eq!(doubts(&healed), Vec::<&Doubt>::new(), "who is in a hurry does not wait");
}

#[test]
fn who_is_killed_or_stuck_while_it_asks_keeps_nobody_out() {
    for is_killed in [true, false] {
        let scene = Scene::new();
        stale(&scene, 1);
        let look = || begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
        let mut stuck = look();
        until(&mut stuck, Call::Survey, 1);
        assert_eq!(scene.world.turnstile().inside(), 2);
        let began = scene.world.cluster_now();
        if is_killed {
            drop(stuck);
        }
        assert_eq!(end(look()).unwrap().services[0].status(), Status::Healthy);
        let waited = scene.world.cluster_now().since(began);
        assert_eq!(waited >= Duration::from_secs(20), !is_killed, "{waited:?}");
    }
}

#[test]
fn a_pass_is_given_back_before_servers_are_waited_for() {
    let scene = Scene::new();
    stale(&scene, 1);
    let mut look = begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
    until(&mut look, Call::Ping, 1);
    assert_eq!(scene.world.turnstile().inside(), 1, "others who look at all wait, and others may ask");
    assert_eq!(run(scene.quick().refresh_all()).unwrap().services.len(), 1);
    end(look).unwrap();
}
