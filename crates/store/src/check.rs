//! A look at a whole ledger for damage. Writes nothing.

use std::collections::BTreeMap;
use std::fmt;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, EntityTrait,
    IsolationLevel, QueryOrder, QueryResult, QueryTrait, Statement, TransactionTrait,
};
use towline_core::ports::LedgerError;
use towline_core::service::{Event, Service};

use crate::entity::{event, service};
use crate::faults::{Faults, NoLedger};
use crate::location::Location;
use crate::migration::{is_new_file, is_new_server};
use crate::row;
use crate::store::{Store, StoreOptions, connect_as_it_is, in_time};

/// What a check of a ledger found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// How many services could be read.
    pub services: usize,
    /// How many rows of history could be read.
    pub events: usize,
    /// Whether nothing was ever recorded: the database is empty, without a table of ours.
    pub is_new: bool,
    /// What is wrong; none for a sound ledger.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a ledger. `Display` tells it in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The database itself is damaged.
    Database {
        /// What the database says.
        problem: String,
    },
    /// It is the database of another program.
    Foreign {
        /// What tells so.
        problem: String,
    },
    /// It is no database, or the very beginning of its file is damaged.
    NoDatabase {
        /// What the database says.
        problem: String,
    },
    /// The record of a service cannot be read, or contradicts itself. It harms no other.
    Service {
        /// The id as it stands in the row.
        id: String,
        /// The name as it stands in the row.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The history of a service cannot be read, has a gap, or does not lead to where the service stands.
    History {
        /// The id of the service as it stands in the row.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database { problem } => write!(f, "the database is damaged: {problem}"),
            Self::Foreign { problem } | Self::NoDatabase { problem } => {
                write!(f, "it is no ledger: {problem}")
            }
            Self::Service { id, name, problem } => {
                write!(f, "the record of service {name} ({id}) is damaged: {problem}")
            }
            Self::History { id, problem } => write!(f, "the history of service {id} is damaged: {problem}"),
        }
    }
}

impl Store {
    /// Looks for damage in the ledger at `location`, as it was at one moment, while others may write: in the database's
    /// own structure (`PRAGMA integrity_check` of SQLite), in each record, in each history, and between the two.
    /// Nothing is created, brought up to date or written.
    ///
    /// # Errors
    /// [`LedgerError::Newer`] if a newer program wrote it, [`LedgerError::Locked`] if it stayed locked, and
    /// [`LedgerError::Failed`] if there is none or it cannot be reached. Damage is no error: it is in the report.
    pub async fn check(location: &Location) -> Result<CheckReport, LedgerError> {
        let patience = StoreOptions::default().busy_timeout;
        let faults = Faults::new(location, patience);
        let checking = async {
            let db = match connect_as_it_is(location, patience, &faults).await {
                Ok(db) => db,
                Err(error) => return damaged(error, &faults),
            };
            let checked = check(&db, &faults).await;
            // Whatever this says, the report is made.
            db.close_by_ref().await.ok();
            checked.or_else(|error| damaged(error, &faults))
        };
        in_time(patience, &faults, checking).await
    }
}

/// The report of a database of which nothing could be read.
fn damaged(error: LedgerError, faults: &Faults) -> Result<CheckReport, LedgerError> {
    // A directory, or no file at all, is no damaged ledger: nothing of the database was read.
    let LedgerError::Corrupt { source, .. } = &error else { return Err(error) };
    let no_ledger = source.downcast_ref::<NoLedger>().cloned();
    let problem = faults.damage(error)?;
    let problem = match no_ledger {
        Some(NoLedger::Foreign(_)) => Problem::Foreign { problem },
        Some(NoLedger::NoDatabase(_)) => Problem::NoDatabase { problem },
        None => Problem::Database { problem },
    };
    Ok(CheckReport { problems: vec![problem], ..CheckReport::default() })
}

async fn check(db: &DatabaseConnection, faults: &Faults) -> Result<CheckReport, LedgerError> {
    let is_file = db.get_database_backend() == DbBackend::Sqlite;
    let is_new = if is_file { is_new_file(db, faults).await? } else { is_new_server(db, faults).await? };
    if is_new {
        return Ok(CheckReport { is_new, ..CheckReport::default() });
    }
    // One moment for all that is read. SQLite takes it at the first reading.
    let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
    let begun = match is_file {
        true => db.begin().await,
        false => db.begin_with_config(Some(isolation), Some(access)).await,
    };
    let txn = begun.map_err(|error| faults.database(&error))?;
    let mut report = CheckReport::default();
    if is_file {
        check_structure(&txn, faults, &mut report).await?;
    }
    let services = check_services(&txn, faults, &mut report).await?;
    check_histories(&txn, services, faults, &mut report).await?;
    Ok(report)
}

