//! The contract of the port, on both databases.

use std::cell::RefCell;

use towline_core::testing::ledger_contract;
use towline_store::{Location, Store};

use crate::postgres_server::Schema;

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let made = RefCell::new(0);
    let make = async || {
        *made.borrow_mut() += 1;
        let path = dir.path().join(format!("{}.db", made.borrow()));
        Store::open(&Location::Sqlite(path)).await.unwrap()
    };
    ledger_contract(make).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let Some(first) = Schema::create("postgres_keeps_the_contract").await else { return };
    let schemas = RefCell::new(vec![first]);
    let make = async || {
        let schema = Schema::create("postgres_keeps_the_contract").await.unwrap();
        let store = schema.open().await;
        schemas.borrow_mut().push(schema);
        store
    };
    ledger_contract(make).await;
    for schema in schemas.into_inner() {
        schema.remove().await;
    }
}
