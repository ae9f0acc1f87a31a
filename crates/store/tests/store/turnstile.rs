//! One look at a time, of several programs that use one ledger.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;
use towline_core::ports::Turnstile as _;
use towline_store::{Store, StoreOptions};

use crate::postgres_server::Schema;
use crate::shared::open;

/// Says to a copy of this program which ledger's turnstile to hold.
const HOLD: &str = "TOWLINE_TEST_HOLD_TURNSTILE";

/// Two stores on one ledger, as two programs have them, that wait for each other for 600 ms.
async fn excludes(one: &Store, two: &Store) {
    let pass = one.enter("lab").await.unwrap();
    assert!(two.enter("lab").await.is_none(), "somebody is inside");
    assert!(two.enter("other").await.is_some(), "another cluster");
    let waits = async { two.enter("lab").await.is_some() };
    let leaves = async {
        tokio::task::yield_now().await;
        drop(pass);
    };
    let (entered, ()) = tokio::join!(waits, leaves);
    assert!(entered, "who waits comes in once it is free");
    let given_up = timeout(Duration::ZERO, one.enter("lab")).await;
    drop(given_up);
    assert!(two.enter("lab").await.is_some(), "who was dropped holds nothing");
}

#[tokio::test]
async fn one_at_a_time_is_inside_beside_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let (one, two) = (open(&path).await.unwrap(), open(&path).await.unwrap());
    excludes(&one, &two).await;
    for odd in ["../../x", "", "a/b", &"long".repeat(100), "ö\n"] {
        assert!(one.enter(odd).await.is_some(), "{odd:?}");
    }
    let names = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| name.to_string_lossy().starts_with("t.db")));
}

#[tokio::test]
async fn one_at_a_time_is_inside_on_a_server() {
    let Some(schema) = Schema::create("one_at_a_time_is_inside_on_a_server").await else { return };
    let options = StoreOptions { busy_timeout: Duration::from_millis(200) };
    let store = async || Store::open_with(&schema.location(), &options).await.unwrap();
    let (one, two) = (store().await, store().await);
    excludes(&one, &two).await;
    one.close().await.unwrap();
    two.close().await.unwrap();
    schema.remove().await;
}

#[tokio::test]
async fn who_is_killed_has_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let store = open(&path).await.unwrap();
    let exe = std::env::current_exe().unwrap();
    let holder = Command::new(exe)
        .args(["--exact", "turnstile::a_holder", "--ignored"])
        .env(HOLD, &path)
        .stdout(Stdio::null())
        .spawn();
    let mut holder = Killed(holder.unwrap());
    while store.enter("lab").await.is_some() {
        assert!(holder.0.try_wait().unwrap().is_none(), "it has ended by itself");
    }
    holder.0.kill().unwrap();
    holder.0.wait().unwrap();
    assert!(store.enter("lab").await.is_some());
}

/// The other program of [`who_is_killed_has_left`]; waits until it is killed.
#[tokio::test]
#[ignore = "only a part of another test"]
async fn a_holder() {
    let Some(path) = std::env::var_os(HOLD) else { return };
    let store = open(path.as_ref()).await.unwrap();
    let mut pass = None;
    while pass.is_none() {
        pass = store.enter("lab").await;
    }
    std::future::pending::<()>().await;
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
