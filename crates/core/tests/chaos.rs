//! Whatever breaks and whoever meddles, in whatever order: one job for each service, and in the end nothing is left.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use proptest::prelude::*;
use towline_core::id::ServiceId;
use towline_core::lifecycle::{EndStatus, Status, Terms};
use towline_core::ports::{Clock as _, Ledger as _, Select};
use towline_core::service::Service;
use towline_core::testing::{Behaviour, Faults, MemoryLedger, World, sample_service};

const SERVICES: u32 = 3;

#[derive(Clone, Debug)]
enum Event {
    Start(u32),
    Refresh,
    Stop(u32, Duration),
    CloseTunnel(u32),
    OpenTunnel(u32),
    CancelByHand(u32),
    Requeue(u32),
    Break(Faults),
    Behave(Behaviour),
    Pass(Duration),
}

fn event() -> impl Strategy<Value = Event> {
    let service = || 0..SERVICES;
    let secs = |limit: u64| (0..limit).prop_map(Duration::from_secs);
    let faults = any::<[bool; 3]>().prop_map(|[network_down, scheduler_down, submit_reply_lost]| Faults {
        network_down,
        scheduler_down,
        submit_reply_lost,
        ..Faults::default()
    });
    let behaviour = (secs(60), prop::option::of(secs(900)), prop::option::of(secs(900)), any::<bool>());
    let behaviour = behaviour.prop_map(|(queued_for, listens_after, runs_for, refused)| Behaviour {
        queued_for,
        listens_after,
        runs_for,
        refused: refused.then(|| "invalid partition".to_owned()),
        ..Behaviour::default()
    });
    prop_oneof![
        4 => service().prop_map(Event::Start),
        8 => Just(Event::Refresh),
        2 => (service(), secs(120)).prop_map(|(service, delay)| Event::Stop(service, delay)),
        1 => service().prop_map(Event::CloseTunnel),
        1 => service().prop_map(Event::OpenTunnel),
        1 => service().prop_map(Event::CancelByHand),
        2 => service().prop_map(Event::Requeue),
        2 => faults.prop_map(Event::Break),
        1 => behaviour.prop_map(Event::Behave),
        6 => secs(90).prop_map(Event::Pass),
    ]
}

/// Runs something that never waits.
fn run<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_job_each_and_nothing_left(events in prop::collection::vec(event(), 1..60)) {
        let (world, ledger) = (World::new(), Arc::new(MemoryLedger::new()));
        let engine = world.engine("lab", Arc::clone(&ledger) as _);
        let ids: Vec<ServiceId> = (0..SERVICES).map(|n| sample_service(n, "x").id).collect();
        let id = |n: u32| ids[n as usize];
        for event in events {
            // What a broken world refuses is refused; what counts is what is left behind.
            match event {
                Event::Start(n) => {
                    let sample = sample_service(n, &format!("web-{n}"));
                    let terms = Terms::with_grace(Duration::from_secs(30));
                    drop(run(engine.start(Service::new(sample.id, sample.spec, terms, world.now()), None)));
                }
                Event::Refresh => drop(run(engine.refresh_all()).unwrap()),
                Event::Stop(n, delay) => drop(run(engine.stop(id(n), delay, EndStatus::Stopped))),
                Event::CloseTunnel(n) => drop(run(engine.close_tunnel(id(n)))),
                Event::OpenTunnel(n) => drop(run(engine.open_tunnel(id(n)))),
                Event::CancelByHand(n) => world.cancel_by_hand(id(n)),
                Event::Requeue(n) => world.requeue(id(n)),
                Event::Break(faults) => world.break_down(faults),
                Event::Behave(behaviour) => world.behave(behaviour),
                Event::Pass(duration) => world.advance(duration),
            }
            for id in &ids {
                prop_assert!(world.live_jobs(*id) <= 1);
            }
        }
        world.break_down(Faults::default());
        world.advance(Duration::from_secs(60));
        for service in run(ledger.list(Select::Unfinished)).unwrap().services {
            // It may have ended meanwhile.
            drop(run(engine.stop(service.id, Duration::ZERO, EndStatus::Stopped)));
            let ended = run(engine.wait(service.id, &[], &mut |_| {})).unwrap();
            prop_assert!(ended.status().is_terminal());
        }
        world.advance(Duration::from_secs(60));
        run(engine.refresh_all()).unwrap();
        prop_assert!(run(ledger.list(Select::Unfinished)).unwrap().services.is_empty());
        prop_assert_eq!(world.open_tunnels(), 0);
        for id in &ids {
            prop_assert_eq!(world.live_jobs(*id), 0);
            let history = run(ledger.history(*id)).unwrap();
            prop_assert!(history.windows(2).all(|pair| pair[1].from == Some(pair[0].to) && pair[0].at <= pair[1].at));
            let ends = history.iter().filter(|event| event.to.is_terminal()).count();
            prop_assert!(ends <= 1);
            let unfounded = history.iter().any(|event| {
                event.to == Status::Unhealthy && event.from != Some(Status::Healthy)
            });
            prop_assert!(!unfounded);
        }
    }
}
