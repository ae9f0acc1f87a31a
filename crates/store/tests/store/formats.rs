//! What an earlier version wrote still reads.

use std::path::PathBuf;

use towline_core::lifecycle::Status;
use towline_core::ports::{Ledger, Select};
use towline_core::service::Service;
use towline_core::testing::{sample_lives, sample_service};

use crate::shared::{execute, insert, open, save};

/// A ledger as version 0.1.0 left it: every phase, every cause, everything known that can be. What a released version
/// wrote, every later one reads: a new format gets a fixture of its own beside this one.
const V0_1_0: &str = include_str!("../fixtures/ledger-0.1.0.sql");

#[tokio::test]
async fn a_ledger_of_version_0_1_0_still_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    std::fs::write(&path, "").unwrap();
    execute(&path, V0_1_0).await;
    let store = open(&path).await.unwrap();
    let listing = store.list(Select::All).await.unwrap();
    assert_eq!(listing.damaged, []);
    let count = |wanted| listing.services.iter().filter(|service| service.status() == wanted).count();
    assert_eq!(Status::ALL.map(count), [3, 1, 2, 1, 1, 3, 3, 8]);
    let healthy = listing.services.iter().find(|service| service.status() == Status::Healthy).unwrap();
    assert_eq!(healthy.url().as_deref(), Some("http://127.0.0.1:40000"));
    assert_eq!(healthy.spec.env["TOKEN"], "it's \"secret\"\n\u{1f41f}");
    assert_eq!(healthy.spec.resources.submit_args, ["--nice=10"]);
    let unfinished = store.list(Select::Unfinished).await.unwrap().services;
    assert_eq!(
        unfinished.len(),
        listing.services.iter().filter(|service| service.life.is_unfinished()).count()
    );
    for service in &listing.services {
        assert_eq!(store.history(service.id).await.unwrap().len(), 2);
        save(&store, service).await.unwrap();
    }
}

/// Makes the ledger for a fixture:
/// `TOWLINE_FIXTURE=/tmp/f.db cargo test -p towline-store --test store -- --ignored formats::`, then
/// `sqlite3 /tmp/f.db .dump`.
#[tokio::test]
#[ignore = "makes a ledger for the fixture of a new format"]
async fn a_ledger_with_everything() {
    let Some(path) = std::env::var_os("TOWLINE_FIXTURE").map(PathBuf::from) else { return };
    let store = open(&path).await.unwrap();
    for (n, life) in (1..).zip(sample_lives()) {
        let service = Service { life, ..sample_service(n, &format!("s{n}")) };
        insert(&store, &service).await.unwrap();
        save(&store, &service).await.unwrap();
    }
    store.close().await.unwrap();
}
