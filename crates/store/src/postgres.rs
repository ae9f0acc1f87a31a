//! A ledger in a database of a PostgreSQL server.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, Executor};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
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

/// Waits for the advisory lock of a profile for so long and holds it as long as what it returns lives. The server ends
/// the session of whoever has held it for `limit`.
///
/// On a connection of its own: whoever waits for a lock must not keep the others of this program from the ledger.
pub(crate) async fn enter(
    url: &PostgresUrl,
    profile: &str,
    patience: Duration,
    limit: Duration,
) -> Option<Pass> {
    let locked = async {
        let options: PgConnectOptions = url.secret().parse()?;
        let mut connection =
            options.application_name("towline").disable_statement_logging().connect().await?;
        let settings = format!(
            "BEGIN; SET LOCAL lock_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = {}",
            patience.as_millis().clamp(1, i32::MAX as u128),
            limit.as_millis().clamp(1, i32::MAX as u128),
        );
        connection.execute(AssertSqlSafe(settings)).await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))");
        lock.bind(format!("towline look {profile}")).execute(&mut connection).await?;
        Ok::<_, sqlx::Error>(connection)
    };
    let connection = tokio::time::timeout(patience.saturating_add(CONNECT), locked).await.ok()?.ok()?;
    Some(Box::new(connection))
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
