//! Files that cannot be used, or not now.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use towline_core::ports::{Ledger, LedgerError, Select};
use towline_core::testing::sample_service;

use crate::shared::{execute, first_event, insert, names, open, raw, save, told};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_file_and_its_directories_are_private() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("a b%41/c?d/towline.db");
    let store = open(&path).await.unwrap();
    insert(&store, &sample_service(1, "web")).await.unwrap();
    for name in ["towline.db", "towline.db-wal", "towline.db-shm", "towline.db.lock"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    for made in path.ancestors().skip(1).take(2) {
        assert_eq!(mode(made), 0o700, "{}", made.display());
    }
    assert_eq!(mode(dir.path()), 0o755, "an existing directory is left alone");
}

#[tokio::test]
async fn a_closed_ledger_is_one_file_and_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    insert(&store, &sample_service(1, "web")).await.unwrap();
    store.close().await.unwrap();
    assert!(!dir.path().join("towline.db-wal").exists());
    assert_eq!(names(&open(&path).await.unwrap()).await, ["web"]);
}

#[tokio::test]
async fn every_connection_has_its_pragmas() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    let web = sample_service(1, "web");
    insert(&store, &web).await.unwrap();
    // Several at once, so that more than the first connection removes a service and needs foreign keys.
    let services: Vec<_> = (2..20).map(|n| sample_service(n, &format!("s{n}"))).collect();
    for service in &services {
        insert(&store, service).await.unwrap();
    }
    let removals = services.iter().map(|service| {
        let (store, id) = (store.clone(), service.id);
        tokio::spawn(async move { store.remove(id, 0).await })
    });
    for removal in removals.collect::<Vec<_>>() {
        removal.await.unwrap().unwrap();
    }
    let db = raw(&path).await;
    let count = |sql: &'static str| Statement::from_string(DbBackend::Sqlite, sql);
    let row = db.query_one_raw(count("SELECT count(*) FROM events")).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 1, "the history of removed services is gone");
    let row = db.query_one_raw(count("PRAGMA journal_mode")).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "wal");
}

#[tokio::test]
async fn a_lock_that_stays_is_told_and_nothing_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    let web = sample_service(1, "web");
    insert(&store, &web).await.unwrap();
    let other = raw(&path).await;
    other.execute_unprepared("BEGIN EXCLUSIVE").await.unwrap();

    let is_locked = |error: &LedgerError| match error {
        LedgerError::Locked { location, waited } => {
            assert_eq!((location.as_str(), *waited), (path.to_str().unwrap(), Duration::from_millis(200)));
        }
        other => panic!("locked, not {other:?}"),
    };
    is_locked(&save(&store, &web).await.unwrap_err());
    is_locked(&insert(&store, &sample_service(2, "other")).await.unwrap_err());
    is_locked(&store.remove(web.id, 0).await.unwrap_err());
    // Who only reads, or opens what is up to date, does not wait for a writer.
    assert_eq!(names(&open(&path).await.unwrap()).await, ["web"]);

    other.execute_unprepared("COMMIT").await.unwrap();
    assert_eq!(store.history(web.id).await.unwrap(), [first_event(&web)]);
    save(&store, &web).await.unwrap();
}

#[tokio::test]
async fn an_opening_waits_only_so_long_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let lock = fs::File::create(dir.path().join("towline.db.lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(open(&path).await, Err(LedgerError::Locked { .. })));
    assert!(!path.exists());
    lock.unlock().unwrap();
    open(&path).await.unwrap();
}

#[tokio::test]
async fn a_newer_database_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    open(&path).await.unwrap().close().await.unwrap();
    execute(&path, "INSERT INTO towline_migrations VALUES ('m9998_next', 0), ('m9999_last', 0)").await;
    let before = fs::read(&path).unwrap();
    let error = open(&path).await.unwrap_err();
    let LedgerError::Newer { found, known, .. } = &error else { panic!("newer, not {error:?}") };
    assert_eq!((found.as_str(), known.as_str()), ("m9999_last", "m0001_services_and_events"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn what_is_no_database_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    for length in [1, 99, 100, 511, 512, 513, 1023, 1024, 4095, 4096, 100_000] {
        let path = dir.path().join("notes.txt");
        let content = "x".repeat(length);
        fs::write(&path, &content).unwrap();
        let outcome = open(&path).await.map(drop);
        assert!(matches!(outcome, Err(LedgerError::Corrupt { .. })), "{length} bytes: {outcome:?}");
        let words = told(&outcome.unwrap_err());
        assert!(
            words.ends_with(" is not a database") || words.ends_with(" is not a database (SQLite 26)"),
            "{words}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn another_programs_database_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("places.sqlite");
    fs::write(&path, "").unwrap();
    execute(&path, "CREATE TABLE bookmarks (url TEXT)").await;
    let before = fs::read(&path).unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error:?}");
    assert!(
        told(&error).ends_with("it holds the table \"bookmarks\" of another program"),
        "{}",
        told(&error)
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_truncated_file_is_told_as_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    for n in 1..100 {
        insert(&store, &sample_service(n, &format!("s{n}"))).await.unwrap();
    }
    store.close().await.unwrap();
    let whole = fs::read(&path).unwrap();
    for length in [100, 512, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        let outcome = match open(&path).await {
            Ok(store) => store.list(Select::All).await.map(|listing| listing.services.len()),
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(LedgerError::Corrupt { .. })), "{length} bytes: {outcome:?}");
    }
}

#[tokio::test]
async fn a_directory_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(dir.path()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Failed { .. }), "{error:?}");
    assert!(told(&error).ends_with("it is a directory"), "{}", told(&error));
    let below_a_file = dir.path().join("file/towline.db");
    fs::write(dir.path().join("file"), "").unwrap();
    let error = open(&below_a_file).await.unwrap_err();
    assert!(told(&error).contains("failed to create its directory"), "{}", told(&error));
}
