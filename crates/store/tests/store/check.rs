//! Checks of ledgers that are sound, and of such that are not.

use std::fs;
use std::path::Path;

use towline_core::ports::{Change, Ledger, LedgerError, Select};
use towline_core::service::{Event, Service};
use towline_core::testing::{sample_lives, sample_service};
use towline_store::{CheckReport, Location, Problem, Store};

use crate::postgres_server::Schema;
use crate::shared::{execute, insert, open};

/// Records as many services as there are sample lives, and lets each come to its life.
async fn fill(store: &Store) -> usize {
    let lives = sample_lives();
    for (n, life) in (1..).zip(&lives) {
        let mut service = sample_service(n, &format!("s{n}"));
        insert(store, &service).await.unwrap();
        let from = service.status();
        service.life = life.clone();
        let (at, to) = (service.created_at, service.status());
        let event = (from != to).then(|| Event { at, from: Some(from), to, why: "so it came".to_owned() });
        store.save(&[Change { service, event }]).await.unwrap();
    }
    lives.len()
}

async fn check_file(path: &Path) -> Vec<String> {
    let report = Store::check(&Location::Sqlite(path.to_owned())).await.unwrap();
    report.problems.iter().map(Problem::to_string).collect()
}

/// SQL that damages a ledger, and what is to be said of it. Only what SQLite alone would take is in the second list.
const DAMAGES: [(&str, &str); 9] = [
    ("UPDATE services SET life = '{' WHERE name = 's1'", "the record of service s1 ("),
    (
        "UPDATE services SET status = 'DREAMING' WHERE name = 's1'",
        "column status says \"DREAMING\" where its record means \"SUBMITTED\"",
    ),
    ("UPDATE services SET unfinished = NOT unfinished WHERE name = 's1'", "column unfinished says \"false\""),
    ("UPDATE services SET name = 'other' WHERE name = 's1'", "column name says \"other\""),
    ("DELETE FROM events WHERE service_id = (SELECT id FROM services WHERE name = 's1')", "it is missing"),
    (
        "UPDATE events SET to_status = 'DREAMING' WHERE generation = 0 \
         AND service_id = (SELECT id FROM services WHERE name = 's1')",
        "bad event 0: \"DREAMING\" is not a status",
    ),
    (
        "UPDATE events SET to_status = 'FAILED' WHERE generation = 0 \
         AND service_id = (SELECT id FROM services WHERE name = 's1')",
        "it ends with FAILED, and the service is SUBMITTED",
    ),
    (
        "INSERT INTO events SELECT id, 7, 0, 'PENDING', 'SUBMITTED', 'x' FROM services WHERE name = 's1'",
        "event 7 leads from PENDING after SUBMITTED",
    ),
    (
        "INSERT INTO events SELECT id, 7, 0, 'SUBMITTED', 'SUBMITTED', 'x' FROM services WHERE name = 's1'",
        "event 7 is newer than the service's generation 1",
    ),
];

#[tokio::test]
async fn sqlite_tells_each_damage_of_a_row() {
    for (damage, told) in DAMAGES {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("towline.db");
        let store = open(&path).await.unwrap();
        let count = fill(&store).await;
        let sound = Store::check(&Location::Sqlite(path.clone())).await.unwrap();
        assert_eq!((sound.services, &sound.problems), (count, &Vec::new()));
        assert!(sound.events > count);
        store.close().await.unwrap();
        execute(&path, damage).await;
        let problems = check_file(&path).await;
        assert_eq!(problems.len(), 1, "{damage}: {problems:#?}");
        assert!(problems[0].contains(told), "{damage}: {problems:?}");
    }
}

#[tokio::test]
async fn postgres_tells_each_damage_of_a_row() {
    let test = "postgres_tells_each_damage_of_a_row";
    let Some(empty) = Schema::create(test).await else { return };
    let report = Store::check(&empty.location()).await.unwrap();
    assert_eq!(
        report,
        CheckReport { is_new: true, ..CheckReport::default() },
        "it has no tables of ours yet"
    );
    empty.remove().await;
    for (damage, told) in DAMAGES {
        let schema = Schema::create(test).await.unwrap();
        let store = schema.open().await;
        let count = fill(&store).await;
        let sound = Store::check(&schema.location()).await.unwrap();
        assert_eq!((sound.services, sound.problems), (count, Vec::new()));
        store.close().await.unwrap();
        schema.execute(damage).await;
        let problems = Store::check(&schema.location()).await.unwrap().problems;
        assert_eq!(problems.len(), 1, "{damage}: {problems:#?}");
        assert!(problems[0].to_string().contains(told), "{damage}: {problems:?}");
        schema.remove().await;
    }
}

