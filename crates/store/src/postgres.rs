//! A ledger in a database of a PostgreSQL server.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqlxPostgresConnector, Statement, TransactionTrait,
};
use towline_core::ports::{LedgerError, Pass};

use crate::faults::Faults;
use crate::location::PostgresUrl;
use crate::migration::migrate;

/// Connections to the server at most, opened as they are needed.
const CONNECTIONS: u32 = 4;

/// How much longer than for locks is waited for a connection to be made, or to be free.
const CONNECT: Duration = Duration::from_secs(5);

/// Opens the database at `url` with the schema of this program.
pub(crate) async fn open(
    url: &PostgresUrl,
    patience: Duration,
    faults: &Faults,
) -> Result<DatabaseConnection, LedgerError> {
    let db = open_as_it_is(url, patience, faults).await?;
    migrate(&db, faults).await?;
    Ok(db)
}

/// Opens the database at `url` as it is: nothing is brought up to date.
pub(crate) async fn open_as_it_is(
    url: &PostgresUrl,
    patience: Duration,
    faults: &Faults,
) -> Result<DatabaseConnection, LedgerError> {
    let options: PgConnectOptions = url.secret().parse().map_err(|error| faults.driver(&error))?;
    let options = options.application_name("towline").disable_statement_logging();
    let limit = patience.saturating_add(CONNECT);
    reach(&options, limit, faults).await?;
    let settings = format!(
        "SET lock_timeout = {}; SET default_transaction_isolation = 'read committed'",
        patience.as_millis().clamp(1, i32::MAX as u128)
    );
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(limit)
        .after_connect(move |connection, _| {
            let settings = AssertSqlSafe(settings.clone());
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        })
        .connect_lazy_with(options);
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Waits for the advisory lock of a profile for so long and holds it as long as what it returns lives, in a
/// transaction of its own.
pub(crate) async fn enter(db: &DatabaseConnection, profile: &str, patience: Duration) -> Result<Pass, DbErr> {
    let txn = db.begin().await?;
    txn.execute_unprepared(&format!("SET LOCAL lock_timeout = {}", patience.as_millis())).await?;
    let lock = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        [format!("towline look {profile}").into()],
    );
    txn.execute_raw(lock).await?;
    Ok(Box::new(txn))
}

/// Connects once, to learn at once why the server cannot be reached: a pool takes a refused connection for a server
/// that starts up, tries until its time is over, and then knows no reason.
async fn reach(options: &PgConnectOptions, limit: Duration, faults: &Faults) -> Result<(), LedgerError> {
    match tokio::time::timeout(limit, options.connect()).await {
        Ok(Ok(connection)) => connection.close().await.map_err(|error| faults.driver(&error)),
        Ok(Err(error)) => Err(faults.driver(&error)),
        Err(_) => Err(faults.failed(format!("the server did not answer within {} s", limit.as_secs()))),
    }
}
