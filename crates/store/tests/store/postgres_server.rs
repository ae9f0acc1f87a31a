//! The PostgreSQL server that tests may use.

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use towline_store::{Location, Store};
use uuid::Uuid;

use crate::shared::skip;

/// Names the server: a URL whose user may create schemas. `scripts/postgres-for-tests start` prints one.
const VARIABLE: &str = "TOWLINE_TEST_POSTGRES_URL";

/// A schema of its own, gone when it is dropped by [`Schema::remove`].
pub(crate) struct Schema {
    admin: DatabaseConnection,
    name: String,
    url: String,
}

/// Whether tests are to use PostgreSQL; if not, says on the real standard error that the test `test` is skipped.
pub(crate) fn is_wanted(test: &str) -> bool {
    let named = std::env::var_os(VARIABLE).is_some();
    if !named {
        skip(test, &format!("{VARIABLE} is not set"));
    }
    named
}

impl Schema {
    /// Makes one, or says on the real standard error that the test `test` is skipped.
    pub(crate) async fn create(test: &str) -> Option<Self> {
        if !is_wanted(test) {
            return None;
        }
        let server = std::env::var(VARIABLE).unwrap();
        let name = format!("towline_{}", Uuid::now_v7().simple());
        let admin = Database::connect(&server).await.unwrap();
        admin.execute_unprepared(&format!("CREATE SCHEMA {name}")).await.unwrap();
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options=-csearch_path%3D{name}");
        Some(Self { admin, name, url })
    }

    pub(crate) fn location(&self) -> Location {
        self.url.parse().unwrap()
    }

    /// The URL of the schema.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.location()).await.unwrap()
    }

    /// The URL with another password.
    pub(crate) fn url_with_password(&self, password: &str) -> String {
        let (before, after) = self.url.rsplit_once('@').unwrap();
        let user = before.rsplit_once(':').unwrap().0;
        format!("{user}:{password}@{after}")
    }

    /// Host and port of the server.
    pub(crate) fn address(&self) -> String {
        let (_, after) = self.url.rsplit_once('@').unwrap();
        after.split_once('/').unwrap().0.to_owned()
    }

    /// The URL with another host and port.
    pub(crate) fn url_with_address(&self, address: &str) -> String {
        self.url.replacen(&format!("@{}/", self.address()), &format!("@{address}/"), 1)
    }

    /// The URL with one more setting of the session, its `=` written as `%3D`.
    pub(crate) fn url_with_option(&self, option: &str) -> String {
        format!("{}%20-c{option}", self.url)
    }

    /// A connection as another program would make it.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        Database::connect(&self.url).await.unwrap()
    }

    /// Runs SQL in the schema, as another program would.
    pub(crate) async fn execute(&self, sql: &str) {
        let db = self.connect().await;
        db.execute_unprepared(sql).await.unwrap();
        db.close().await.unwrap();
    }

    pub(crate) async fn remove(self) {
        let Self { admin, name, .. } = self;
        admin.execute_unprepared(&format!("DROP SCHEMA {name} CASCADE")).await.unwrap();
        admin.close().await.unwrap();
    }
}
