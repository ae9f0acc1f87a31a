//! What a database says when it fails, told in the words of the port.

use std::io;
use std::time::Duration;

use sea_orm::sqlx::{self, error::DatabaseError, sqlite::SqliteError};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use towline_core::ports::{BoxError, LedgerError};

use crate::location::Location;

/// Tells the errors of one ledger.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    /// Path or URL without a password.
    location: String,
    /// How long a lock of somebody else is waited for.
    patience: Duration,
}

/// What kind of trouble it is.
enum Trouble {
    Locked,
    ReadOnly,
    Full,
    Corrupt,
    Other,
}

impl Faults {
    pub(crate) fn new(location: &Location, patience: Duration) -> Self {
        Self { location: location.to_string(), patience }
    }

    /// An error of the database or of the way to it.
    pub(crate) fn database(&self, error: &DbErr) -> LedgerError {
        match (error, sqlx_error(error)) {
            (DbErr::ConnectionAcquire(ConnAcquireErr::Timeout), _) => self.locked(),
            (_, Some(error)) => self.driver(error),
            (_, None) => self.failed(error.to_string()),
        }
    }

    /// An error of the database's driver.
    pub(crate) fn driver(&self, error: &sqlx::Error) -> LedgerError {
        match error {
            sqlx::Error::Database(error) => self.told(trouble(error.as_ref()), words(error.as_ref()).into()),
            sqlx::Error::PoolTimedOut => self.locked(),
            _ => self.failed(error.to_string()),
        }
    }

    /// An error of a file or a directory; `deed` names both.
    pub(crate) fn file(&self, deed: &str, error: &io::Error) -> LedgerError {
        let trouble = match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Trouble::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Full,
            _ => Trouble::Other,
        };
        self.told(trouble, format!("failed to {deed}: {error}").into())
    }

    /// A lock of somebody else that outlasted our patience.
    pub(crate) fn locked(&self) -> LedgerError {
        LedgerError::Locked { location: self.location.clone(), waited: self.patience }
    }

    /// A schema that this program does not know.
    pub(crate) fn newer(&self, found: String, known: String) -> LedgerError {
        LedgerError::Newer { location: self.location.clone(), found, known }
    }

    /// Content that is not ours, or not as we left it.
    pub(crate) fn corrupt(&self, problem: impl Into<BoxError>) -> LedgerError {
        self.told(Trouble::Corrupt, problem.into())
    }

    /// Anything else.
    pub(crate) fn failed(&self, problem: impl Into<BoxError>) -> LedgerError {
        self.told(Trouble::Other, problem.into())
    }

    fn told(&self, trouble: Trouble, source: BoxError) -> LedgerError {
        let location = self.location.clone();
        match trouble {
            Trouble::Locked => self.locked(),
            Trouble::ReadOnly => LedgerError::ReadOnly { location, source },
            Trouble::Full => LedgerError::Full { location, source },
            Trouble::Corrupt => LedgerError::Corrupt { location, source },
            Trouble::Other => LedgerError::Failed { location, source },
        }
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn trouble(error: &dyn DatabaseError) -> Trouble {
    let code = error.code();
    match code.as_deref() {
        Some(code) if is_sqlite(error) => code.parse().map_or(Trouble::Other, sqlite_trouble),
        Some(code) => postgres_trouble(code),
        None => Trouble::Other,
    }
}

fn is_sqlite(error: &dyn DatabaseError) -> bool {
    error.as_error().is::<SqliteError>()
}

/// By SQLite's extended result codes, whose low byte is the primary one (<https://sqlite.org/rescode.html>).
fn sqlite_trouble(code: u32) -> Trouble {
    const IOERR_SHORT_READ: u32 = 522; // the file is shorter than its header says
    const IOERR_SHMSIZE: u32 = 4874; // the `-shm` file could not be made longer
    match (code, code & 0xff) {
        (IOERR_SHORT_READ, _) => Trouble::Corrupt,
        (IOERR_SHMSIZE, _) => Trouble::Full,
        (_, 5 | 6) => Trouble::Locked,    // BUSY, LOCKED
        (_, 8) => Trouble::ReadOnly,      // READONLY
        (_, 11 | 26) => Trouble::Corrupt, // CORRUPT, NOTADB
        (_, 13) => Trouble::Full,         // FULL
        _ => Trouble::Other,
    }
}

/// By SQLSTATE (<https://www.postgresql.org/docs/15/errcodes-appendix.html>).
fn postgres_trouble(code: &str) -> Trouble {
    match code {
        "55P03" => Trouble::Locked,            // lock_not_available
        "25006" => Trouble::ReadOnly,          // read_only_sql_transaction
        "53100" => Trouble::Full,              // disk_full
        "XX001" | "XX002" => Trouble::Corrupt, // data_corrupted, index_corrupted
        _ => Trouble::Other,
    }
}

/// The database's own words, with the code by which they can be looked up.
fn words(error: &dyn DatabaseError) -> String {
    let database = if is_sqlite(error) { "SQLite" } else { "SQLSTATE" };
    match error.code() {
        Some(code) => format!("{} ({database} {code})", error.message()),
        None => error.message().to_owned(),
    }
}
