//! Races: what a verb comes to when another process acts between two of its calls.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod beside;
mod sharing;
mod support;

use std::time::Duration;

use support::{MINUTE, Scene, begin, end, run, until};
use towline_core::engine::EngineError;
use towline_core::lifecycle::{EndStatus, Status};
use towline_core::ports::{Clock as _, Ledger as _, Select, SubmitError};
use towline_core::service::Service;
use towline_core::testing::{Behaviour, Call, Faults, Mishap};

#[test]
fn a_wish_that_comes_too_late_is_refused() {
    for wish in ["stop", "close"] {
        let scene = Scene::new();
        let id = scene.healthy(1).id;
        let mut errand = begin(&scene.process(), |engine| async move {
            match wish {
                "stop" => engine.stop(id, Duration::ZERO, EndStatus::Failed).await,
                _ => engine.close_tunnel(id).await,
            }
        });
        until(&mut errand, Call::Save, 1);
        scene.world.cancel_by_hand(id);
        scene.world.advance(MINUTE);
        assert_eq!(run(scene.quick().refresh(id)).unwrap().status(), Status::Stopped);
        let result = end(errand);
        assert!(matches!(result, Err(EngineError::Refused(_))), "{wish}: {result:?}");
    }
}

#[test]
fn no_tunnel_is_opened_to_a_service_that_has_just_ended() {
    let scene = Scene::new();
    let id = scene.healthy(1).id;
    scene.world.cancel_by_hand(id);
    scene.world.advance(MINUTE);
    let opened = run(scene.quick().open_tunnel(id));
    assert!(matches!(opened, Err(EngineError::Refused(_))), "{opened:?}");
    assert_eq!(scene.world.open_tunnels(), 0);
}

#[test]
fn a_service_removed_during_its_start_is_told_so() {
    let scene = Scene::new();
    let service = scene.service(1);
    let id = service.id;
    let mut errand = begin(&scene.process(), |engine| async move { engine.start(service, None).await });
    until(&mut errand, Call::Save, 1);
    run(scene.ledger.remove(id, 0)).unwrap();
    let started = end(errand);
    assert!(matches!(started, Err(EngineError::Unknown { .. })), "{started:?}");
    assert_eq!(scene.world.live_jobs(id), 0);
}

#[test]
fn a_late_silence_does_not_undo_a_later_answer() {
    let scene = Scene::new();
    let id = scene.healthy(1).id;
    scene.world.advance(Duration::from_secs(10));
    scene.world.break_down(Faults { network_down: true, ..Faults::default() });
    let mut errand = begin(&scene.process(), |engine| async move { engine.refresh(id).await });
    until(&mut errand, Call::Save, 1);
    scene.world.break_down(Faults::default());
    scene.world.advance(Duration::from_secs(5));
    assert_eq!(run(scene.quick().refresh(id)).unwrap().status(), Status::Healthy);
    assert_eq!(end(errand).unwrap().status(), Status::Healthy);
    assert!(!scene.history(id).contains(&Status::Unhealthy));
}

#[test]
fn a_healthy_service_does_not_flicker_when_its_verification_is_due() {
    for millis in (58_000..62_000).step_by(100) {
        let scene = Scene::new();
        let process = scene.process();
        process.takes(Call::Ping, Duration::from_millis(700));
        let service = scene.service(1);
        let healthy =
            end(begin(
                &process,
                |engine| async move { engine.start(service, Some(&mut |_| {})).await.unwrap() },
            ));
        scene.world.advance(Duration::from_millis(millis));
        let refreshed =
            end(begin(&process, |engine| async move { engine.refresh(healthy.id).await.unwrap() }));
        assert_eq!(refreshed.status(), Status::Healthy, "after {millis} ms");
        assert_eq!(refreshed.life.since, healthy.life.since, "it was HEALTHY all the time");
        assert!(!scene.history(healthy.id).contains(&Status::Unhealthy), "after {millis} ms");
    }
}

