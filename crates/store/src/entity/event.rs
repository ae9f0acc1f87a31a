//! One row of a service's history. Written once, for people; no decision rests on it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: String,
    /// The generation of the service that this row came with. It orders the history, whatever the clocks said.
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation: i64,
    /// Microseconds since the UNIX epoch.
    pub at: i64,
    /// The status before; NULL for the first row.
    pub from_status: Option<String>,
    pub to_status: String,
    pub why: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
