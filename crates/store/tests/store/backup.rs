//! Copies of a ledger.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use towline_core::ports::{Ledger, LedgerError, Select};
use towline_core::testing::sample_service;
use towline_store::{BackupError, Location, Store};

use crate::postgres_server::Schema;
use crate::shared::{execute, insert, names, open, save};

async fn back_up(from: &Path, to: &Path, replace: bool) -> Result<(), BackupError> {
    Store::back_up(&Location::Sqlite(from.to_owned()), to, replace).await
}

#[tokio::test]
async fn a_copy_that_is_made_while_others_write_is_whole_and_can_be_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (path, to) = (dir.path().join("towline.db"), dir.path().join("copy.db"));
    let store = open(&path).await.unwrap();
    for n in 0..30 {
        insert(&store, &sample_service(n, &format!("s{n}"))).await.unwrap();
    }
    let writer = tokio::spawn(async move {
        for _ in 0..20 {
            for service in store.list(Select::All).await.unwrap().services {
                save(&store, &service).await.unwrap();
            }
        }
        store
    });
    let mut copies = 0;
    while !writer.is_finished() {
        back_up(&path, &to, copies > 0).await.unwrap();
        copies += 1;
        let copy = open(&to).await.unwrap();
        let listing = copy.list(Select::All).await.unwrap();
        assert_eq!((listing.services.len(), listing.damaged.len()), (30, 0));
        for service in listing.services {
            let events = copy.history(service.id).await.unwrap().len() as u64;
            assert_eq!(events, service.generation + 1, "a row and its events are of one moment");
        }
        copy.close().await.unwrap();
    }
    assert!(copies > 1, "{copies}");
    writer.await.unwrap().close().await.unwrap();
    back_up(&path, &to, true).await.unwrap();
    assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let recorded = names(&open(&path).await.unwrap()).await;
    fs::copy(&to, &path).unwrap();
    let restored = open(&path).await.unwrap();
    assert_eq!(names(&restored).await, recorded);
    assert_eq!(Store::check(&Location::Sqlite(path)).await.unwrap().services, 30);
}

#[tokio::test]
async fn a_copy_takes_nobodys_place_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let (path, to) = (dir.path().join("towline.db"), dir.path().join("copy.db"));
    let store = open(&path).await.unwrap();
    insert(&store, &sample_service(1, "web")).await.unwrap();
    fs::write(&to, "mine").unwrap();
    let refused = back_up(&path, &to, false).await;
    assert!(matches!(&refused, Err(BackupError::Exists { path }) if *path == to), "{refused:?}");
    assert_eq!(fs::read_to_string(&to).unwrap(), "mine");
    std::os::unix::fs::symlink(&path, dir.path().join("link.db")).unwrap();
    let names_of_it =
        ["towline.db", "towline.db-wal", "towline.db.lock", "towline.db.look-lab.lock", "link.db"];
    for name in names_of_it {
        let refused = back_up(&path, &dir.path().join(name), true).await;
        assert!(matches!(refused, Err(BackupError::Itself { .. })), "{name}: {refused:?}");
    }
    assert_eq!(names(&store).await, ["web"]);
    back_up(&path, &to, true).await.unwrap();
    assert_eq!(names(&open(&to).await.unwrap()).await, ["web"]);
}

#[tokio::test]
async fn a_good_copy_gives_way_to_a_ledger_only() {
    let dir = tempfile::tempdir().unwrap();
    let (path, to) = (dir.path().join("towline.db"), dir.path().join("copy.db"));
    let store = open(&path).await.unwrap();
    insert(&store, &sample_service(1, "web")).await.unwrap();
    store.close().await.unwrap();
    back_up(&path, &to, false).await.unwrap();
    let copy = fs::read(&to).unwrap();
    fs::write(&path, "").unwrap();
    let empty = back_up(&path, &to, true).await;
    assert!(matches!(&empty, Err(BackupError::Empty { path: named }) if *named == path), "{empty:?}");
    execute(&path, "CREATE TABLE bookmarks (url TEXT)").await;
    let foreign = back_up(&path, &to, true).await;
    assert!(matches!(foreign, Err(BackupError::Ledger(LedgerError::Corrupt { .. }))), "{foreign:?}");
    assert_eq!(fs::read(&to).unwrap(), copy);

    fs::copy(&to, &path).unwrap();
    execute(&path, "INSERT INTO towline_migrations VALUES ('m9999_last', 0)").await;
    back_up(&path, &to, true).await.unwrap();
    assert_ne!(fs::read(&to).unwrap(), copy, "the ledger of a newer program is one");
}

#[tokio::test]
async fn only_regular_files_give_way_to_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    open(&path).await.unwrap().close().await.unwrap();
    fs::create_dir(dir.path().join("directory")).unwrap();
    fs::write(dir.path().join("file"), "mine").unwrap();
    for (link, target) in [("link", "file"), ("dangling", "nothing"), ("null", "/dev/null")] {
        std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
    }
    let socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    for name in ["directory", "link", "dangling", "null", "socket"] {
        for replace in [false, true] {
            let to = dir.path().join(name);
            let refused = back_up(&path, &to, replace).await;
            assert!(matches!(&refused, Err(BackupError::NoFile { path }) if *path == to), "{refused:?}");
        }
    }
    drop(socket);
    assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "mine");
    assert!(!dir.path().join("nothing").exists());
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, to) = (dir.path().join("towline.db"), dir.path().join("copies/copy.db"));
    let missing = back_up(&path, &to, false).await;
    assert!(matches!(missing, Err(BackupError::Ledger(LedgerError::Failed { .. }))), "{missing:?}");
    assert!(!path.exists());
    let store = open(&path).await.unwrap();
    insert(&store, &sample_service(1, "web")).await.unwrap();
    store.close().await.unwrap();
    let nowhere = back_up(&path, &to, false).await;
    assert!(matches!(nowhere, Err(BackupError::Write { .. })), "{nowhere:?}");

    fs::create_dir(dir.path().join("copies")).unwrap();
    fs::write(&path, [&fs::read(&path).unwrap()[..100], &[0x5a; 40_000]].concat()).unwrap();
    let damaged = back_up(&path, &to, false).await;
    assert!(matches!(damaged, Err(BackupError::Ledger(LedgerError::Corrupt { .. }))), "{damaged:?}");
    assert_eq!(fs::read_dir(dir.path().join("copies")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_servers_ledger_is_left_to_its_own_tools() {
    let Some(schema) = Schema::create("a_servers_ledger_is_left_to_its_own_tools").await else { return };
    let dir = tempfile::tempdir().unwrap();
    let refused = Store::back_up(&schema.location(), &dir.path().join("copy.db"), false).await;
    assert!(matches!(refused, Err(BackupError::Server { .. })), "{refused:?}");
    schema.remove().await;
}