#[test]
fn one_question_a_turn_serves_all_however_slow_the_scheduler() {
    let scene = Scene::new();
    let silent = scene.healthy(1).id;
    scene.world.cancel_by_hand(silent);
    scene.world.behave(Behaviour { queued_for: 60 * MINUTE, ..Behaviour::default() });
    run(scene.quick().start(scene.service(2), None)).unwrap();
    scene.world.behave(Behaviour { listens_after: None, ..Behaviour::default() });
    run(scene.quick().start(scene.service(3), None)).unwrap();
    scene.world.advance(Duration::from_secs(10));
    let process = scene.process();
    process.takes(Call::Survey, Duration::from_secs(5));
    process.takes(Call::Ping, Duration::from_secs(1));
    let before = scene.world.surveys();
    let listing = end(begin(&process, |engine| async move { engine.refresh_all().await.unwrap() }));
    let statuses: Vec<Status> = listing.services.iter().map(Service::status).collect();
    assert_eq!(statuses, [Status::Stopped, Status::Pending, Status::Starting]);
    assert_eq!(scene.world.surveys() - before, 1);
}

#[test]
fn a_late_word_that_nothing_was_sent_does_not_undo_a_later_submission() {
    let scene = Scene::new();
    let service = scene.service(1);
    let id = service.id;
    scene.world.break_down(Faults { network_down: true, ..Faults::default() });
    let mut errand = begin(&scene.process(), |engine| async move { engine.start(service, None).await });
    // The first save announces the submission, the second tells what became of it.
    until(&mut errand, Call::Save, 2);
    scene.world.break_down(Faults { jobs_unlisted: true, submit_reply_lost: true, ..Faults::default() });
    run(scene.quick().refresh(id)).unwrap();
    scene.world.advance(6 * MINUTE);
    run(scene.quick().refresh(id)).unwrap();
    assert_eq!(scene.world.live_jobs(id), 1, "sent again after the settling time");
    let found = run(scene.ledger.list(Select::Id(id))).unwrap().services.remove(0);
    assert!(found.life.phase.job().is_none(), "and unsettled again");
    assert_eq!(end(errand).unwrap().status(), Status::Submitted, "there may be a job");
    scene.world.break_down(Faults::default());
    scene.world.advance(MINUTE);
    let settled = run(scene.quick().wait(id, &[Status::Healthy], &mut |_| {})).unwrap();
    assert_eq!((settled.status(), scene.world.live_jobs(id)), (Status::Healthy, 1));
}

#[test]
fn a_word_that_nothing_was_sent_outlives_another_process_s_save() {
    let scene = Scene::new();
    let service = scene.service(1);
    let id = service.id;
    scene.world.break_down(Faults { network_down: true, ..Faults::default() });
    let mut errand = begin(&scene.process(), |engine| async move { engine.start(service, None).await });
    until(&mut errand, Call::Save, 2);
    scene.save_again(id);
    let started = end(errand);
    assert!(matches!(started, Err(EngineError::Submit(SubmitError::NotSent(_)))), "{started:?}");
    assert_eq!(scene.history(id), [Status::Submitted, Status::Failed]);
}

#[test]
fn a_tunnel_outlives_another_process_s_save() {
    let scene = Scene::new();
    let id = scene.healthy(1).id;
    run(scene.quick().close_tunnel(id)).unwrap();
    scene.world.advance(MINUTE);
    let mut errand = begin(&scene.process(), |engine| async move { engine.open_tunnel(id).await });
    until(&mut errand, Call::Open, 1);
    until(&mut errand, Call::Save, 1);
    let open = scene.world.tunnels();
    scene.save_again(id);
    let opened = end(errand).unwrap();
    assert_eq!(open, [(id, opened)], "nobody else has opened one");
    assert_eq!(open, scene.world.tunnels(), "and nobody has closed it");
}

