//! One service. `spec` and `life` are JSON and the only columns that are read back into a service besides `id`,
//! `created_at` and `generation`; the others are for selecting, and for people with an SQL shell.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "services")]
pub struct Model {
    /// The UUID, hyphenated.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The name; unique among the rows that have not `ended`.
    pub name: String,
    pub profile: String,
    /// One of the eight statuses, in upper case.
    pub status: String,
    /// Whether the status is terminal.
    pub ended: bool,
    /// Whether anything is left to do, which may be so after the end.
    pub unfinished: bool,
    /// Microseconds since the UNIX epoch.
    pub created_at: i64,
    pub generation: i64,
    pub spec: String,
    pub life: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
