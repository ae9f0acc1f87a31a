//! What several of these tests need.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use towline_core::ports::{Change, Ledger, LedgerError, SaveOutcome, Select};
use towline_core::service::{Event, Service};
use towline_store::{Location, Store, StoreOptions};

/// Opens the file at `path`, waiting only shortly for the locks of others.
pub(crate) async fn open(path: &Path) -> Result<Store, LedgerError> {
    let options = StoreOptions { busy_timeout: Duration::from_millis(200), ..StoreOptions::default() };
    Store::open_with(&Location::Sqlite(path.to_owned()), &options).await
}

/// Opens the file at `path` as another program would.
pub(crate) async fn raw(path: &Path) -> DatabaseConnection {
    Database::connect(format!("sqlite://{}", path.display())).await.unwrap()
}

/// Runs SQL on the file at `path` as another program would.
pub(crate) async fn execute(path: &Path, sql: &str) {
    let db = raw(path).await;
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}

pub(crate) fn first_event(service: &Service) -> Event {
    Event { at: service.created_at, from: None, to: service.status(), why: "asked for".to_owned() }
}

pub(crate) async fn insert(store: &Store, service: &Service) -> Result<(), LedgerError> {
    store.insert(service, &first_event(service)).await
}

/// Saves `service` as it is, with an event that follows those that it has.
pub(crate) async fn save(store: &Store, service: &Service) -> Result<SaveOutcome, LedgerError> {
    let event = Event { from: Some(service.status()), ..first_event(service) };
    let change = Change { service: service.clone(), event: Some(event) };
    store.save(&[change]).await.map(|outcomes| outcomes[0])
}

pub(crate) async fn names(store: &Store) -> Vec<String> {
    let listing = store.list(Select::All).await.unwrap();
    assert_eq!(listing.damaged, []);
    listing.services.iter().map(|service| service.spec.name.to_string()).collect()
}

/// An error with all its causes, as people see it.
pub(crate) fn told(error: &LedgerError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Says that a test is skipped, on the real standard error: what a macro prints, the test runner swallows.
pub(crate) fn skip(test: &str, why: &str) {
    let said = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    said.unwrap();
}
