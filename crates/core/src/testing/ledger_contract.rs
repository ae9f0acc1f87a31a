//! What every ledger must keep, as a test that any implementation can run.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::samples::{sample_event, sample_lives, sample_service};
use crate::id::ServiceId;
use crate::lifecycle::{Cause, EndStatus, Ending, Life, Phase, Status};
use crate::ports::{Change, Ledger, LedgerError, SaveOutcome, Select};
use crate::service::{Event, Service};
use crate::time::Timestamp;

/// Runs the contract of [`Ledger`] on ledgers that `make` makes: each an empty one, many in a row. Needs no runtime of
/// its own; whatever the ledger needs (a reactor, say) is the caller's.
///
/// # Panics
/// At the first promise that is not kept.
pub async fn ledger_contract<L: Ledger>(make: impl AsyncFn() -> L) {
    a_recorded_service_is_kept_whole(&make().await).await;
    every_life_is_kept_whole(&make().await).await;
    services_come_oldest_first(&make().await).await;
    a_name_is_taken_until_its_holder_has_ended(&make().await).await;
    a_known_id_is_refused(&make().await).await;
    a_refused_insert_leaves_nothing(&make().await).await;
    a_save_counts_generations_and_writes_history(&make().await).await;
    a_stale_save_conflicts_and_harms_no_other(&make().await).await;
    changes_of_one_service_count_in_their_order(&make().await).await;
    what_was_asked_for_is_never_rewritten(&make().await).await;
    unfinished_are_those_that_owe(&make().await).await;
    changed_are_those_that_others_changed(&make().await).await;
    removing_forgets_all(&make().await).await;
    of_racing_writers_one_wins(&make().await).await;
    of_racing_names_one_wins(&make().await).await;
    thousands_are_saved_at_once(&make().await).await;
}

fn first_event(service: &Service) -> Event {
    Event { at: service.created_at, from: None, to: service.status(), why: "asked for".to_owned() }
}

async fn insert(ledger: &impl Ledger, service: &Service) {
    ledger.insert(service, &first_event(service)).await.expect("a new service is recorded");
}

async fn listed(ledger: &impl Ledger, select: Select) -> Vec<Service> {
    let listing = ledger.list(select).await.expect("services are listed");
    assert_eq!(listing.damaged, [], "no row is damaged");
    listing.services
}

async fn ids(ledger: &impl Ledger, select: Select) -> Vec<ServiceId> {
    listed(ledger, select).await.iter().map(|service| service.id).collect()
}

async fn history(ledger: &impl Ledger, id: ServiceId) -> Vec<Event> {
    ledger.history(id).await.expect("a history is read")
}

async fn save_one(ledger: &impl Ledger, service: &Service, event: Option<Event>) -> SaveOutcome {
    let change = Change { service: service.clone(), event };
    let outcomes = ledger.save(&[change]).await.expect("a change is saved");
    assert_eq!(outcomes.len(), 1, "one outcome a change");
    outcomes[0]
}

fn ended(owes_cancel: bool) -> Phase {
    let at = Timestamp::from_secs(99);
    Phase::Ended(Ending { status: EndStatus::Stopped, cause: Cause::Requested, at, job: None, owes_cancel })
}

fn with_life(n: u32, life: Life) -> Service {
    Service { life, ..sample_service(n, &format!("life-{n}")) }
}

async fn a_recorded_service_is_kept_whole(ledger: &impl Ledger) {
    let web = sample_service(1, "web");
    insert(ledger, &web).await;
    insert(ledger, &sample_service(2, "other")).await;
    assert_eq!(listed(ledger, Select::Id(web.id)).await, std::slice::from_ref(&web));
    assert_eq!(history(ledger, web.id).await, [first_event(&web)]);
    let unknown = sample_service(3, "unknown").id;
    assert_eq!(listed(ledger, Select::Id(unknown)).await, []);
    assert_eq!(history(ledger, unknown).await, []);
}

