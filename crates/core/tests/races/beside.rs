//! Pings of healthy services that are made while the scheduler is asked.

use std::time::Duration;

use towline_core::lifecycle::{Echo, Status};
use towline_core::ports::Clock as _;
use towline_core::testing::{Behaviour, Call, Errand, Faults};

use crate::support::{MINUTE, Scene, begin, begin_sharing, end, run};

const SECOND: Duration = Duration::from_secs(1);

/// Lets everything go on but calls of that kind, until only such are left, and tells what went on.
fn hold<T>(errand: &mut Errand<T>, call: Call) -> Vec<Call> {
    let mut went_on = Vec::new();
    for _ in 0..1_000 {
        let waiting = errand.waiting();
        let other = waiting.iter().position(|other| *other != call);
        if other.is_none() && !waiting.is_empty() {
            return went_on;
        }
        went_on.extend(other.map(|other| waiting[other]));
        assert!(errand.step(other.unwrap_or(0)).is_none(), "it ended without {call}");
    }
    panic!("it goes on for ever");
}

#[test]
fn servers_are_pinged_while_the_scheduler_is_asked_for_them() {
    let scene = Scene::new();
    let ids = [1, 2].map(|n| scene.healthy(n).id);
    scene.world.advance(10 * SECOND);
    run(scene.quick().refresh_all()).unwrap();
    scene.world.advance(2 * MINUTE);
    let surveys = scene.world.surveys();
    let mut look = begin(&scene.process(), |engine| async move { engine.refresh_all().await });
    assert!(hold(&mut look, Call::Survey).contains(&Call::Ping), "they answer before the scheduler does");
    assert!(ids.iter().all(|id| scene.history(*id).last() == Some(&Status::Healthy)));
    let services = end(look).unwrap().services;
    assert!(services.iter().all(|service| service.status() == Status::Healthy));
    assert_eq!(scene.world.surveys() - surveys, 1);
}

#[test]
fn an_answer_counts_only_once_the_scheduler_has_said_that_the_job_runs() {
    let scene = Scene::new();
    let before = scene.healthy(1);
    scene.world.advance(2 * MINUTE);
    scene.world.break_down(Faults { scheduler_down: true, ..Faults::default() });
    let after = run(scene.quick().refresh(before.id)).unwrap();
    assert_eq!(after.status(), Status::Unhealthy);
    assert_eq!(after.life.observed_at, before.life.observed_at, "nothing is known since");
    assert!(after.life.ping.is_some_and(|ping| ping.echo == Echo::Answered && !ping.counted));
    assert!(after.life.doubt.is_some());
}

#[test]
fn a_server_whose_job_has_ended_meanwhile_was_never_unhealthy() {
    let scene = Scene::new();
    let id = scene.healthy(1).id;
    scene.world.advance(2 * MINUTE);
    scene.world.cancel_by_hand(id);
    assert_eq!(run(scene.quick().refresh(id)).unwrap().status(), Status::Stopped);
    assert!(!scene.history(id).contains(&Status::Unhealthy));
}

#[test]
fn one_question_is_enough_though_pings_beside_it_are_in_vain() {
    let scene = Scene::new();
    scene.healthy(1);
    scene.world.advance(2 * MINUTE);
    scene.world.break_down(Faults { tunnels_stuck: true, ..Faults::default() });
    let before = scene.world.surveys();
    let services = run(scene.quick().refresh_all()).unwrap().services;
    assert_eq!(services[0].status(), Status::Unhealthy);
    assert_eq!(scene.world.surveys() - before, 1);
}

#[test]
fn who_waits_for_a_server_does_not_keep_the_schedulers_word_from_others() {
    let scene = Scene::new();
    scene.healthy(1);
    scene.world.advance(2 * MINUTE);
    let look = || begin_sharing(&scene.process(), |engine| async move { engine.refresh_all().await });
    let mut first = look();
    let surveys = scene.world.surveys();
    hold(&mut first, Call::Ping);
    assert_eq!(scene.listed(0).life.looked_at, Some(scene.world.now()), "it is recorded already");
    scene.world.advance(SECOND);
    let id = scene.listed(0).id;
    let other = end(begin_sharing(&scene.process(), move |engine| async move { engine.refresh(id).await }));
    assert_eq!(other.unwrap().status(), Status::Healthy);
    assert_eq!(end(first).unwrap().services[0].status(), Status::Healthy);
    assert_eq!(scene.world.surveys() - surveys, 1);
}

#[test]
fn healthy_servers_wait_for_the_schedulers_word_if_another_is_pinged_before_it() {
    let scene = Scene::new();
    scene.healthy(1);
    scene.world.advance(10 * SECOND);
    run(scene.quick().refresh_all()).unwrap();
    scene.world.behave(Behaviour { listens_after: None, ..Behaviour::default() });
    run(scene.quick().start(scene.service(2), None)).unwrap();
    scene.world.advance(10 * SECOND);
    run(scene.quick().refresh(scene.listed(1).id)).unwrap();
    scene.world.advance(45 * SECOND);
    let before = scene.world.surveys();
    let mut look = begin(&scene.process(), |engine| async move { engine.refresh_all().await });
    let mut steps = 0;
    let services = loop {
        steps += usize::from(look.waiting().first() == Some(&Call::Ping));
        if let Some(listing) = look.step(0) {
            break listing.unwrap().services;
        }
    };
    assert_eq!(services[0].status(), Status::Healthy);
    assert_eq!((steps / 2, scene.world.surveys() - before), (2, 1), "one ping each");
}
