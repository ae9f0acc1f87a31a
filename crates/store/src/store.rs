//! A ledger that is open.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use towline_core::ports::LedgerError;

use crate::faults::Faults;
use crate::location::Location;
use crate::migration::is_current;
use crate::sqlite;

/// How much longer than for locks a whole call may take. It ends a wait for a server that went silent.
const ANSWER: Duration = Duration::from_secs(20);

/// What can be chosen when a ledger is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// How long to wait for a lock that another program holds. By default 10 seconds.
    pub busy_timeout: Duration,
    /// For how long one program may keep the others from looking at a cluster. By default 2 minutes: a look takes less,
    /// with a login and all commands at their deadlines.
    pub look_timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(10), look_timeout: Duration::from_secs(120) }
    }
}

/// An open ledger in a database. Cheap to clone; the clones share one connection to a file of SQLite, and a few to
/// PostgreSQL. A call that was begun and is not polled any more keeps the others waiting.
///
/// A call that is dropped before it has returned is undone, unless it was at its very last step: then it may stand.
#[derive(Clone, Debug)]
pub struct Store {
    db: DatabaseConnection,
    location: Location,
    faults: Faults,
    patience: Duration,
    look_timeout: Duration,
    has_waited_for_a_look: Arc<AtomicBool>,
}

impl Store {
    /// Opens the ledger at `location` with the usual options; see [`Store::open_with`].
    ///
    /// # Errors
    /// As [`Store::open_with`].
    pub async fn open(location: &Location) -> Result<Self, LedgerError> {
        Self::open_with(location, &StoreOptions::default()).await
    }

    /// Opens the ledger at `location`. A missing file is created (mode 0600, missing directories 0700), a new
    /// database gets its tables, and an older schema is brought up to date; of several programs that do so at once,
    /// one does it and the others wait. Beside a file of SQLite lock files (`.lock` at their end) are left for that and
    /// for the turnstile.
    ///
    /// # Errors
    /// - [`LedgerError::Newer`] if a newer program wrote it; nothing was touched.
    /// - [`LedgerError::Corrupt`] if it is no database, a damaged one, or another program's; nothing was touched.
    /// - [`LedgerError::Locked`] if another program kept it locked for longer than the busy timeout.
    /// - [`LedgerError::ReadOnly`] if it cannot be created or brought up to date for want of permission.
    /// - [`LedgerError::Full`] if no space is left.
    /// - [`LedgerError::Failed`] otherwise: a server that cannot be reached, a refused login.
    pub async fn open_with(location: &Location, options: &StoreOptions) -> Result<Self, LedgerError> {
        let patience = options.busy_timeout;
        let faults = Faults::new(location, patience);
        let opening = async {
            match location {
                Location::Sqlite(path) => sqlite::open(path, patience, &faults).await,
                #[cfg(feature = "postgres")]
                Location::Postgres(url) => crate::postgres::open(url, patience, &faults).await,
                #[cfg(not(feature = "postgres"))]
                Location::Postgres(_) => Err(faults.failed(crate::location::LocationError::NoPostgres)),
            }
        };
        let db = in_time(patience, &faults, opening).await?;
        Ok(Self::new(db, location, faults, options))
    }

    /// Opens the ledger at `location` as it is, for who may not write it: nothing is created or brought up to date.
    ///
    /// # Errors
    /// [`LedgerError::Failed`] if there is none, or not with the schema of this program; else as [`Store::open_with`].
    pub async fn open_as_it_is(location: &Location) -> Result<Self, LedgerError> {
        let options = StoreOptions::default();
        let patience = options.busy_timeout;
        let faults = Faults::new(location, patience);
        let opening = async {
            let db = connect_as_it_is(location, patience, &faults).await?;
            let refused = match is_current(&db, &faults).await {
                Ok(true) => return Ok(db),
                Ok(false) => faults.failed("it does not have the tables of this version"),
                Err(error) => error,
            };
            // What it says is of no more interest.
            db.close_by_ref().await.ok();
            Err(refused)
        };
        let db = in_time(patience, &faults, opening).await?;
        Ok(Self::new(db, location, faults, &options))
    }

    fn new(db: DatabaseConnection, location: &Location, faults: Faults, options: &StoreOptions) -> Self {
        let StoreOptions { busy_timeout: patience, look_timeout } = *options;
        let location = location.clone();
        Self { db, location, faults, patience, look_timeout, has_waited_for_a_look: Arc::default() }
    }

    /// Closes all connections, those of clones too, once what they are doing is done. Not needed for safety: what was
    /// saved stays saved without it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn close(self) -> Result<(), LedgerError> {
        self.db.close_by_ref().await.map_err(|error| self.faults.database(&error))
    }

    pub(crate) fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    pub(crate) const fn look_timeout(&self) -> Duration {
        self.look_timeout
    }

    /// Whether the last look was waited for in vain.
    pub(crate) fn has_waited_for_a_look(&self) -> &AtomicBool {
        &self.has_waited_for_a_look
    }

    pub(crate) const fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Begins a transaction that may write.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, LedgerError> {
        begin(&self.db).await.map_err(self.fault())
    }

    /// Ends one. Before this nothing of it is kept.
    pub(crate) async fn commit(&self, txn: DatabaseTransaction) -> Result<(), LedgerError> {
        txn.commit().await.map_err(self.fault())
    }

    /// Turns the database's errors into the port's.
    pub(crate) fn fault(&self) -> impl Fn(DbErr) -> LedgerError {
        |error| self.faults.database(&error)
    }

    /// Awaits a whole call, but not for ever.
    pub(crate) async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        in_time(self.patience, &self.faults, call).await
    }
}

/// Connects to a database as it is: nothing is created, locked for opening or brought up to date.
pub(crate) async fn connect_as_it_is(
    location: &Location,
    patience: Duration,
    faults: &Faults,
) -> Result<DatabaseConnection, LedgerError> {
    match location {
        Location::Sqlite(path) => sqlite::open_as_it_is(path, patience, faults).await,
        #[cfg(feature = "postgres")]
        Location::Postgres(url) => crate::postgres::open_as_it_is(url, patience, faults).await,
        #[cfg(not(feature = "postgres"))]
        Location::Postgres(_) => Err(faults.failed(crate::location::LocationError::NoPostgres)),
    }
}

pub(crate) async fn in_time<T>(
    patience: Duration,
    faults: &Faults,
    call: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    let limit = patience + ANSWER;
    match tokio::time::timeout(limit, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(faults.failed(format!("it did not answer within {} s", limit.as_secs()))),
    }
}

/// Begins a transaction that may write. On SQLite it takes the write lock at once: one that reads first and writes
/// later is refused without waiting when another program has written in between.
pub(crate) async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let immediate =
        (db.get_database_backend() == DbBackend::Sqlite).then_some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions { sqlite_transaction_mode: immediate, ..TransactionOptions::default() };
    db.begin_with_options(options).await
}