async fn every_life_is_kept_whole(ledger: &impl Ledger) {
    let services: Vec<Service> = (1..).zip(sample_lives()).map(|(n, life)| with_life(n, life)).collect();
    for service in &services {
        insert(ledger, service).await;
    }
    assert_eq!(listed(ledger, Select::All).await, services, "as inserted");
    // Every row takes over the life of its neighbour, so that each life also passes through a save.
    let changes: Vec<Change> = services
        .iter()
        .zip(services.iter().cycle().skip(1))
        .map(|(service, next)| Change {
            service: Service { life: next.life.clone(), ..service.clone() },
            event: None,
        })
        .collect();
    let outcomes = ledger.save(&changes).await.expect("changes are saved");
    assert!(outcomes.iter().all(|outcome| *outcome == SaveOutcome::Saved(1)), "{outcomes:?}");
    let expected: Vec<Service> =
        changes.into_iter().map(|change| Service { generation: 1, ..change.service }).collect();
    assert_eq!(listed(ledger, Select::All).await, expected, "as saved");
}

async fn services_come_oldest_first(ledger: &impl Ledger) {
    let before_epoch =
        Service { created_at: Timestamp::from_micros(-1_500_000), ..sample_service(9, "before-epoch") };
    let same_time = Service { created_at: Timestamp::from_secs(2), ..sample_service(7, "same-time") };
    let (old, young) = (sample_service(2, "old"), sample_service(10, "young"));
    for service in [&young, &same_time, &old, &before_epoch] {
        insert(ledger, service).await;
    }
    let expected = [before_epoch.id, old.id, same_time.id, young.id];
    assert_eq!(ids(ledger, Select::All).await, expected);
    assert_eq!(ids(ledger, Select::Unfinished).await, expected);
}

async fn a_name_is_taken_until_its_holder_has_ended(ledger: &impl Ledger) {
    let mut first = sample_service(1, "web");
    let mut second = sample_service(2, "web");
    insert(ledger, &first).await;
    match ledger.insert(&second, &first_event(&second)).await {
        Err(LedgerError::NameTaken { name, id }) => assert_eq!((name.as_str(), id), ("web", first.id)),
        other => panic!("a taken name is refused, not {other:?}"),
    }
    first.life.phase = ended(true);
    assert_eq!(save_one(ledger, &first, None).await, SaveOutcome::Saved(1));
    insert(ledger, &second).await;
    second.life.phase = ended(false);
    assert_eq!(save_one(ledger, &second, None).await, SaveOutcome::Saved(1));
    assert_eq!(ids(ledger, Select::All).await, [first.id, second.id], "ended ones may share a name");
}

async fn a_known_id_is_refused(ledger: &impl Ledger) {
    let web = sample_service(1, "web");
    insert(ledger, &web).await;
    for name in ["web", "other"] {
        let again = sample_service(1, name);
        match ledger.insert(&again, &first_event(&again)).await {
            Err(LedgerError::Exists { id }) => assert_eq!(id, web.id),
            other => panic!("a known id is refused, not {other:?}"),
        }
    }
}

