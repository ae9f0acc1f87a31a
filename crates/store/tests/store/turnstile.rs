//! One look at a time, of several programs that use one ledger.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use towline_core::ports::{Ledger as _, Select, Turnstile as _};
use towline_store::{Location, Store, StoreOptions};

use crate::postgres_server::Schema;
use crate::shared::open;

/// Says to a copy of this program which ledger's turnstile to hold.
const HOLD: &str = "TOWLINE_TEST_HOLD_TURNSTILE";

/// For how long a pass is good where nobody is to wait that long.
const PATIENT: Duration = Duration::from_secs(60);

/// For how long a pass is good where that is to be waited for, and how long nobody is waited for otherwise.
const LOOK: Duration = Duration::from_secs(2);

fn options(look_timeout: Duration) -> StoreOptions {
    StoreOptions { look_timeout, ..StoreOptions::default() }
}

/// Two stores on one ledger, as two programs have them, that wait for each other.
async fn excludes(one: &Store, two: &Store) {
    let pass = one.enter("lab").await.unwrap();
    assert!(timeout(LOOK, two.enter("lab")).await.is_err(), "somebody is inside");
    assert!(two.enter("other").await.is_some(), "another cluster");
    let waits = async { two.enter("lab").await.is_some() };
    let leaves = async {
        tokio::task::yield_now().await;
        drop(pass);
    };
    let (entered, ()) = tokio::join!(waits, leaves);
    assert!(entered, "who waits comes in once it is free");
    drop(timeout(Duration::ZERO, one.enter("lab")).await);
    assert!(two.enter("lab").await.is_some(), "who was dropped holds nothing");
}

/// Who is inside for longer than any look takes keeps the next one out for that time, once, and nobody after it.
async fn outlasts(one: &Store, two: &Store) {
    let stuck = [one.enter("lab").await.unwrap(), one.enter("lab all").await.unwrap()];
    let began = Instant::now();
    drop([two.enter("lab all").await, two.enter("lab").await]);
    let waited = began.elapsed();
    assert!(waited >= LOOK, "{waited:?}");
    assert!(waited < 2 * LOOK, "{waited:?} for both");
    let pass = two.enter("lab").await;
    drop(stuck);
    assert!(pass.is_some() && two.enter("lab all").await.is_some(), "its leaving changes nothing");
}

#[tokio::test]
async fn one_at_a_time_is_inside_beside_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(dir.path().join("t.db"));
    let store = async |look| Store::open_with(&location, &options(look)).await.unwrap();
    let (one, two) = (store(PATIENT).await, store(PATIENT).await);
    excludes(&one, &two).await;
    for odd in ["../../x", "", "a/b", &"long".repeat(100), "ö\n"] {
        assert!(one.enter(odd).await.is_some(), "{odd:?}");
    }
    outlasts(&store(LOOK).await, &store(LOOK).await).await;
    let names = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| name.to_string_lossy().starts_with("t.db")));
}

#[tokio::test]
async fn one_at_a_time_is_inside_on_a_server() {
    let Some(schema) = Schema::create("one_at_a_time_is_inside_on_a_server").await else { return };
    let store = async |look| Store::open_with(&schema.location(), &options(look)).await.unwrap();
    let (one, two) = (store(PATIENT).await, store(PATIENT).await);
    excludes(&one, &two).await;
    let (three, four) = (store(LOOK).await, store(LOOK).await);
    outlasts(&three, &four).await;
    let mut passes = Vec::new();
    for number in 0..10 {
        passes.push(one.enter(&format!("cluster-{number}")).await.unwrap());
    }
    one.list(Select::All).await.expect("passes keep nobody from the ledger");
    drop(passes);
    for store in [one, two, three, four] {
        store.close().await.unwrap();
    }
    schema.remove().await;
}

#[tokio::test]
async fn who_is_killed_has_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let location = Location::Sqlite(path.clone());
    let store = Store::open_with(&location, &options(PATIENT)).await.unwrap();
    let exe = std::env::current_exe().unwrap();
    let holder = Command::new(exe)
        .args(["--exact", "turnstile::a_holder", "--ignored"])
        .env(HOLD, &path)
        .stdout(Stdio::null())
        .spawn();
    let mut holder = Killed(holder.unwrap());
    while timeout(LOOK, store.enter("lab")).await.is_ok() {
        assert!(holder.0.try_wait().unwrap().is_none(), "it has ended by itself");
    }
    holder.0.kill().unwrap();
    holder.0.wait().unwrap();
    assert!(timeout(LOOK, store.enter("lab")).await.is_ok());
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
