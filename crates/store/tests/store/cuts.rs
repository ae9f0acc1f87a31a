//! Calls that are dropped half way, and processes that are killed: nothing is ever half-written.

use std::future::{Future, poll_fn};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::task::Poll;

use towline_core::ports::{Change, Ledger, LedgerError, SaveOutcome, Select};
use towline_core::service::Service;
use towline_core::testing::sample_service;
use towline_store::{Location, Store};

use crate::postgres_server::Schema;
use crate::shared::{first_event, insert, save};

/// Runs `call` until it has been looked at `polls` times, then drops it.
async fn cut<T>(call: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut call = pin!(call);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        call.as_mut().poll(context).map(Some)
    })
    .await
}

/// Every service has a row of history for each of its generations, and one for its beginning. A commit that was cut may
/// still be under way; what is read while it lands is read again.
async fn check_whole(store: &Store) {
    loop {
        let listing = store.list(Select::All).await.unwrap();
        assert_eq!(listing.damaged, []);
        let mut rows = Vec::new();
        for service in &listing.services {
            rows.push(store.history(service.id).await.unwrap().len() as u64);
        }
        if store.list(Select::All).await.unwrap().services == listing.services {
            let expected: Vec<u64> = listing.services.iter().map(|service| service.generation + 1).collect();
            assert_eq!(rows, expected);
            return;
        }
    }
}

/// Cuts saves and inserts at every point at which they wait, until they are through without a cut.
async fn dropped_calls_leave_nothing_half_done(location: &Location) {
    let store = Store::open(location).await.unwrap();
    for n in 0..3 {
        insert(&store, &sample_service(n, &format!("s{n}"))).await.unwrap();
    }
    // How often a call waits depends on how fast the database is: several passes find more points.
    for pass in 0..5 {
        cut_saves(&store).await;
        cut_inserts(&store, &sample_service(100 + pass, &format!("late-{pass}"))).await;
    }
    store.close().await.unwrap();
}

async fn cut_saves(store: &Store) {
    for polls in 0.. {
        let mut current = store.list(Select::All).await.unwrap().services;
        current.truncate(3);
        let changes: Vec<_> = current
            .iter()
            .map(|service| Change { service: service.clone(), event: Some(first_event(service)) })
            .collect();
        let saved = cut(store.save(&changes), polls).await;
        let after = store.list(Select::All).await.unwrap().services;
        let advanced: Vec<u64> =
            after.iter().zip(&current).map(|(a, b)| a.generation - b.generation).collect();
        assert!(advanced.iter().all(|by| *by == advanced[0] && *by <= 1), "all or nothing: {advanced:?}");
        check_whole(store).await;
        // All conflict if the one that was cut before has landed since they were read.
        if saved.is_some_and(|outcomes| outcomes.unwrap() != [SaveOutcome::Conflict; 3]) {
            return;
        }
    }
}

async fn cut_inserts(store: &Store, service: &Service) {
    for polls in 0.. {
        let inserted = cut(insert(store, service), polls).await;
        check_whole(store).await;
        match inserted {
            Some(Ok(()) | Err(LedgerError::Exists { .. })) => return,
            Some(Err(error)) => panic!("{error:?}"),
            None => {}
        }
    }
}

#[tokio::test]
async fn sqlite_undoes_dropped_calls() {
    let dir = tempfile::tempdir().unwrap();
    dropped_calls_leave_nothing_half_done(&Location::Sqlite(dir.path().join("towline.db"))).await;
}

#[tokio::test]
async fn postgres_undoes_dropped_calls() {
    let Some(schema) = Schema::create("postgres_undoes_dropped_calls").await else { return };
    dropped_calls_leave_nothing_half_done(&schema.location()).await;
    schema.remove().await;
}

#[tokio::test]
async fn a_dropped_opening_leaves_a_file_that_opens() {
    let dir = tempfile::tempdir().unwrap();
    for polls in 0.. {
        let location = Location::Sqlite(dir.path().join(format!("{polls}/towline.db")));
        let opened = cut(Store::open(&location), polls).await;
        let store = Store::open(&location).await.unwrap();
        insert(&store, &sample_service(1, "web")).await.unwrap();
        check_whole(&store).await;
        if opened.is_some() {
            break;
        }
    }
}

const FILE: &str = "TOWLINE_TEST_FILE";

#[tokio::test]
async fn a_killed_process_leaves_what_it_was_told_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("towline.db");
    let mut known = 0;
    for lines in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cuts::part_save_until_killed", "--ignored", "--nocapture"])
            .env(FILE, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The first child is killed while it opens a new file, the others while they save.
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let saved = |line: String| line.rsplit_once("saved ").map(|(_, n)| n.parse::<u64>().unwrap());
        for _ in 0..lines {
            known = printed.by_ref().find_map(|line| saved(line.unwrap())).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(&Location::Sqlite(file.clone())).await.unwrap();
        check_whole(&store).await;
        let found = store.list(Select::All).await.unwrap().services;
        assert!(found.first().map_or(0, |service| service.generation) >= known, "{known} were told");
        store.close().await.unwrap();
    }
    assert!(known >= 11);
}

#[tokio::test]
#[ignore = "a part of a_killed_process_leaves_what_it_was_told_is_saved"]
async fn part_save_until_killed() {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let store = Store::open(&Location::Sqlite(file)).await.unwrap();
    let mut service = sample_service(1, "web");
    if insert(&store, &service).await.is_err() {
        service = store.list(Select::All).await.unwrap().services.remove(0);
    }
    while let SaveOutcome::Saved(generation) = save(&store, &service).await.unwrap() {
        println!("saved {generation}");
        service.generation = generation;
    }
}
