//! A ledger in a file of SQLite.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{ConnectionTrait, DatabaseConnection, SqlxSqliteConnector};
use tokio::time::{Instant, sleep};
use towline_core::ports::LedgerError;

use crate::faults::Faults;
use crate::migration::{is_new_file, migrate};

/// Readers beside the one writer that SQLite allows; most programs only ever open the first.
const CONNECTIONS: u32 = 4;

/// How often a lock file that somebody else holds is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The least that a database of SQLite takes: one page of the smallest size. SQLite takes less than that for an empty
/// database and writes over it.
const SMALLEST: u64 = 512;

/// Opens the file at `path`, created if missing, with the schema of this program.
pub(crate) async fn open(
    path: &Path,
    patience: Duration,
    faults: &Faults,
) -> Result<DatabaseConnection, LedgerError> {
    if path.is_dir() {
        return Err(faults.failed("it is a directory"));
    }
    create_directories(path).map_err(|error| faults.file("create its directory", &error))?;
    // Two programs that meet a new file would both turn it to WAL and create its tables, and one of them would fail.
    let guard = lock(&with_suffix(path, ".lock"), patience, faults).await?;
    create_file(path).map_err(|error| faults.file("create it", &error))?;
    let size = path.metadata().map_err(|error| faults.file("look at it", &error))?.len();
    if (1..SMALLEST).contains(&size) {
        return Err(faults.corrupt(format!("a file of {size} bytes is not a database")));
    }
    let db = connect(path, patience, faults).await?;
    let outcome = prepare(&db, faults).await;
    if outcome.is_err() {
        // Else it is closed some time later, by a thread of its own. What it says is of no more interest.
        db.close_by_ref().await.ok();
    }
    drop(guard);
    outcome.map(|()| db)
}

async fn prepare(db: &DatabaseConnection, faults: &Faults) -> Result<(), LedgerError> {
    if is_new_file(db, faults).await? {
        // Kept in the file: readers and a writer do not block each other from now on.
        db.execute_unprepared("PRAGMA journal_mode = WAL").await.map_err(|error| faults.database(&error))?;
    }
    migrate(db, faults).await
}

fn create_directories(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)
        }
        Some(_) | None => Ok(()),
    }
}

/// Creates the file with its mode, since SQLite would follow the umask; its `-wal` and `-shm` take after it.
///
/// An existing file is not even opened: to close it again would drop the locks that SQLite holds on it in this process
/// (<https://sqlite.org/howtocorrupt.html>, 2.2).
fn create_file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The path of a file beside that at `path`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Locks the file at `path` (flock(2)) until it is dropped, or the process ends in whichever way.
pub(crate) async fn lock(path: &Path, patience: Duration, faults: &Faults) -> Result<File, LedgerError> {
    let fault = |error: io::Error| faults.file("lock it", &error);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(fault)?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Err(faults.locked()),
            Err(TryLockError::WouldBlock) => sleep(LOCK_RETRY).await,
        }
    }
}

async fn connect(
    path: &Path,
    patience: Duration,
    faults: &Faults,
) -> Result<DatabaseConnection, LedgerError> {
    // Options of each connection, not of the first one only.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(patience)
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .acquire_timeout(patience.saturating_add(Duration::from_secs(5)))
        .connect_with(options)
        .await
        .map_err(|error| faults.driver(&error))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}
