//! Servers that cannot be used, or not now.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait};
use towline_core::ports::{Ledger, LedgerError};
use towline_core::testing::sample_service;
use towline_store::{Location, Store, StoreOptions};

use crate::postgres_server::Schema;
use crate::shared::{insert, names, save, told};

async fn refusal(url: &str) -> LedgerError {
    Store::open(&url.parse().unwrap()).await.unwrap_err()
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refusal(&format!("postgres://alice:hunter2@127.0.0.1:{port}/towline")).await;
    assert!(matches!(error, LedgerError::Failed { .. }), "{error:?}");
    let words = told(&error);
    assert!(
        words.starts_with(&format!("failed to use the ledger postgres://alice@127.0.0.1:{port}/towline: "))
    );
    assert!(words.contains("refused"), "{words}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_host_without_a_name_and_a_bad_option_are_told() {
    let error = refusal("postgres://nobody.invalid/towline").await;
    assert!(matches!(error, LedgerError::Failed { .. }), "{error:?}");
    let error = refusal("postgres://127.0.0.1/towline?sslmode=perhaps").await;
    assert!(told(&error).contains("perhaps"), "{}", told(&error));
}

#[tokio::test]
async fn a_refused_login_is_told_in_the_servers_words() {
    let Some(schema) = Schema::create("a_refused_login_is_told_in_the_servers_words").await else { return };
    let error = refusal(&schema.url_with_password("hunter2")).await;
    assert!(matches!(error, LedgerError::Failed { .. }), "{error:?}");
    let words = told(&error);
    assert!(words.contains("password authentication failed"), "{words}");
    assert!(words.ends_with("(SQLSTATE 28P01)"), "{words}");
    assert!(!format!("{error:?}{words}").contains("hunter2"));
    schema.remove().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let Some(schema) = Schema::create("a_newer_schema_is_refused").await else { return };
    schema.open().await.close().await.unwrap();
    schema.execute("INSERT INTO towline_migrations VALUES ('m9999_last', 0)").await;
    let error = Store::open(&schema.location()).await.unwrap_err();
    assert!(matches!(&error, LedgerError::Newer { found, .. } if found == "m9999_last"), "{error:?}");
    schema.remove().await;
}

#[tokio::test]
async fn a_lock_that_stays_is_told() {
    let Some(schema) = Schema::create("a_lock_that_stays_is_told").await else { return };
    let options = StoreOptions { busy_timeout: Duration::from_millis(200), ..StoreOptions::default() };
    let store = Store::open_with(&schema.location(), &options).await.unwrap();
    let web = sample_service(1, "web");
    insert(&store, &web).await.unwrap();
    let other = schema.connect().await;
    let lock = other.begin().await.unwrap();
    lock.execute_unprepared("SELECT * FROM services FOR UPDATE").await.unwrap();
    let error = save(&store, &web).await.unwrap_err();
    assert!(
        matches!(&error, LedgerError::Locked { waited, .. } if *waited == options.busy_timeout),
        "{error:?}"
    );
    assert_eq!(names(&store).await, ["web"], "who only reads does not wait");
    lock.rollback().await.unwrap();
    save(&store, &web).await.unwrap();
    schema.remove().await;
}

#[tokio::test]
async fn a_read_only_server_is_told() {
    let Some(schema) = Schema::create("a_read_only_server_is_told").await else { return };
    let store = schema.open().await;
    let web = sample_service(1, "web");
    insert(&store, &web).await.unwrap();
    let read_only: Location = schema.url_with_option("default_transaction_read_only%3Don").parse().unwrap();
    let store = Store::open(&read_only).await.unwrap();
    assert_eq!(names(&store).await, ["web"]);
    let error = save(&store, &web).await.unwrap_err();
    assert!(matches!(error, LedgerError::ReadOnly { .. }), "{error:?}");
    schema.remove().await;
}

#[tokio::test]
async fn any_text_is_kept() {
    let Some(schema) = Schema::create("any_text_is_kept").await else { return };
    let store = schema.open().await;
    let mut web = sample_service(1, "web");
    // PostgreSQL takes no NUL in a text.
    let spec = Arc::make_mut(&mut web.spec);
    spec.profile = "lab\0".to_owned();
    spec.env.insert("RAW".to_owned(), "a\0b\u{1}\\u0000".to_owned());
    insert(&store, &web).await.unwrap();
    let listing = store.list(towline_core::ports::Select::All).await.unwrap();
    assert_eq!(listing.services, [web]);
    schema.remove().await;
}

/// Passes connections on to the server until it is dropped.
async fn pass_on(listener: tokio::net::TcpListener, server: String) {
    let mut passing = tokio::task::JoinSet::new();
    while let Ok((mut here, _)) = listener.accept().await {
        let server = server.clone();
        passing.spawn(async move {
            let mut there = tokio::net::TcpStream::connect(server).await?;
            tokio::io::copy_bidirectional(&mut here, &mut there).await
        });
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_and_found_again() {
    let Some(schema) = Schema::create("a_server_that_goes_away_is_told_and_found_again").await else {
        return;
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let way = tokio::spawn(pass_on(listener, schema.address()));
    let location = schema.url_with_address(&address.to_string()).parse().unwrap();
    let options = StoreOptions { busy_timeout: Duration::from_millis(200), ..StoreOptions::default() };
    let store = Store::open_with(&location, &options).await.unwrap();
    let web = sample_service(1, "web");
    insert(&store, &web).await.unwrap();

    way.abort();
    assert!(way.await.unwrap_err().is_cancelled());
    let error = save(&store, &web).await.unwrap_err();
    assert!(matches!(error, LedgerError::Failed { .. }), "{error:?}");
    assert!(told(&error).ends_with("no connection to the server was to be had in time"), "{}", told(&error));

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let way = tokio::spawn(pass_on(listener, schema.address()));
    save(&store, &web).await.unwrap();
    store.close().await.unwrap();
    way.abort();
    schema.remove().await;
}
