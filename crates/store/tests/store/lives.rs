//! Lives survive the ledger: random ones, and those that an earlier version wrote.

use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use towline_core::lifecycle::{Status, Terms};
use towline_core::ports::{Change, Ledger, SaveOutcome, Select};
use towline_core::service::Service;
use towline_core::testing::sample_service;
use towline_core::testing::strategies::{Moment, moments, steps};
use towline_store::Store;

use crate::shared::{execute, insert, open};

/// The lives that version 0.1.0 wrote, one in each line between the brackets.
const V0_1_0: &str = include_str!("../fixtures/lives-0.1.0.json");

const TERMS: Terms = Terms::with_grace(Duration::from_secs(120));

async fn listed(store: &Store, service: &Service) -> Service {
    let listing = store.list(Select::Id(service.id)).await.unwrap();
    assert_eq!(listing.damaged, []);
    listing.services.into_iter().next().unwrap()
}

#[test]
fn status_and_phase_survive_the_store_unchanged() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = runtime.block_on(open(&dir.path().join("towline.db"))).unwrap();
    let count = Cell::new(0);
    // Each life is a dozen saves in a file.
    let config = ProptestConfig::with_cases(ProptestConfig::default().cases / 4);
    let config = ProptestConfig { failure_persistence: None, ..config };
    proptest!(config, |(steps in steps(&TERMS))| {
        count.set(count.get() + 1);
        runtime.block_on(lives_on(&store, count.get(), &moments(&TERMS, &steps)))?;
    });
}

/// Whether the ledger keeps every moment of a life, from the first record on.
async fn lives_on(store: &Store, n: u32, moments: &[Moment]) -> Result<(), TestCaseError> {
    let born = Service { life: moments[0].life.clone(), ..sample_service(n, &format!("s{n}")) };
    insert(store, &born).await.unwrap();
    prop_assert_eq!(&listed(store, &born).await, &born);
    let mut generation = 0;
    for Moment { life, .. } in &moments[1..] {
        let service = Service { life: life.clone(), generation, ..born.clone() };
        let saved = store.save(&[Change { service: service.clone(), event: None }]).await.unwrap();
        generation += 1;
        prop_assert_eq!(saved, [SaveOutcome::Saved(generation)]);
        let kept = listed(store, &service).await;
        prop_assert_eq!((kept.status(), &kept.life.phase), (life.status(), &life.phase));
        prop_assert_eq!(&kept, &Service { generation, ..service });
    }
    Ok(())
}

#[tokio::test]
async fn rows_of_version_0_1_0_are_listed_and_saved_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    let lives: Vec<&str> = V0_1_0.lines().filter(|line| line.starts_with('{')).collect();
    let mut expected = Vec::new();
    for (n, life) in (1..).zip(&lives) {
        let life = life.trim_end_matches(',');
        let row: Value = serde_json::from_str(life).unwrap();
        let service = sample_service(n, &format!("s{n}"));
        let (status, job) = told(&row);
        let spec = serde_json::to_string(&service.spec).unwrap().replace('\'', "''");
        let life = life.replace('\'', "''");
        execute(
            &path,
            &format!(
                "INSERT INTO services (id, name, profile, status, ended, unfinished, created_at, generation, spec, life) \
                 VALUES ('{}', 's{n}', 'lab', '{status}', {}, 1, {}, 4, '{spec}', '{life}')",
                service.id,
                status.is_terminal(),
                service.created_at.as_micros(),
            ),
        )
        .await;
        expected.push((service.id, status, job));
    }
    let listing = store.list(Select::All).await.unwrap();
    assert_eq!(listing.damaged, []);
    let found: Vec<_> = listing
        .services
        .iter()
        .map(|service| (service.id, service.status(), service.life.phase.job().map(|job| job.id.to_string())))
        .collect();
    assert_eq!(found, expected);
    for service in &listing.services {
        let outcome = store.save(&[Change { service: service.clone(), event: None }]).await.unwrap();
        assert_eq!(outcome, [SaveOutcome::Saved(5)]);
        assert_eq!(listed(&store, service).await, Service { generation: 5, ..service.clone() });
    }
}

/// The status and the job's id that a row tells of, read without the program.
fn told(row: &Value) -> (Status, Option<String>) {
    let phase = &row["phase"];
    let (name, body) = match phase.as_object() {
        Some(object) => object.iter().next().map(|(name, body)| (name.as_str(), body)).unwrap(),
        None => (phase.as_str().unwrap(), phase),
    };
    let status = match name {
        "ended" => body["status"].as_str().unwrap(),
        "intent" | "sending" | "accepted" => "SUBMITTED",
        name => name,
    };
    (status.parse().unwrap(), body["job"]["id"].as_str().map(str::to_owned))
}
