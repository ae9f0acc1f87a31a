//! A ledger in a file of SQLite.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqlxSqliteConnector, Statement};
use tokio::time::{Instant, sleep};
use towline_core::ports::LedgerError;

use crate::faults::{Faults, NoLedger};
use crate::migration::{is_new_file, migrate};

/// Who has just given one back and asks for the next would mostly be given a new one, which costs more time and memory
/// than to wait for it.
const CONNECTIONS: u32 = 1;

/// What is appended to the name of the file that is locked while the ledger is opened.
pub(crate) const LOCK: &str = ".lock";

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
    let guard = lock(&with_suffix(path, LOCK), patience, faults).await?;
    create_file(path).map_err(|error| faults.file("create it", &error))?;
    check_size(path, faults)?;
    let db = connect(path, patience, false).await.map_err(|error| faults.driver(&error))?;
    let outcome = prepare(&db, faults).await;
    if outcome.is_err() {
        // Else it is closed some time later, by a thread of its own. What it says is of no more interest.
        db.close_by_ref().await.ok();
    }
    drop(guard);
    outcome.map(|()| db)
}

/// Opens the file at `path` as it is: nothing is created, locked for opening or brought up to date.
pub(crate) async fn open_as_it_is(
    path: &Path,
    patience: Duration,
    faults: &Faults,
) -> Result<DatabaseConnection, LedgerError> {
    if path.is_dir() {
        return Err(faults.failed("it is a directory"));
    }
    check_size(path, faults)?;
    // A connection reads the file as soon as it is made, for its pragmas. In a directory that cannot be written SQLite
    // reads a WAL database only if it is told that nobody writes it (<https://sqlite.org/wal.html#readonly>).
    let connected = match connect(path, patience, false).await {
        Err(error) if faults.lacks_a_file(&error) && !with_suffix(path, "-wal").exists() => {
            connect(path, patience, true).await
        }
        connected => connected,
    };
    connected.map_err(|error| faults.driver(&error))
}

fn check_size(path: &Path, faults: &Faults) -> Result<(), LedgerError> {
    let size = path.metadata().map_err(|error| faults.file("look at it", &error))?.len();
    if (1..SMALLEST).contains(&size) {
        let problem = format!("a file of {size} bytes is not a database");
        return Err(faults.corrupt(NoLedger::NoDatabase(problem)));
    }
    Ok(())
}

async fn prepare(db: &DatabaseConnection, faults: &Faults) -> Result<(), LedgerError> {
    let fault = |error: DbErr| faults.database(&error);
    if is_new_file(db, faults).await? || journal_mode(db).await.map_err(fault)? == ROLLBACK {
        // Kept in the file: readers and a writer do not block each other from now on. A copy that was made as a
        // backup has lost it.
        db.execute_unprepared("PRAGMA journal_mode = WAL").await.map_err(fault)?;
    }
    migrate(db, faults).await
}

/// The mode of a new file, and of the copy that `VACUUM INTO` makes (<https://sqlite.org/lang_vacuum.html>).
const ROLLBACK: &str = "delete";

async fn journal_mode(db: &DatabaseConnection) -> Result<String, DbErr> {
    let pragma = Statement::from_string(DbBackend::Sqlite, "PRAGMA journal_mode");
    let row = db.query_one_raw(pragma).await?;
    row.map_or_else(|| Ok(String::new()), |row| row.try_get_by_index(0))
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
    immutable: bool,
) -> Result<DatabaseConnection, sqlx::Error> {
    // Options of each connection, not of the first one only.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .immutable(immutable)
        .foreign_keys(true)
        .busy_timeout(patience)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("temp_store", "memory")
        // In KiB: a ledger is read from end to end, once, and what is read is kept elsewhere.
        .pragma("cache_size", "-128")
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .acquire_timeout(patience.saturating_add(Duration::from_secs(5)))
        .connect_with(options)
        .await?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

#[cfg(test)]
mod tests {
    use sea_orm::Database;
    use sea_orm::sqlx::{Acquire as _, Row as _};

    use super::*;
    use crate::location::Location;
    use crate::store::begin;

    const PATIENCE: Duration = Duration::from_millis(300);

    async fn opened(path: &Path) -> DatabaseConnection {
        let faults = Faults::new(&Location::Sqlite(path.to_owned()), PATIENCE);
        open(path, PATIENCE, &faults).await.unwrap()
    }

    #[tokio::test]
    async fn the_pool_has_one_connection_with_its_pragmas() {
        let dir = tempfile::tempdir().unwrap();
        let db = opened(&dir.path().join("towline.db")).await;
        let pool = db.get_sqlite_connection_pool();
        let mut connection = pool.acquire().await.unwrap();
        let connected = connection.acquire().await.unwrap();
        let mut told = Vec::new();
        for pragma in ["foreign_keys", "busy_timeout", "synchronous", "journal_mode", "temp_store"] {
            let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
            let row = sqlx::query(sql).fetch_one(&mut *connected).await.unwrap();
            told.push(row.try_get::<i64, _>(0).map_or_else(|_| row.get(0), |number| number.to_string()));
        }
        // 1 is NORMAL, 2 is MEMORY (<https://sqlite.org/pragma.html#pragma_synchronous>).
        assert_eq!(told, ["1", "300", "1", "wal", "2"]);
        assert!(pool.try_acquire().is_none(), "there is no second");
    }

    #[tokio::test]
    async fn a_transaction_that_may_write_holds_the_write_lock_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("towline.db");
        let (one, other) = (opened(&path).await, opened(&path).await);
        let txn = begin(&one).await.unwrap();
        let refused = begin(&other).await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("database is locked"), "{refused}");
        txn.rollback().await.unwrap();
        begin(&other).await.unwrap().rollback().await.unwrap();
    }

    #[tokio::test]
    async fn a_ledger_in_another_journal_mode_is_turned_back_to_wal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("towline.db");
        opened(&path).await.close().await.unwrap();
        // Turned so by another program, which must have it for itself.
        let other = Database::connect(format!("sqlite://{}", path.display())).await.unwrap();
        other.execute_unprepared("PRAGMA journal_mode = DELETE").await.unwrap();
        assert_eq!(journal_mode(&other).await.unwrap(), ROLLBACK);
        other.close().await.unwrap();
        let db = opened(&path).await;
        assert_eq!(journal_mode(&db).await.unwrap(), "wal");
    }
}
