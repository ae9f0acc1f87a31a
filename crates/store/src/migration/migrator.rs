//! Brings a database up to the schema of this program, or refuses it.

use sea_orm::sea_query::{IntoIden, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, DynIden, Statement};
use sea_orm_migration::{IntoSchemaManagerConnection, MigrationTrait, MigratorTrait, SchemaManager};
use towline_core::ports::LedgerError;

use super::services_and_events::ServicesAndEvents;
use crate::faults::{Faults, NoLedger};
use crate::store::begin;

/// Any number that no other program is likely to lock in the same database.
const ADVISORY_LOCK: i64 = 0x746f_776c_696e_6501;

/// Not the usual name: a PostgreSQL database may be shared with other programs.
const MIGRATIONS: &str = "towline_migrations";

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(ServicesAndEvents)]
    }

    fn migration_table_name() -> DynIden {
        MIGRATIONS.into_iden()
    }
}

/// Whether the database is an empty file of SQLite.
///
/// # Errors
/// [`LedgerError::Corrupt`] if it holds somebody else's tables; else as [`migrate`].
pub(crate) async fn is_new_file(db: &DatabaseConnection, faults: &Faults) -> Result<bool, LedgerError> {
    if !applied(db, faults).await?.is_empty() {
        return Ok(false);
    }
    let any = Statement::from_string(DbBackend::Sqlite, "SELECT name FROM sqlite_schema LIMIT 1");
    match db.query_one_raw(any).await.map_err(|error| faults.database(&error))? {
        Some(row) => {
            let name: String = row.try_get_by_index(0).unwrap_or_default();
            Err(faults.corrupt(NoLedger::Foreign(format!("it holds the table {name:?} of another program"))))
        }
        None => Ok(true),
    }
}

/// Whether the database of a server has no tables of ours yet.
///
/// # Errors
/// As [`migrate`].
pub(crate) async fn is_new_server(db: &DatabaseConnection, faults: &Faults) -> Result<bool, LedgerError> {
    Ok(applied(db, faults).await?.is_empty())
}

/// Whether the database has the schema of this program, and nothing is to be applied.
///
/// # Errors
/// As [`migrate`].
pub(crate) async fn is_current(db: &DatabaseConnection, faults: &Faults) -> Result<bool, LedgerError> {
    Ok(applied(db, faults).await?.len() == Migrator::migrations().len())
}

/// Applies what is missing, all of it or nothing. Of several programs at once one does it and the others wait.
///
/// # Errors
/// [`LedgerError::Newer`] before anything is touched; else what the database says.
pub(crate) async fn migrate(db: &DatabaseConnection, faults: &Faults) -> Result<(), LedgerError> {
    if is_current(db, faults).await? {
        return Ok(());
    }
    let fault = |error: DbErr| faults.database(&error);
    let txn = begin(db).await.map_err(fault)?;
    if txn.get_database_backend() == DbBackend::Postgres {
        let lock = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_advisory_xact_lock($1)",
            [ADVISORY_LOCK.into()],
        );
        txn.execute_raw(lock).await.map_err(fault)?;
    }
    applied(&txn, faults).await?;
    Migrator::up(&txn, None).await.map_err(fault)?;
    txn.commit().await.map_err(fault)
}

/// The migrations that were applied, all of them known. Reads only.
async fn applied<'c>(
    db: impl IntoSchemaManagerConnection<'c>,
    faults: &Faults,
) -> Result<Vec<String>, LedgerError> {
    let found = read_applied(db).await.map_err(|error| faults.database(&error))?;
    let known: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    match found.iter().filter(|name| !known.contains(name)).max() {
        Some(newest) => Err(faults.newer(newest.clone(), known.into_iter().max().unwrap_or_default())),
        None => Ok(found),
    }
}

async fn read_applied<'c>(db: impl IntoSchemaManagerConnection<'c>) -> Result<Vec<String>, DbErr> {
    let manager = SchemaManager::new(db);
    if !manager.has_table(MIGRATIONS).await? {
        return Ok(Vec::new());
    }
    let versions = Query::select().column("version").from(MIGRATIONS).take();
    let rows = manager.get_connection().query_all(&versions).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}