#[test]
fn a_look_that_another_process_overtook_does_not_undo_what_that_one_saw() {
    let scene = Scene::new();
    scene.world.behave(Behaviour { queued_for: Duration::from_secs(3), ..Behaviour::default() });
    let id = run(scene.quick().start(scene.service(1), None)).unwrap().id;
    scene.world.advance(Duration::from_secs(2));
    let mut errand = begin(&scene.process(), |engine| async move { engine.refresh(id).await });
    until(&mut errand, Call::Survey, 1);
    assert!(errand.step(0).is_none(), "it has seen the job in the queue");
    scene.world.advance(Duration::from_secs(2));
    assert_eq!(run(scene.quick().refresh(id)).unwrap().status(), Status::Starting);
    let refreshed = end(errand).unwrap();
    assert_eq!(refreshed.status(), Status::Starting, "the job ran before the answer came that it waits");
    let healthy = run(scene.quick().wait(id, &[Status::Healthy], &mut |_| {})).unwrap();
    assert_eq!(healthy.status(), Status::Healthy);
}

#[test]
fn of_two_tunnels_the_one_that_came_later_is_closed() {
    let scene = Scene::new();
    scene.world.behave(Behaviour { listens_after: Some(MINUTE), ..Behaviour::default() });
    let id = run(scene.quick().start(scene.service(1), None)).unwrap().id;
    scene.world.advance(Duration::from_secs(5));
    run(scene.quick().get_job(id)).unwrap();
    let mut errand = begin(&scene.process(), |engine| async move { engine.open_tunnel(id).await });
    until(&mut errand, Call::Open, 1);
    scene.world.requeue(id);
    scene.world.advance(Duration::from_secs(5));
    let kept = run(scene.quick().open_tunnel(id)).unwrap();
    let opened = end(errand).unwrap();
    assert_eq!((opened.port, &opened.place.host), (kept.port, &kept.place.host));
    let open: Vec<_> = scene.world.tunnels().into_iter().map(|(_, tunnel)| tunnel.port).collect();
    assert_eq!(open, [kept.port], "nobody would ever close the other one");
}

#[test]
fn a_ping_that_was_under_way_while_the_machine_slept_spends_no_grace() {
    let scene = Scene::new();
    let id = run(scene.quick().start(scene.service(1), None)).unwrap().id;
    scene.world.advance(Duration::from_secs(6));
    scene.world.hush(id, true);
    let mut errand = begin(&scene.process(), |engine| async move { engine.refresh(id).await });
    until(&mut errand, Call::Ping, 1);
    assert!(errand.step(0).is_none(), "the ping was in vain");
    scene.world.advance(60 * MINUTE);
    scene.world.hush(id, false);
    assert_eq!(end(errand).unwrap().status(), Status::Starting);
    let woken = run(scene.quick().refresh(id)).unwrap();
    assert_eq!(woken.status(), Status::Healthy, "it answers now; {}", woken.life.why());
}

#[test]
fn a_look_that_was_under_way_while_the_machine_slept_makes_nobody_healthy() {
    let scene = Scene::new();
    let id = scene.healthy(1).id;
    scene.world.advance(2 * MINUTE);
    let mut errand = begin(&scene.process(), |engine| async move { engine.refresh(id).await });
    until(&mut errand, Call::Survey, 1);
    assert!(errand.step(0).is_none(), "it has seen the job run");
    scene.world.advance(60 * MINUTE);
    scene.world.cancel_by_hand(id);
    scene.world.advance(MINUTE);
    scene.world.take_port(id);
    let woken = end(errand).unwrap();
    assert_eq!(woken.status(), Status::Unhealthy, "a stranger answers; {}", woken.life.why());
    assert_eq!(run(scene.quick().wait(id, &[], &mut |_| {})).unwrap().status(), Status::Stopped);
}

#[test]
fn a_ping_that_was_sent_after_the_machine_slept_makes_no_stranger_healthy() {
    let scene = Scene::new();
    let id = run(scene.quick().start(scene.service(1), None)).unwrap().id;
    scene.world.advance(Duration::from_secs(6));
    let mut errand = begin(&scene.process(), |engine| async move { engine.refresh(id).await });
    until(&mut errand, Call::Ping, 1);
    scene.world.cancel_by_hand(id);
    scene.world.advance(60 * MINUTE);
    scene.world.take_port(id);
    let woken = end(errand).unwrap();
    assert_eq!(woken.status(), Status::Starting, "a stranger answers; {}", woken.life.why());
    assert_eq!(run(scene.quick().refresh(id)).unwrap().status(), Status::Stopped);
}

