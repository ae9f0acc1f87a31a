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
    for (is_silent, takes) in [(false, Duration::ZERO), (true, Duration::from_secs(5))] {
        let scene = Scene::new();
        stale(&scene, 2);
        scene.world.hush(scene.listed(0).id, is_silent);
        let look = || begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
        let (mut first, mut second) = (look(), look());
        until(&mut first, Call::Ping, 1);
        until(&mut second, Call::Enter, 1);
        scene.world.advance(takes);
        end(first).unwrap();
        let mut listed = None;
        while listed.is_none() {
            assert!(!second.waiting().contains(&Call::Ping), "it was asked a moment ago");
            listed = second.step(0);
        }
        let statuses = listed.unwrap().unwrap().services.iter().map(Service::status).collect::<Vec<_>>();
        assert_eq!(statuses, [if is_silent { Status::Unhealthy } else { Status::Healthy }, Status::Healthy]);
    }
}

#[test]
fn what_another_has_learnt_since_one_asked_is_news_enough_however_long_that_took() {
    let scene = Scene::new();
    drop(scene.healthy(1));
    scene.world.advance(Duration::from_secs(10));
    scene.world.break_down(Faults { tunnels_stuck: true, ..Faults::default() });
    let secs = Duration::from_secs;
    let look = || begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
    let (mut first, mut second, mut third) = (look(), look(), look());
    until(&mut first, Call::Ping, 1);
    scene.world.advance(secs(3));
    until(&mut second, Call::Enter, 1);
    until(&mut third, Call::Enter, 1);
    end(first).unwrap();
    scene.world.advance(secs(4));
    until(&mut second, Call::Ping, 1);
    scene.world.advance(secs(4));
    end(second).unwrap();
    for _ in 0..1_000 {
        for asks in [Call::Open, Call::Ping, Call::Survey] {
            assert!(
                !third.waiting().contains(&asks),
                "{asks}: the second one did, after the third had asked"
            );
        }
        if let Some(listing) = third.step(0) {
            return assert_eq!(listing.unwrap().services[0].status(), Status::Unhealthy);
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

#[test]
fn what_others_asked_in_vain_puts_nothing_off() {
    let scene = Scene::new();
    stale(&scene, 2);
    let ids = [scene.listed(0).id, scene.listed(1).id];
    scene.world.break_down(Faults { scheduler_down: true, ..Faults::default() });
    for _ in 0..6 {
        let id = ids[0];
        let now =
            move |engine: towline_core::engine::Engine| async move { engine.urgent().refresh(id).await };
        end(begin_sharing(&scene.process(), now)).unwrap();
        scene.world.advance(Duration::from_millis(10));
    }
    let counts = [0, 1].map(|nth| scene.listed(nth).life.doubt.unwrap().count);
    assert_eq!(counts, [1, 1]);
}

#[test]
fn a_stop_does_not_wait_for_whoever_is_stuck() {
    let scene = Scene::new();
    stale(&scene, 1);
    let mut stuck = begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
    until(&mut stuck, Call::Survey, 1);
    let id = scene.listed(0).id;
    let mut stop = begin_sharing(&scene.process(), move |engine| async move {
        engine.stop(id, Duration::ZERO, towline_core::lifecycle::EndStatus::Stopped).await
    });
    let began = scene.world.cluster_now();
    until(&mut stop, Call::Cancel, 1);
    assert_eq!(scene.world.cluster_now(), began, "it is cancelled at once");
    end(stop).unwrap();
    drop(stuck);
}
