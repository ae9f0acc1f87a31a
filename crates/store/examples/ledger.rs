//! Opens a ledger, records a service, saves a change, meets a conflict, and tells the history.
//!
//! `cargo run -p towline-store --example ledger` uses a file of SQLite that is gone afterwards;
//! `... --example ledger -- postgres://alice:secret@127.0.0.1/towline` uses that database, and leaves it as it was.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, SystemTime};

use towline_core::id::ServiceId;
use towline_core::lifecycle::{Phase, Status, Terms};
use towline_core::ports::{Change, Ledger, Select};
use towline_core::ready::Ready;
use towline_core::service::{Event, Service};
use towline_core::spec::{Bind, ServiceSpec};
use towline_core::time::Timestamp;
use towline_store::{Location, Store};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let location = match std::env::args().nth(1) {
        Some(url) => url.parse()?,
        None => Location::Sqlite(dir.path().join("towline.db")),
    };
    let store = Store::open(&location).await?;
    println!("opened {location}");

    let service = Service::new(ServiceId::new(Uuid::now_v7()), spec()?, Terms::with_grace(GRACE), now()?);
    let first = Event { at: now()?, from: None, to: Status::Submitted, why: "asked for".to_owned() };
    store.insert(&service, &first).await?;
    println!("recorded {} as {}", service.spec.name, service.id);

    let twin = Service { id: ServiceId::new(Uuid::now_v7()), ..service.clone() };
    if let Err(error) = store.insert(&twin, &first).await {
        println!("refused a second one: {error}");
    }

    // Two writers have read the same generation. The later one is told, and looks again.
    let mut sent = service.clone();
    sent.life.phase = Phase::Sending { since: now()? };
    let change = Change { service: sent, event: None };
    println!("the first writer: {:?}", store.save(std::slice::from_ref(&change)).await?);
    println!("the second writer: {:?}", store.save(&[change]).await?);

    for found in store.list(Select::Unfinished).await?.services {
        println!("{} {} generation {}", found.spec.name, found.status(), found.generation);
        for event in store.history(found.id).await? {
            println!("  {} {}: {}", event.at, event.to, event.why);
        }
    }
    store.remove(service.id, 1).await?;
    store.close().await?;
    Ok(())
}

const GRACE: Duration = Duration::from_secs(60);

fn spec() -> Result<ServiceSpec, Box<dyn Error>> {
    Ok(ServiceSpec {
        name: "hello".parse()?,
        profile: "local".to_owned(),
        command: ["python3", "-m", "http.server", "{port}"].map(str::to_owned).into(),
        setup: Vec::new(),
        env: BTreeMap::new(),
        secret: None,
        chdir: None,
        container: None,
        bind: Bind::All,
        health: "/".to_owned(),
        ready: Ready::default(),
        grace: GRACE,
        resources: Default::default(),
    })
}

fn now() -> Result<Timestamp, Box<dyn Error>> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Timestamp::from_micros(i64::try_from(since_epoch.as_micros())?))
}