#[test]
fn a_look_during_which_the_clock_was_put_back_does_not_undo_a_later_one() {
    for back in [1, 2, 300] {
        let scene = Scene::new();
        scene.world.behave(Behaviour { queued_for: Duration::from_secs(3), ..Behaviour::default() });
        let id = run(scene.quick().start(scene.service(1), None)).unwrap().id;
        scene.world.advance(Duration::from_secs(2));
        let mut errand = begin(&scene.process(), |engine| async move { engine.refresh(id).await });
        until(&mut errand, Call::Survey, 1);
        assert!(errand.step(0).is_none(), "it has seen the job in the queue");
        scene.world.advance(Duration::from_secs(2));
        assert_eq!(run(scene.quick().refresh(id)).unwrap().status(), Status::Starting);
        scene.world.put_clock_back(Duration::from_secs(back));
        drop(end(errand).unwrap());
        scene.world.advance(MINUTE);
        let later = run(scene.quick().refresh(id)).unwrap();
        assert_eq!(later.status(), Status::Healthy, "put back by {back} s: {}", later.life.why());
    }
}

#[test]
fn a_wish_and_a_look_that_others_overtake_again_and_again_are_granted() {
    for wish in ["stop", "look"] {
        let scene = Scene::new();
        let id = scene.healthy(1).id;
        scene.world.advance(2 * MINUTE);
        let process = scene.process();
        (0..100).for_each(|_| process.befall(Call::Save, Mishap::Overtaken));
        let errand = begin(&process, |engine| async move {
            match wish {
                "stop" => engine.stop(id, Duration::ZERO, EndStatus::Stopped).await.map(drop),
                _ => engine.refresh_all().await.map(drop),
            }
        });
        let granted = end(errand);
        assert!(granted.is_ok(), "{wish}: {granted:?}");
        let found = run(scene.ledger.list(Select::Id(id))).unwrap().services.pop().unwrap();
        assert!(found.generation > 100, "{wish}: {}", found.generation);
        let status = if wish == "stop" { Status::Stopped } else { Status::Healthy };
        assert_eq!(found.status(), status, "{wish}");
    }
}

#[test]
fn what_a_look_opens_for_a_service_that_is_removed_meanwhile_is_closed() {
    let scene = Scene::new();
    let service = scene.healthy(1);
    scene.world.drop_tunnels();
    scene.world.advance(2 * MINUTE);
    let mut look = begin(&scene.process(), |engine| async move { engine.refresh_all().await });
    until(&mut look, Call::Open, 1);
    let quick = scene.quick();
    run(quick.stop(service.id, Duration::ZERO, EndStatus::Stopped)).unwrap();
    scene.world.advance(MINUTE);
    let ended = run(quick.refresh(service.id)).unwrap();
    assert_eq!(ended.status(), Status::Stopped);
    run(scene.ledger.remove(ended.id, ended.generation)).unwrap();
    assert_eq!(end(look).unwrap().services, []);
    assert_eq!(scene.world.open_tunnels(), 0);
}

#[test]
fn a_server_that_is_waited_for_in_vain_is_asked_once_a_turn() {
    let scene = Scene::new();
    let id = scene.healthy(1).id;
    scene.world.cancel_by_hand(id);
    scene.world.advance(Duration::from_secs(10));
    let (process, before) = (scene.process(), scene.world.now());
    process.takes(Call::Ping, Duration::from_secs(8));
    let looked = end(begin(&process, |engine| async move { engine.refresh(id).await })).unwrap();
    assert_eq!(looked.status(), Status::Stopped, "the scheduler was asked");
    assert_eq!(scene.world.now().since(before).as_secs(), 8, "one ping");
}
