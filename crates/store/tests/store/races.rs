//! Several tasks and several processes at one ledger.

use std::path::{Path, PathBuf};
use std::process::Command;

use towline_core::ports::{Change, Ledger, LedgerError, SaveOutcome, Select};
use towline_core::testing::sample_service;
use towline_store::{Location, Store};

use crate::postgres_server::Schema;
use crate::shared::{insert, names, save};

const RACERS: u32 = 8;
const ROUNDS: u64 = 25;

/// Opens a ledger that may not exist yet, records a service of its own, and competes for one of all.
async fn race(location: &Location, racer: u32) -> u64 {
    let store = Store::open(location).await.unwrap();
    insert(&store, &sample_service(100 + racer, &format!("racer-{racer}"))).await.unwrap();
    let prize = sample_service(1, "prize");
    match insert(&store, &prize).await {
        Ok(()) | Err(LedgerError::Exists { .. }) => {}
        Err(error) => panic!("somebody was first, or nobody, but {error:?}"),
    }
    let mut won = 0;
    loop {
        let listing = store.list(Select::Id(prize.id)).await.unwrap();
        let current = &listing.services[0];
        if current.generation >= ROUNDS {
            store.close().await.unwrap();
            return won;
        }
        won += u64::from(save(&store, current).await.unwrap() != SaveOutcome::Conflict);
    }
}

/// Every round had one winner, and every racer got in.
async fn check(location: &Location, won: u64) {
    let store = Store::open(location).await.unwrap();
    let prize = sample_service(1, "prize");
    let generation = store.list(Select::Id(prize.id)).await.unwrap().services[0].generation;
    assert!(generation >= ROUNDS);
    assert_eq!(won, generation, "a win a generation");
    assert_eq!(store.history(prize.id).await.unwrap().len() as u64, generation + 1);
    let expected: Vec<String> =
        ["prize".to_owned()].into_iter().chain((0..RACERS).map(|racer| format!("racer-{racer}"))).collect();
    assert_eq!(names(&store).await, expected);
    store.close().await.unwrap();
}

async fn race_of_tasks(location: Location) {
    let racers = (0..RACERS).map(|racer| {
        let location = location.clone();
        tokio::spawn(async move { race(&location, racer).await })
    });
    let mut won = 0;
    for racer in racers.collect::<Vec<_>>() {
        won += racer.await.unwrap();
    }
    check(&location, won).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_is_opened_and_written_by_eight_tasks_at_once() {
    let dir = tempfile::tempdir().unwrap();
    race_of_tasks(Location::Sqlite(dir.path().join("new/towline.db"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_is_opened_and_written_by_eight_tasks_at_once() {
    let Some(schema) = Schema::create("postgres_is_opened_and_written_by_eight_tasks_at_once").await else {
        return;
    };
    race_of_tasks(schema.location()).await;
    schema.remove().await;
}

const FILE: &str = "TOWLINE_TEST_FILE";
const RACER: &str = "TOWLINE_TEST_RACER";

fn spawn_racer(file: &Path, racer: u32) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "races::part_one_process", "--ignored", "--nocapture"])
        .env(FILE, file)
        .env(RACER, racer.to_string())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn sqlite_is_opened_and_written_by_eight_processes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("towline.db");
    let children: Vec<_> = (0..RACERS).map(|racer| spawn_racer(&file, racer)).collect();
    let mut won = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let printed =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        let count =
            printed.lines().find_map(|line| line.rsplit_once("won ")).map(|(_, count)| count.parse::<u64>());
        won += count.unwrap_or_else(|| panic!("no count in {printed}")).unwrap();
    }
    check(&Location::Sqlite(file), won).await;
}

#[tokio::test]
#[ignore = "a part of sqlite_is_opened_and_written_by_eight_processes_at_once"]
async fn part_one_process() {
    let (Ok(file), Ok(racer)) = (std::env::var(FILE), std::env::var(RACER)) else { return };
    let won = race(&Location::Sqlite(PathBuf::from(file)), racer.parse().unwrap()).await;
    println!("won {won}");
}

/// Saves of the same rows, named in opposite orders, do not block each other for good.
async fn opposite_orders_do_not_deadlock(location: &Location) {
    let store = Store::open(location).await.unwrap();
    let services: Vec<_> = (0..700).map(|n| sample_service(n, &format!("s{n}"))).collect();
    for service in &services {
        insert(&store, service).await.unwrap();
    }
    let savers = (0..RACERS).map(|racer| {
        let (location, mut services) = (location.clone(), services.clone());
        tokio::spawn(async move {
            let store = Store::open(&location).await.unwrap();
            if racer % 2 == 1 {
                services.reverse();
            }
            let changes = services.into_iter().map(|service| Change { service, event: None });
            store.save(&changes.collect::<Vec<_>>()).await.unwrap()
        })
    });
    let mut winners = 0;
    for saver in savers.collect::<Vec<_>>() {
        let outcomes = saver.await.unwrap();
        let saved = outcomes.iter().filter(|outcome| **outcome == SaveOutcome::Saved(1)).count();
        assert!(saved == 0 || saved == services.len(), "{saved}");
        winners += usize::from(saved > 0);
    }
    assert_eq!(winners, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_takes_saves_in_opposite_orders() {
    let dir = tempfile::tempdir().unwrap();
    opposite_orders_do_not_deadlock(&Location::Sqlite(dir.path().join("towline.db"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_takes_saves_in_opposite_orders() {
    let Some(schema) = Schema::create("postgres_takes_saves_in_opposite_orders").await else { return };
    opposite_orders_do_not_deadlock(&schema.location()).await;
    schema.remove().await;
}
