//! What the rows are now, told in one row.
//!
//! Each row that a database answers with wakes this program up: a thousand small ones cost it as much as reading the
//! services themselves. Joined to one text they cost next to nothing.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Alias, Expr, Func, LockType, Query, SimpleExpr};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use towline_core::id::ServiceId;

use crate::entity::service;
use crate::row::LifeColumns;

/// How often a row was changed, and the columns by which it is selected, as it has them now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) generation: i64,
    selected_by: String,
}

impl Current {
    /// Whether it has these columns already. To write them again would cost as much as all the others: each stands in an
    /// index.
    pub(crate) fn is_selected_as(&self, columns: &LifeColumns) -> bool {
        let LifeColumns { status, ended, unfinished, .. } = columns;
        self.selected_by == format!("{status} {} {}", u8::from(*ended), u8::from(*unfinished))
    }
}

/// Asks what the rows are now for which `which` holds, by their ids; locked against other writers until the transaction
/// ends if `is_locked`. A row whose generation cannot be read is left out.
pub(crate) async fn current(
    db: &impl ConnectionTrait,
    which: SimpleExpr,
    is_locked: bool,
) -> Result<BTreeMap<String, Current>, DbErr> {
    use service::Column::{Ended, Generation, Id, Status, Unfinished};
    let mut rows = service::Entity::find().select_only().columns([Id, Generation, Status, Ended, Unfinished]);
    rows = rows.filter(which);
    if is_locked {
        rows = rows.order_by_asc(Id).lock(LockType::Update);
    }
    let join = match db.get_database_backend() {
        DbBackend::Postgres => "string_agg",
        _ => "group_concat",
    };
    let line = Expr::cust(
        "id || ' ' || generation || ' ' || status || ' ' || CASE WHEN ended THEN 1 ELSE 0 END || ' ' || \
         CASE WHEN unfinished THEN 1 ELSE 0 END",
    );
    let joined: SimpleExpr = Func::cust(Alias::new(join)).args([line, Expr::val("\n")]).into();
    let query = Query::select().expr(joined).from_subquery(rows.into_query(), Alias::new("rows_now")).take();
    let row = db.query_one(&query).await?;
    let text: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
    Ok(text.as_deref().unwrap_or_default().lines().filter_map(read).collect())
}

fn read(line: &str) -> Option<(String, Current)> {
    let (id, rest) = line.split_once(' ')?;
    let (generation, selected_by) = rest.split_once(' ')?;
    Some((
        id.to_owned(),
        Current { generation: generation.parse().ok()?, selected_by: selected_by.to_owned() },
    ))
}

/// The ids of those rows that are not as they are `known`: of another generation, or not known at all.
pub(crate) fn changed(current: BTreeMap<String, Current>, known: &BTreeMap<ServiceId, u64>) -> Vec<String> {
    let mut known: BTreeMap<String, u64> = known.iter().map(|(id, now)| (id.to_string(), *now)).collect();
    let mut ids: Vec<String> = current
        .into_iter()
        .filter(|(id, now)| known.remove(id).is_none_or(|known| u64::try_from(now.generation) != Ok(known)))
        .map(|(id, _)| id)
        .collect();
    // No longer unfinished, or removed.
    ids.extend(known.into_keys());
    ids
}
