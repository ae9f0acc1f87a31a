//! Single rows that somebody has damaged.

use towline_core::ports::{Change, DamagedRow, Ledger, LedgerError, SaveOutcome, Select};
use towline_core::testing::sample_service;
use towline_store::Store;

use crate::postgres_server::Schema;
use crate::shared::{execute, first_event, insert, open, save, told};

/// SQL that damages the row of a name, and what the ledger says of it then.
const DAMAGES: [(&str, &str, &str); 5] = [
    ("s1", "UPDATE services SET life = '{' WHERE name = 's1'", "bad life: EOF"),
    (
        "s2",
        "UPDATE services SET life = replace(life, '\"intent\"', '\"dreaming\"') WHERE name = 's2'",
        "bad life: unknown variant `dreaming`",
    ),
    ("s3", "UPDATE services SET spec = '[]' WHERE name = 's3'", "bad spec: "),
    ("s4", "UPDATE services SET generation = -1 WHERE name = 's4'", "bad generation: it is negative"),
    ("s5", "UPDATE services SET status = 'DREAMING' WHERE name = 's5'", ""),
];

async fn six_services(store: &Store) {
    for n in 1..=6 {
        insert(store, &sample_service(n, &format!("s{n}"))).await.unwrap();
    }
}

/// A row harms no other: neither in a listing nor in a save of all.
async fn damaged_rows_harm_no_other(store: &Store) {
    let listing = store.list(Select::Unfinished).await.unwrap();
    let damaged: Vec<&str> = listing.damaged.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(damaged, ["s1", "s2", "s3", "s4"]);
    for (DamagedRow { id, problem, .. }, (n, (_, _, told))) in listing.damaged.iter().zip((1..).zip(DAMAGES))
    {
        assert_eq!(*id, sample_service(n, "x").id.to_string());
        assert!(problem.starts_with(told), "{problem}");
    }
    // The status column is for people: the life is what counts.
    let names: Vec<String> = listing.services.iter().map(|service| service.spec.name.to_string()).collect();
    assert_eq!(names, ["s5", "s6"]);
    let change = |n| Change { service: sample_service(n, "x"), event: None };
    let outcomes = store.save(&[change(4), change(5), change(6)]).await.unwrap();
    assert_eq!(outcomes, [SaveOutcome::Conflict, SaveOutcome::Saved(1), SaveOutcome::Saved(1)]);
}

#[tokio::test]
async fn sqlite_tells_damaged_rows_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    six_services(&store).await;
    for (_, damage, _) in DAMAGES {
        execute(&path, damage).await;
    }
    damaged_rows_harm_no_other(&store).await;
}

#[tokio::test]
async fn postgres_tells_damaged_rows_one_by_one() {
    let Some(schema) = Schema::create("postgres_tells_damaged_rows_one_by_one").await else { return };
    let store = schema.open().await;
    six_services(&store).await;
    for (_, damage, _) in DAMAGES {
        schema.execute(damage).await;
    }
    damaged_rows_harm_no_other(&store).await;
    schema.remove().await;
}

#[tokio::test]
async fn columns_of_another_type_harm_their_own_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    six_services(&store).await;
    // SQLite keeps whatever it is given.
    execute(&path, "UPDATE services SET generation = 'many' WHERE name = 's1'").await;
    execute(&path, "PRAGMA foreign_keys = OFF; UPDATE services SET id = 'nobody' WHERE name = 's2'").await;
    execute(&path, "UPDATE services SET life = x'ff00' WHERE name = 's3'").await;
    let listing = store.list(Select::All).await.unwrap();
    assert_eq!(listing.services.len(), 3);
    let damaged: Vec<_> =
        listing.damaged.iter().map(|row| (row.name.as_str(), row.problem.as_str())).collect();
    assert_eq!(damaged.len(), 3, "{damaged:?}");
    assert!(damaged.iter().any(|(name, told)| *name == "s2" && told.starts_with("bad id: ")), "{damaged:?}");
    assert_eq!(save(&store, &sample_service(1, "s1")).await.unwrap(), SaveOutcome::Conflict);
    assert_eq!(save(&store, &sample_service(4, "s4")).await.unwrap(), SaveOutcome::Saved(1));
}

#[tokio::test]
async fn a_damaged_event_harms_its_own_history() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    six_services(&store).await;
    let bad = sample_service(1, "s1");
    let sql = format!("UPDATE events SET to_status = 'DREAMING' WHERE service_id = '{}'", bad.id);
    execute(&path, &sql).await;
    let error = store.history(bad.id).await.unwrap_err();
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error:?}");
    assert!(told(&error).ends_with("bad event 0: \"DREAMING\" is not a status"), "{}", told(&error));
    let good = sample_service(2, "s2");
    assert_eq!(store.history(good.id).await.unwrap(), [first_event(&good)]);
}
