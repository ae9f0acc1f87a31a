//! The first start of many processes at once, and a lock that outlasts all patience.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait;
use towline_core::ports::LedgerError;
use towline_core::testing::sample_service;
use towline_store::{Location, Store};

use crate::postgres_server::Schema;
use crate::shared::{insert, names, raw, save};

const URL: &str = "TOWLINE_TEST_URL";
const RACER: &str = "TOWLINE_TEST_RACER";
const RACERS: u32 = 8;

fn spawn_racer(url: &str, racer: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stress::part_first_start", "--ignored", "--nocapture"])
        .env(URL, url)
        .env(RACER, racer.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets eight processes open at the same moment a ledger that is not there yet.
async fn race_to_the_first_start(url: &str) {
    let mut racers: Vec<Child> = (0..RACERS).map(|racer| spawn_racer(url, racer)).collect();
    let mut printed: Vec<_> =
        racers.iter_mut().map(|racer| BufReader::new(racer.stdout.take().unwrap())).collect();
    for lines in &mut printed {
        let ready = lines.lines().any(|line| line.unwrap().ends_with("ready"));
        assert!(ready, "a racer did not come to the start");
    }
    let starts: Vec<_> = racers.iter_mut().map(|racer| racer.stdin.take()).collect();
    drop(starts);
    for (racer, mut printed) in racers.into_iter().zip(printed) {
        let mut said = String::new();
        printed.read_to_string(&mut said).unwrap();
        let output = racer.wait_with_output().unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    let location: Location = url.parse().unwrap();
    assert_eq!(Store::check(&location).await.unwrap().problems, []);
    let store = Store::open(&location).await.unwrap();
    let expected: Vec<String> = (0..RACERS).map(|racer| format!("racer-{racer}")).collect();
    assert_eq!(names(&store).await, expected);
    store.close().await.unwrap();
}

#[tokio::test]
async fn sqlite_is_made_by_one_of_eight_processes_at_each_first_start() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..10 {
        race_to_the_first_start(&format!("sqlite://{}/{round}/towline.db", dir.path().display())).await;
    }
}

#[tokio::test]
async fn postgres_gets_its_tables_from_one_of_eight_processes_at_each_first_start() {
    let test = "postgres_gets_its_tables_from_one_of_eight_processes_at_each_first_start";
    for _ in 0..5 {
        let Some(schema) = Schema::create(test).await else { return };
        race_to_the_first_start(schema.url()).await;
        schema.remove().await;
    }
}

#[tokio::test]
#[ignore = "a part of the races to the first start"]
async fn part_first_start() {
    let (Ok(url), Ok(racer)) = (std::env::var(URL), std::env::var(RACER)) else { return };
    println!("ready");
    let mut start = Vec::new();
    std::io::stdin().read_to_end(&mut start).unwrap();
    let store = Store::open(&url.parse().unwrap()).await.unwrap();
    insert(&store, &sample_service(racer.parse().unwrap(), &format!("racer-{racer}"))).await.unwrap();
    store.close().await.unwrap();
}

/// A lock that another program holds for half a minute: who waits is told so after ten seconds, nothing is lost or
/// half-written, and whoever waits when it is let go is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_thirty_seconds_is_told_and_outlived() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let location = Location::Sqlite(path.clone());
    let store = Store::open(&location).await.unwrap();
    let web = sample_service(1, "web");
    insert(&store, &web).await.unwrap();
    let other = raw(&path).await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let locked_at = Instant::now();
    for _ in 0..2 {
        let error = save(&store, &web).await.unwrap_err();
        let LedgerError::Locked { waited, .. } = &error else { panic!("locked, not {error:?}") };
        assert_eq!(waited.as_secs(), 10);
        assert_eq!(names(&Store::open(&location).await.unwrap()).await, ["web"], "who only reads is served");
    }
    // This is how long it is held, not something that is waited for.
    let held_for = |secs| tokio::time::sleep(Duration::from_secs(secs).saturating_sub(locked_at.elapsed()));
    held_for(23).await;
    let waiting = {
        let (store, web) = (store.clone(), web.clone());
        tokio::spawn(async move { save(&store, &web).await })
    };
    held_for(30).await;
    assert!(!waiting.is_finished(), "it still waits for the lock");
    other.execute_unprepared("COMMIT").await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(Store::check(&location).await.unwrap().problems, []);
}
