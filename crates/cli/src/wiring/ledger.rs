//! The ledger as a whole: where it is, whether it is sound, and a copy of it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use towline_store::{BackupError, CheckReport, Location, Problem, Store};

use super::ledger_location;
use crate::config::{Config, Paths};
use crate::exit::{Failure, Kind, Outcome};

/// Where the ledger is.
#[derive(Debug, Serialize)]
pub(crate) struct LedgerPlace {
    /// A path, or a URL without a password.
    pub(crate) ledger: String,
    /// `sqlite` or `postgresql`.
    pub(crate) database: &'static str,
}

/// What a check of the ledger found.
#[derive(Debug, Serialize)]
pub(crate) struct LedgerCheck {
    /// Where the ledger is.
    #[serde(flatten)]
    pub(crate) place: LedgerPlace,
    /// Whether nothing is wrong.
    pub(crate) sound: bool,
    /// How many services could be read.
    pub(crate) services: usize,
    /// How many rows of history could be read.
    pub(crate) events: usize,
    /// What is wrong.
    pub(crate) problems: Vec<Damage>,
}

/// One thing that is wrong with the ledger.
#[derive(Debug, Serialize)]
pub(crate) struct Damage {
    /// `database`, `service` or `history`.
    pub(crate) of: &'static str,
    /// The id of the service as it stands in the row, if it is one service's.
    pub(crate) id: Option<String>,
    /// What is wrong, in a line that names it.
    pub(crate) problem: String,
}

impl From<&Problem> for Damage {
    fn from(problem: &Problem) -> Self {
        let (of, id) = match problem {
            Problem::Service { id, .. } => ("service", Some(id.clone())),
            Problem::History { id, .. } => ("history", Some(id.clone())),
            _ => ("database", None),
        };
        Self { of, id, problem: problem.to_string() }
    }
}

/// Where the ledger is.
///
/// # Errors
/// [`Kind::Config`] for a URL that cannot be understood.
pub(crate) fn ledger_place(config: &Config, paths: &Paths) -> Outcome<LedgerPlace> {
    Ok(place(&ledger_location(config, paths)?))
}

/// The file of the ledger, if it is one.
pub(crate) fn ledger_file(config: &Config, paths: &Paths) -> Option<PathBuf> {
    match ledger_location(config, paths) {
        Ok(Location::Sqlite(path)) => Some(path),
        _ => None,
    }
}

fn place(location: &Location) -> LedgerPlace {
    let database = match location {
        Location::Sqlite(_) => "sqlite",
        Location::Postgres(_) => "postgresql",
    };
    LedgerPlace { ledger: location.to_string(), database }
}

/// Looks for damage in the ledger, and changes nothing.
///
/// # Errors
/// [`Kind::NotFound`] if there is none yet, and whatever keeps it from being looked at. Damage is no error.
pub(crate) async fn check_ledger(config: &Config, paths: &Paths) -> Outcome<LedgerCheck> {
    let location = existing(config, paths)?;
    let CheckReport { services, events, problems } = Store::check(&location).await?;
    let problems: Vec<Damage> = problems.iter().map(Damage::from).collect();
    Ok(LedgerCheck { place: place(&location), sound: problems.is_empty(), services, events, problems })
}

/// Copies the ledger to a file while it is in use, and tells where the ledger is.
///
/// # Errors
/// [`Kind::NotFound`] if there is none yet, [`Kind::Conflict`] if the file is there and not to be replaced,
/// [`Kind::Refused`] for a ledger in PostgreSQL, and whatever keeps the copy from being made.
pub(crate) async fn back_up_ledger(
    config: &Config,
    paths: &Paths,
    to: &Path,
    replace: bool,
) -> Outcome<LedgerPlace> {
    let location = existing(config, paths)?;
    Store::back_up(&location, to, replace).await?;
    Ok(place(&location))
}

fn existing(config: &Config, paths: &Paths) -> Outcome<Location> {
    let location = ledger_location(config, paths)?;
    match &location {
        Location::Sqlite(path) if !path.exists() => {
            Err(Failure::new(Kind::NotFound, format!("there is no ledger at {location} yet"))
                .hint("the first `towline run` makes it; `towline config show` tells where its place is set"))
        }
        _ => Ok(location),
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let (kind, hint) = match error {
            BackupError::Ledger(error) => return error.into(),
            BackupError::Exists { .. } => (Kind::Conflict, "choose another name, or replace it with --force"),
            BackupError::Server { .. } => {
                (Kind::Refused, "`pg_dump --table=services --table=events --table=towline_migrations URL`")
            }
            BackupError::Itself { .. } => (Kind::Usage, "choose a place of its own for the copy"),
            _ => (Kind::Config, "choose a place that you can write and that has room"),
        };
        Self::from_error(kind, error).hint(hint)
    }
}