/// What SQLite finds in its own structure, and rows of history whose service is not there.
async fn check_structure(
    txn: &DatabaseTransaction,
    faults: &Faults,
    report: &mut CheckReport,
) -> Result<(), LedgerError> {
    let mut add = |problem| report.problems.push(Problem::Database { problem });
    for line in rows(txn, "PRAGMA integrity_check", faults).await? {
        match line {
            Ok(row) => match row.try_get_by_index::<String>(0) {
                Ok(line) if line == "ok" => {}
                Ok(line) => add(line),
                Err(error) => add(error.to_string()),
            },
            Err(problem) => add(problem),
        }
    }
    let strays = rows(txn, "PRAGMA foreign_key_check", faults).await?;
    let count = strays.iter().filter(|stray| stray.is_ok()).count();
    if count > 0 {
        add(format!("{count} rows of history belong to no service"));
    }
    Ok(())
}

/// The rows that a pragma answers with, or what is wrong if it cannot.
async fn rows(
    txn: &DatabaseTransaction,
    pragma: &'static str,
    faults: &Faults,
) -> Result<Vec<Result<QueryResult, String>>, LedgerError> {
    match txn.query_all_raw(Statement::from_string(DbBackend::Sqlite, pragma)).await {
        Ok(rows) => Ok(rows.into_iter().map(Ok).collect()),
        Err(error) => Ok(vec![Err(faults.damage(faults.database(&error))?)]),
    }
}

/// Reads all services, and those that can be read if the table is damaged: by id, or `None` then.
async fn check_services(
    txn: &DatabaseTransaction,
    faults: &Faults,
    report: &mut CheckReport,
) -> Result<Option<BTreeMap<String, Service>>, LedgerError> {
    let query = service::Entity::find().order_by_asc(service::Column::Id);
    let rows = match txn.query_all(query.as_query()).await {
        Ok(rows) => rows,
        Err(error) => {
            let problem = format!("its services cannot be read: {}", faults.damage(faults.database(&error))?);
            report.problems.push(Problem::Database { problem });
            return Ok(None);
        }
    };
    let mut services = BTreeMap::new();
    for row in &rows {
        match row::to_service(row) {
            Ok(service) => {
                let id = service.id.to_string();
                let name = service.spec.name.to_string();
                if let Some(problem) = row::mismatch(row, &service) {
                    report.problems.push(Problem::Service { id: id.clone(), name, problem });
                }
                report.services += 1;
                services.insert(id, service);
            }
            Err(damaged) => {
                let problem = damaged.problem;
                report.problems.push(Problem::Service { id: damaged.id, name: damaged.name, problem });
            }
        }
    }
    Ok(Some(services))
}

async fn check_histories(
    txn: &DatabaseTransaction,
    services: Option<BTreeMap<String, Service>>,
    faults: &Faults,
    report: &mut CheckReport,
) -> Result<(), LedgerError> {
    let query =
        event::Entity::find().order_by_asc(event::Column::ServiceId).order_by_asc(event::Column::Generation);
    let rows = match txn.query_all(query.as_query()).await {
        Ok(rows) => rows,
        Err(error) => {
            let problem =
                format!("its histories cannot be read: {}", faults.damage(faults.database(&error))?);
            report.problems.push(Problem::Database { problem });
            return Ok(());
        }
    };
    let mut histories: BTreeMap<String, Result<Vec<(i64, Event)>, String>> = BTreeMap::new();
    for row in &rows {
        let id: String = row.try_get("", "service_id").unwrap_or_default();
        let history = histories.entry(id).or_insert_with(|| Ok(Vec::new()));
        let generation = row.try_get("", "generation").unwrap_or_default();
        match (row::to_event(row), &mut *history) {
            (Ok(event), Ok(events)) => {
                report.events += 1;
                events.push((generation, event));
            }
            (Ok(_), Err(_)) => report.events += 1,
            (Err(problem), _) => *history = Err(problem.to_string()),
        }
    }
    let known = services.as_ref();
    for (id, service) in known.into_iter().flatten() {
        let history = histories.remove(id).unwrap_or_else(|| Ok(Vec::new()));
        if let Err(problem) = history.and_then(|events| agrees(&events, service)) {
            report.problems.push(Problem::History { id: id.clone(), problem });
        }
    }
    for (id, history) in histories {
        if let Err(problem) = history {
            report.problems.push(Problem::History { id, problem });
        }
    }
    Ok(())
}

/// Whether a history leads, without a gap, to where its service stands.
fn agrees(events: &[(i64, Event)], service: &Service) -> Result<(), String> {
    let mut before = None;
    for (generation, Event { from, to, .. }) in events {
        if *from != before {
            let word = |status: Option<_>| status.map_or("nothing".to_owned(), |status| format!("{status}"));
            return Err(format!("event {generation} leads from {} after {}", word(*from), word(before)));
        }
        before = Some(*to);
    }
    let newest = events.last().map_or(0, |(generation, _)| *generation);
    match before {
        None => Err("it is missing".to_owned()),
        Some(last) if last != service.status() => {
            Err(format!("it ends with {last}, and the service is {}", service.status()))
        }
        Some(_) if u64::try_from(newest).is_ok_and(|newest| newest > service.generation) => {
            Err(format!("event {newest} is newer than the service's generation {}", service.generation))
        }
        Some(_) => Ok(()),
    }
}
