//! Races: what the engine's verbs come to when they are dropped half-way, or when others work on the same service.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{MINUTE, Slow, drop_after, pause, run};
use towline_core::engine::EngineError;
use towline_core::lifecycle::{EndStatus, Status};
use towline_core::ports::{Ledger as _, Select};
use towline_core::service::Service;
use towline_core::testing::{Behaviour, Faults};

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

#[test]
fn a_late_word_that_nothing_was_sent_does_not_undo_a_later_submission() {
    let slow = Slow::new();
    let service = slow.service(1);
    let id = service.id;
    slow.world.break_down(Faults { network_down: true, ..Faults::default() });
    let (other, world, ledger) = (slow.quick(), Arc::clone(&slow.world), Arc::clone(&slow.ledger));
    let while_it_hangs = move || {
        world.break_down(Faults { jobs_unlisted: true, submit_reply_lost: true, ..Faults::default() });
        run(other.refresh(id)).unwrap();
        world.advance(6 * MINUTE);
        run(other.refresh(id)).unwrap();
        assert_eq!(world.live_jobs(id), 1, "sent again after the settling time");
        let found = run(ledger.list(Select::Id(id))).unwrap().services.remove(0);
        assert!(found.life.phase.job().is_none(), "and unsettled again");
    };
    // The first change announces the submission, the second tells what became of it.
    let second = Arc::clone(&slow);
    slow.before_save(move || second.before_save(while_it_hangs));
    let started = run(slow.engine().start(service, None)).unwrap();
    assert_eq!(started.status(), Status::Submitted, "there may be a job");
    slow.world.break_down(Faults::default());
    slow.world.advance(MINUTE);
    let settled = run(slow.quick().wait(id, &[Status::Healthy], &mut |_| {})).unwrap();
    assert_eq!((settled.status(), slow.world.live_jobs(id)), (Status::Healthy, 1));
}

#[test]
fn a_ping_that_was_under_way_while_the_machine_slept_spends_no_grace() {
    let slow = Slow::new();
    let id = run(slow.engine().start(slow.service(1), None)).unwrap().id;
    slow.world.advance(Duration::from_secs(6));
    slow.world.hush(id, true);
    let world = Arc::clone(&slow.world);
    slow.during_ping(move || {
        world.advance(60 * MINUTE);
        world.hush(id, false);
    });
    assert_eq!(run(slow.engine().refresh(id)).unwrap().status(), Status::Starting);
    let woken = run(slow.engine().refresh(id)).unwrap();
    assert_eq!(woken.status(), Status::Healthy, "it answers now; {}", woken.life.why());
}

#[test]
fn a_look_that_was_under_way_while_the_machine_slept_makes_nobody_healthy() {
    let slow = Slow::new();
    let id = slow.healthy(1).id;
    slow.world.advance(2 * MINUTE);
    let world = Arc::clone(&slow.world);
    slow.during_survey(move || {
        world.advance(60 * MINUTE);
        world.cancel_by_hand(id);
        world.advance(MINUTE);
        world.take_port(id);
    });
    let woken = run(slow.engine().refresh(id)).unwrap();
    assert_eq!(woken.status(), Status::Unhealthy, "a stranger answers; {}", woken.life.why());
    assert_eq!(run(slow.engine().wait(id, &[], &mut |_| {})).unwrap().status(), Status::Stopped);
}

#[test]
fn a_ping_that_was_sent_after_the_machine_slept_makes_no_stranger_healthy() {
    let slow = Slow::new();
    let id = run(slow.engine().start(slow.service(1), None)).unwrap().id;
    slow.world.advance(Duration::from_secs(6));
    let world = Arc::clone(&slow.world);
    slow.before_ping(move || {
        world.cancel_by_hand(id);
        world.advance(60 * MINUTE);
        world.take_port(id);
    });
    let woken = run(slow.engine().refresh(id)).unwrap();
    assert_eq!(woken.status(), Status::Starting, "a stranger answers; {}", woken.life.why());
    assert_eq!(run(slow.engine().refresh(id)).unwrap().status(), Status::Stopped);
}

#[test]
fn a_look_that_another_process_overtook_does_not_undo_what_that_one_saw() {
    let slow = Slow::new();
    let id = run(slow.engine().start(slow.service(1), None)).unwrap().id;
    slow.world.advance(Duration::from_secs(1));
    let (other, world) = (slow.quick(), Arc::clone(&slow.world));
    slow.during_survey(move || {
        world.advance(Duration::from_secs(2));
        assert_eq!(run(other.refresh(id)).unwrap().status(), Status::Starting);
    });
    let refreshed = run(slow.engine().refresh(id)).unwrap();
    assert_eq!(refreshed.status(), Status::Starting, "the job ran before the answer came that it waits");
    let healthy = run(slow.quick().wait(id, &[Status::Healthy], &mut |_| {})).unwrap();
    assert_eq!(healthy.status(), Status::Healthy);
}
