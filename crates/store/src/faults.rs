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
    /// Whether it is a file, where nothing but locks makes a connection wait.
    is_file: bool,
}

/// What is wrong with a file that is no ledger at all. Its `Display` is the whole of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoLedger {
    /// A database of another program.
    #[error("{0}")]
    Foreign(String),
    /// No database, or one whose very beginning is damaged.
    #[error("{0}")]
    NoDatabase(String),
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
        let is_file = matches!(location, Location::Sqlite(_));
        Self { location: location.to_string(), patience, is_file }
    }

    /// An error of the database or of the way to it.
    pub(crate) fn database(&self, error: &DbErr) -> LedgerError {
        match (error, sqlx_error(error)) {
            (DbErr::ConnectionAcquire(ConnAcquireErr::Timeout), _) => self.no_connection(),
            (_, Some(error)) => self.driver(error),
            (_, None) => self.failed(error.to_string()),
        }
    }

    /// An error of the database's driver.
    pub(crate) fn driver(&self, error: &sqlx::Error) -> LedgerError {
        match error {
            sqlx::Error::Database(error) if sqlite_code(error.as_ref()) == Some(NOTADB) => {
                self.corrupt(NoLedger::NoDatabase(words(error.as_ref())))
            }
            sqlx::Error::Database(error) => self.told(trouble(error.as_ref()), words(error.as_ref()).into()),
            sqlx::Error::PoolTimedOut => self.no_connection(),
            _ => self.failed(error.to_string()),
        }
    }

    /// Whether SQLite could not open a file that it needs, or make one beside it: it says the one or the other of a
    /// directory that cannot be written.
    pub(crate) fn lacks_a_file(&self, error: &sqlx::Error) -> bool {
        const CANTOPEN: u32 = 14;
        const READONLY_DIRECTORY: u32 = 1544;
        let sqlx::Error::Database(error) = error else { return false };
        sqlite_code(error.as_ref()).is_some_and(|code| code & 0xff == CANTOPEN || code == READONLY_DIRECTORY)
    }

    /// What is wrong with a database that has refused to read itself, if that is damage: in a file anything is that
    /// keeps it from being read for good, such as a table that is not there.
    ///
    /// # Errors
    /// Those that tell of something else than damage.
    pub(crate) fn damage(&self, error: LedgerError) -> Result<String, LedgerError> {
        match error {
            LedgerError::Corrupt { source, .. } => Ok(source.to_string()),
            LedgerError::Failed { source, .. } if self.is_file => Ok(source.to_string()),
            other => Err(other),
        }
    }

    /// A pool that had no connection to give in time.
    fn no_connection(&self) -> LedgerError {
        if self.is_file {
            self.locked()
        } else {
            self.failed("no connection to the server was to be had in time")
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
    match error.code() {
        _ if is_sqlite(error) => sqlite_code(error).map_or(Trouble::Other, sqlite_trouble),
        Some(code) => postgres_trouble(&code),
        None => Trouble::Other,
    }
}

fn is_sqlite(error: &dyn DatabaseError) -> bool {
    error.as_error().is::<SqliteError>()
}

/// What SQLite says of a file that does not begin as a database does.
const NOTADB: u32 = 26;

/// The extended result code of an error of SQLite.
fn sqlite_code(error: &dyn DatabaseError) -> Option<u32> {
    error.code().filter(|_| is_sqlite(error))?.parse().ok()
}

/// By SQLite's extended result codes, whose low byte is the primary one (<https://sqlite.org/rescode.html>).
fn sqlite_trouble(code: u32) -> Trouble {
    const IOERR_SHORT_READ: u32 = 522; // the file is shorter than its header says
    const IOERR_SHMSIZE: u32 = 4874; // the `-shm` file could not be made longer
    match (code, code & 0xff) {
        (IOERR_SHORT_READ, _) => Trouble::Corrupt,
        (IOERR_SHMSIZE, _) => Trouble::Full,
        (_, 5 | 6) => Trouble::Locked,        // BUSY, LOCKED
        (_, 8) => Trouble::ReadOnly,          // READONLY
        (_, 11 | NOTADB) => Trouble::Corrupt, // CORRUPT, NOTADB
        (_, 13) => Trouble::Full,             // FULL
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(trouble: &Trouble) -> &'static str {
        match trouble {
            Trouble::Locked => "locked",
            Trouble::ReadOnly => "read-only",
            Trouble::Full => "full",
            Trouble::Corrupt => "corrupt",
            Trouble::Other => "other",
        }
    }

    #[test]
    fn extended_codes_of_sqlite_are_told_by_their_primary_code() {
        for (code, expected) in [
            (5, "locked"),       // BUSY
            (517, "locked"),     // BUSY_SNAPSHOT
            (262, "locked"),     // LOCKED_SHAREDCACHE
            (8, "read-only"),    // READONLY
            (1032, "read-only"), // READONLY_DBMOVED
            (11, "corrupt"),     // CORRUPT
            (779, "corrupt"),    // CORRUPT_INDEX
            (26, "corrupt"),     // NOTADB
            (522, "corrupt"),    // IOERR_SHORT_READ
            (13, "full"),        // FULL
            (4874, "full"),      // IOERR_SHMSIZE
            (10, "other"),       // IOERR
            (14, "other"),       // CANTOPEN
            (1, "other"),        // ERROR
        ] {
            assert_eq!(name(&sqlite_trouble(code)), expected, "{code}");
        }
    }

    #[test]
    fn states_of_postgres_are_told() {
        for (code, expected) in [
            ("55P03", "locked"),
            ("25006", "read-only"),
            ("53100", "full"),
            ("XX001", "corrupt"),
            ("28P01", "other"),
            ("", "other"),
        ] {
            assert_eq!(name(&postgres_trouble(code)), expected, "{code}");
        }
    }

    #[test]
    fn files_are_told_by_the_kind_of_their_error() {
        let faults = Faults::new(&Location::Sqlite("/x/y.db".into()), Duration::ZERO);
        let told = |kind: io::ErrorKind| faults.file("create it", &kind.into());
        assert!(matches!(told(io::ErrorKind::QuotaExceeded), LedgerError::Full { .. }));
        assert!(matches!(told(io::ErrorKind::StorageFull), LedgerError::Full { .. }));
        assert!(matches!(told(io::ErrorKind::PermissionDenied), LedgerError::ReadOnly { .. }));
        assert!(matches!(told(io::ErrorKind::NotADirectory), LedgerError::Failed { .. }));
    }
}