async fn a_refused_insert_leaves_nothing(ledger: &impl Ledger) {
    let (first, second) = (sample_service(1, "web"), sample_service(2, "web"));
    insert(ledger, &first).await;
    for refused in [&second, &first] {
        let outcome = ledger.insert(refused, &sample_event(50, None, Status::Submitted)).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
    assert_eq!(listed(ledger, Select::All).await, std::slice::from_ref(&first));
    assert_eq!(history(ledger, second.id).await, []);
    assert_eq!(history(ledger, first.id).await, [first_event(&first)]);
}

async fn a_save_counts_generations_and_writes_history(ledger: &impl Ledger) {
    let mut web = sample_service(1, "web");
    insert(ledger, &web).await;
    // The second event is the older one by its clock: history is told in the order in which it was written.
    let events =
        [sample_event(20, Some(Status::Submitted), Status::Pending), sample_event(10, None, Status::Failed)];
    for (event, generation) in events.iter().zip(1..) {
        assert_eq!(save_one(ledger, &web, Some(event.clone())).await, SaveOutcome::Saved(generation));
        web.generation = generation;
    }
    assert_eq!(save_one(ledger, &web, None).await, SaveOutcome::Saved(3));
    web.generation = 3;
    assert_eq!(listed(ledger, Select::Id(web.id)).await, std::slice::from_ref(&web));
    let [second, third] = events;
    assert_eq!(history(ledger, web.id).await, [first_event(&web), second, third]);
    assert_eq!(ledger.save(&[]).await.expect("nothing is saved"), []);
}

async fn a_stale_save_conflicts_and_harms_no_other(ledger: &impl Ledger) {
    let services: Vec<Service> = (1..=3).map(|n| sample_service(n, &format!("s{n}"))).collect();
    for service in &services[..2] {
        insert(ledger, service).await;
    }
    assert_eq!(save_one(ledger, &services[0], None).await, SaveOutcome::Saved(1));
    let event = sample_event(30, Some(Status::Submitted), Status::Pending);
    let change = |service: &Service| {
        let life = Life { phase: ended(false), ..service.life.clone() };
        Change { service: Service { life, ..service.clone() }, event: Some(event.clone()) }
    };
    let outcomes = ledger.save(&services.iter().map(change).collect::<Vec<_>>()).await;
    let expected = [SaveOutcome::Conflict, SaveOutcome::Saved(1), SaveOutcome::Conflict];
    assert_eq!(outcomes.expect("changes are saved"), expected, "stale, current, unknown");
    assert_eq!(
        listed(ledger, Select::All).await,
        [
            Service { generation: 1, ..services[0].clone() },
            Service { generation: 1, ..change(&services[1]).service },
        ]
    );
    assert_eq!(history(ledger, services[0].id).await, [first_event(&services[0])]);
    assert_eq!(history(ledger, services[1].id).await, [first_event(&services[1]), event.clone()]);
    assert_eq!(history(ledger, services[2].id).await, []);
}

async fn changes_of_one_service_count_in_their_order(ledger: &impl Ledger) {
    let web = sample_service(1, "web");
    insert(ledger, &web).await;
    let change = |generation| Change {
        service: Service { generation, ..web.clone() },
        event: Some(first_event(&web)),
    };
    let outcomes = ledger.save(&[change(0), change(0), change(1), change(7)]).await;
    let expected =
        [SaveOutcome::Saved(1), SaveOutcome::Conflict, SaveOutcome::Saved(2), SaveOutcome::Conflict];
    assert_eq!(outcomes.expect("changes are saved"), expected);
    assert_eq!(history(ledger, web.id).await.len(), 3);
}

async fn what_was_asked_for_is_never_rewritten(ledger: &impl Ledger) {
    let web = sample_service(1, "web");
    insert(ledger, &web).await;
    let other = sample_service(2, "other");
    let rewritten = Service { id: web.id, ..other };
    assert_eq!(save_one(ledger, &rewritten, None).await, SaveOutcome::Saved(1));
    let expected = Service { life: rewritten.life, generation: 1, ..web };
    assert_eq!(listed(ledger, Select::All).await, [expected]);
}

async fn unfinished_are_those_that_owe(ledger: &impl Ledger) {
    let tunnel = sample_lives().into_iter().find_map(|life| life.tunnel);
    assert!(tunnel.is_some(), "a sample has a tunnel");
    let start = sample_service(1, "x").life;
    let lives = [
        start.clone(),
        Life { phase: ended(false), ..start.clone() },
        Life { phase: ended(true), ..start.clone() },
        Life { phase: ended(false), tunnel, ..start },
    ];
    let mut services: Vec<Service> = (1..).zip(lives).map(|(n, life)| with_life(n, life)).collect();
    for service in &services {
        insert(ledger, service).await;
    }
    let unfinished = [services[0].id, services[2].id, services[3].id];
    assert_eq!(ids(ledger, Select::Unfinished).await, unfinished, "as inserted");
    services[3].life.tunnel = None;
    services[1].life.phase = ended(true);
    for service in [&services[1], &services[3]] {
        assert_eq!(save_one(ledger, service, None).await, SaveOutcome::Saved(1));
    }
    let unfinished = [services[0].id, services[1].id, services[2].id];
    assert_eq!(ids(ledger, Select::Unfinished).await, unfinished, "as saved");
    assert_eq!(ids(ledger, Select::All).await.len(), 4);
}

async fn changed_are_those_that_others_changed(ledger: &impl Ledger) {
    let services = [1, 2, 3, 4, 5].map(|n| sample_service(n, &format!("s{n}")));
    let [same, saved, over, removed, new] = &services;
    for service in [same, saved, over, removed] {
        insert(ledger, service).await;
    }
    let all = listed(ledger, Select::Unfinished).await;
    let known: BTreeMap<ServiceId, u64> =
        all.iter().map(|service| (service.id, service.generation)).collect();
    let changed = async || ids(ledger, Select::Changed(known.clone())).await;
    assert_eq!(changed().await, [], "nobody has changed anything");
    save_one(ledger, saved, None).await;
    let end = Service { life: Life { phase: ended(false), ..over.life.clone() }, ..over.clone() };
    save_one(ledger, &end, None).await;
    ledger.remove(removed.id, removed.generation).await.expect("a service is removed");
    insert(ledger, new).await;
    assert_eq!(changed().await, [saved.id, over.id, new.id]);
    let all = listed(ledger, Select::All).await;
    let known = all.iter().map(|service| (service.id, service.generation)).collect();
    assert_eq!(ids(ledger, Select::Changed(known)).await, [], "nor has anybody since, ended ones among them");
}

async fn removing_forgets_all(ledger: &impl Ledger) {
    let (web, other) = (sample_service(1, "web"), sample_service(2, "other"));
    insert(ledger, &web).await;
    insert(ledger, &other).await;
    assert_eq!(save_one(ledger, &web, Some(first_event(&web))).await, SaveOutcome::Saved(1));
    let unknown = sample_service(3, "unknown").id;
    for (id, generation) in [(web.id, 0), (web.id, 2), (unknown, 0)] {
        match ledger.remove(id, generation).await {
            Err(LedgerError::Conflict { id: found }) => assert_eq!(found, id),
            kept => panic!("a stale removal conflicts, not {kept:?}"),
        }
    }
    ledger.remove(web.id, 1).await.expect("a service is removed");
    assert_eq!(history(ledger, web.id).await, []);
    assert_eq!(ids(ledger, Select::All).await, [other.id]);
    assert_eq!(history(ledger, other.id).await, [first_event(&other)]);
    let gone = Service { generation: 1, ..web.clone() };
    assert_eq!(save_one(ledger, &gone, Some(first_event(&web))).await, SaveOutcome::Conflict);
    assert_eq!(history(ledger, web.id).await, []);
    insert(ledger, &web).await;
    assert_eq!(history(ledger, web.id).await, [first_event(&web)]);
}

async fn of_racing_writers_one_wins(ledger: &impl Ledger) {
    let mut web = sample_service(1, "web");
    insert(ledger, &web).await;
    for round in 1..=5 {
        let event = sample_event(round, None, Status::Pending);
        let racers = (0..8).map(|_| save_one(ledger, &web, Some(event.clone())));
        let outcomes = join_all(racers).await;
        let winners = outcomes.iter().filter(|outcome| **outcome != SaveOutcome::Conflict).count();
        assert_eq!(winners, 1, "round {round}: {outcomes:?}");
        web.generation += 1;
    }
    assert_eq!(history(ledger, web.id).await.len(), 6);
    assert_eq!(listed(ledger, Select::All).await, [web]);
}

async fn of_racing_names_one_wins(ledger: &impl Ledger) {
    let services: Vec<Service> = (1..=8).map(|n| sample_service(n, "web")).collect();
    let events: Vec<Event> = services.iter().map(first_event).collect();
    let outcomes = join_all(services.iter().zip(&events).map(|(s, e)| ledger.insert(s, e))).await;
    let kept = ids(ledger, Select::All).await;
    assert_eq!(kept.len(), 1);
    for (service, outcome) in services.iter().zip(outcomes) {
        match outcome {
            Ok(()) => assert_eq!(kept, [service.id]),
            Err(LedgerError::NameTaken { id, .. }) => assert_eq!(kept, [id]),
            Err(other) => panic!("a taken name is refused, not {other:?}"),
        }
    }
}

async fn thousands_are_saved_at_once(ledger: &impl Ledger) {
    let services: Vec<Service> = (1..=2_100).map(|n| sample_service(n, &format!("s{n}"))).collect();
    for service in &services {
        insert(ledger, service).await;
    }
    let stale = |n: usize| n.is_multiple_of(7);
    let event = sample_event(5, None, Status::Pending);
    let changes: Vec<Change> = services
        .iter()
        .enumerate()
        .map(|(n, service)| Change {
            service: Service { generation: u64::from(stale(n)), ..service.clone() },
            event: Some(event.clone()),
        })
        .collect();
    let outcomes = ledger.save(&changes).await.expect("changes are saved");
    for (n, outcome) in outcomes.iter().enumerate() {
        let expected = if stale(n) { SaveOutcome::Conflict } else { SaveOutcome::Saved(1) };
        assert_eq!(*outcome, expected, "service {n}");
    }
    assert_eq!(outcomes.len(), services.len());
    let kept = listed(ledger, Select::Unfinished).await;
    assert!(kept.iter().enumerate().all(|(n, service)| service.generation == u64::from(!stale(n))));
    assert_eq!(history(ledger, services[0].id).await.len(), 1);
    assert_eq!(history(ledger, services[2_099].id).await.len(), 2);
}