#[tokio::test]
async fn what_belongs_to_nobody_and_what_is_gone_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    fill(&open(&path).await.unwrap()).await;
    execute(&path, "PRAGMA foreign_keys = OFF; DELETE FROM services WHERE name = 's1'").await;
    assert_eq!(check_file(&path).await, ["the database is damaged: 1 rows of history belong to no service"]);
    execute(&path, "PRAGMA foreign_keys = OFF; DROP TABLE services").await;
    let problems = check_file(&path).await;
    assert!(problems.iter().any(|told| told.contains("no such table: services")), "{problems:#?}");
}

#[tokio::test]
async fn an_index_that_disagrees_with_its_table_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    fill(&store).await;
    store.close().await.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let id = sample_service(1, "s1").id.to_string();
    // A page that begins so is a leaf of an index (<https://sqlite.org/fileformat2.html>, 1.6).
    for page in bytes.chunks_mut(4096).filter(|page| page[0] == 0x0a) {
        if let Some(at) = page.windows(id.len()).position(|text| text == id.as_bytes()) {
            page[at] = b'x';
        }
    }
    fs::write(&path, bytes).unwrap();
    let problems = check_file(&path).await;
    assert!(problems.iter().any(|told| told.contains("missing from index")), "{problems:#?}");
}

#[tokio::test]
async fn a_damaged_file_is_told_wherever_the_damage_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    fill(&store).await;
    store.close().await.unwrap();
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 8, "{pages}");
    for page in 0..pages {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0x5a);
        fs::write(&path, &damaged).unwrap();
        let problems = check_file(&path).await;
        assert!(!problems.is_empty(), "page {page}");
        // Where its beginning is lost, nobody can tell that it once was a ledger.
        let told = if page == 0 { "it is no ledger: " } else { " is damaged: " };
        assert!(problems.iter().all(|problem| problem.contains(told)), "{problems:#?}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "a check writes nothing");
    }
    for length in [1, 100, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(!check_file(&path).await.is_empty(), "{length} bytes");
    }
    fs::write(&path, "").unwrap();
    let empty = Store::check(&Location::Sqlite(path)).await.unwrap();
    assert_eq!(empty, CheckReport { is_new: true, ..CheckReport::default() });
}

#[tokio::test]
async fn what_is_no_ledger_or_newer_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let missing = Store::check(&Location::Sqlite(path.clone())).await;
    assert!(matches!(missing, Err(LedgerError::Failed { .. })), "{missing:?}");
    assert!(!path.exists() && !dir.path().join("towline.db.lock").exists(), "a check creates nothing");
    let directory = Store::check(&Location::Sqlite(dir.path().to_owned())).await;
    assert!(matches!(directory, Err(LedgerError::Failed { .. })), "{directory:?}");
    fs::write(&path, "").unwrap();
    execute(&path, "CREATE TABLE bookmarks (url TEXT)").await;
    let foreign = Store::check(&Location::Sqlite(path.clone())).await.unwrap().problems;
    let problem = "it holds the table \"bookmarks\" of another program".to_owned();
    assert_eq!(foreign, [Problem::Foreign { problem }]);
    for text in ["a note\n".to_owned(), "many notes\n".repeat(1000)] {
        fs::write(&path, text).unwrap();
        let problems = Store::check(&Location::Sqlite(path.clone())).await.unwrap().problems;
        assert!(matches!(problems.as_slice(), [Problem::NoDatabase { .. }]), "{problems:?}");
    }
    fs::remove_file(&path).unwrap();
    open(&path).await.unwrap().close().await.unwrap();
    execute(&path, "INSERT INTO towline_migrations VALUES ('m9999_last', 0)").await;
    let newer = Store::check(&Location::Sqlite(path)).await;
    assert!(matches!(newer, Err(LedgerError::Newer { .. })), "{newer:?}");
}

#[tokio::test]
async fn a_check_sees_one_moment_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    let count = fill(&store).await;
    let lives = sample_lives();
    let writer = tokio::spawn(async move {
        for n in 0..200 {
            let services = store.list(Select::All).await.unwrap().services;
            let changes = services.into_iter().map(|service| {
                let from = service.status();
                let service = Service { life: lives[n % lives.len()].clone(), ..service };
                let (at, to) = (service.created_at, service.status());
                let event = (from != to).then(|| Event { at, from: Some(from), to, why: "x".to_owned() });
                Change { service, event }
            });
            store.save(&changes.collect::<Vec<_>>()).await.unwrap();
        }
    });
    let mut checks = 0;
    while !writer.is_finished() {
        let report = Store::check(&Location::Sqlite(path.clone())).await.unwrap();
        assert_eq!((report.services, report.problems), (count, Vec::new()));
        checks += 1;
    }
    writer.await.unwrap();
    assert!(checks > 3, "{checks}");
}
