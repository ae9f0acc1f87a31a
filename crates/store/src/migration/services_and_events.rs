//! The first schema. Never edited once released: what changes later is a migration of its own.

use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// Services and their history.
pub(super) struct ServicesAndEvents;

/// Understood alike by SQLite and PostgreSQL.
const SCHEMA: [&str; 4] = [
    "CREATE TABLE services (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        profile TEXT NOT NULL,
        status TEXT NOT NULL,
        ended BOOLEAN NOT NULL,
        unfinished BOOLEAN NOT NULL,
        created_at BIGINT NOT NULL,
        generation BIGINT NOT NULL,
        spec TEXT NOT NULL,
        life TEXT NOT NULL
    )",
    "CREATE UNIQUE INDEX services_name_until_ended ON services (name) WHERE NOT ended",
    "CREATE INDEX services_unfinished ON services (unfinished, created_at, id)",
    "CREATE TABLE events (
        service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
        generation BIGINT NOT NULL,
        at BIGINT NOT NULL,
        from_status TEXT,
        to_status TEXT NOT NULL,
        why TEXT NOT NULL,
        PRIMARY KEY (service_id, generation)
    )",
];

impl MigrationName for ServicesAndEvents {
    fn name(&self) -> &str {
        "m0001_services_and_events"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ServicesAndEvents {
    #[expect(elided_lifetimes_in_paths, reason = "the trait elides it, and async_trait tells the two apart")]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in SCHEMA {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
