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
    /// What is there instead of a ledger.
    #[serde(skip)]
    pub(crate) instead: Option<Instead>,
}

/// What is there instead of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// A database of another program.
    Foreign,
    /// No database; or a ledger whose file is damaged at its very beginning.
    NoDatabase,
}

impl Instead {
    fn of(problem: &Problem) -> Option<Self> {
        match problem {
            Problem::Foreign { .. } => Some(Self::Foreign),
            Problem::NoDatabase { .. } => Some(Self::NoDatabase),
            _ => None,
        }
    }
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
/// [`Kind::NotFound`] if there is none yet or it is empty, and whatever keeps it from being looked at. Damage is no
/// error.
pub(crate) async fn check_ledger(config: &Config, paths: &Paths) -> Outcome<LedgerCheck> {
    let location = existing(config, paths)?;
    let CheckReport { services, events, is_new, problems } = Store::check(&location).await?;
    if is_new {
        let empty =
            Failure::new(Kind::NotFound, format!("the ledger {location} is empty: it records nothing yet"));
        return Err(empty.hint(EMPTY));
    }
    let instead = problems.iter().find_map(Instead::of);
    let problems: Vec<Damage> = problems.iter().map(Damage::from).collect();
    let sound = problems.is_empty();
    Ok(LedgerCheck { place: place(&location), sound, services, events, problems, instead })
}

/// Copies the ledger to a file while it is in use, and tells where the ledger is.
///
/// # Errors
/// [`Kind::NotFound`] if there is none yet or it is empty, [`Kind::Conflict`] if the file is there and not to be
/// replaced, [`Kind::Usage`] for a name that no copy can have, [`Kind::Refused`] for a ledger in PostgreSQL, and
/// whatever keeps the copy from being made.
pub(crate) async fn back_up_ledger(
    config: &Config,
    paths: &Paths,
    to: &Path,
    replace: bool,
) -> Outcome<LedgerPlace> {
    if to == Path::new("-") {
        let usage = Failure::new(Kind::Usage, "a copy is not written to standard output");
        return Err(usage.hint("name a file; ./- is one of that name"));
    }
    let location = existing(config, paths)?;
    Store::back_up(&location, to, replace).await?;
    Ok(place(&location))
}

/// What to do about a ledger that is there and empty.
const EMPTY: &str = "the first `towline run` fills it; if services were recorded in it, put a copy of `towline db backup` \
                     in its place";

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
            BackupError::NoFile { .. } => {
                (Kind::Usage, "name a file that is to be made, such as one in that directory if it is one")
            }
            BackupError::Empty { .. } => (Kind::NotFound, EMPTY),
            BackupError::Server { .. } => {
                (Kind::Refused, "`pg_dump --table=services --table=events --table=towline_migrations URL`")
            }
            BackupError::Itself { .. } => (Kind::Usage, "choose a place of its own for the copy"),
            _ => (Kind::Config, "choose a place that you can write and that has room"),
        };
        Self::from_error(kind, error).hint(hint)
    }
}
