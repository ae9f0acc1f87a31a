//! Which generations the rows have now, told in one row.
//!
//! Each row that a database answers with wakes this program up: a thousand small ones cost it as much as reading the
//! services themselves. Joined to one text they cost next to nothing.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Alias, Expr, Func, Query, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use towline_core::id::ServiceId;

/// The generation of each row, by its id.
pub(crate) type Generations = BTreeMap<String, i64>;

/// Asks for the generations of the rows that `rows` selects, which must have the columns `id` and `generation`. A row whose
/// generation cannot be read is left out.
pub(crate) async fn generations(
    db: &impl ConnectionTrait,
    rows: SelectStatement,
) -> Result<Generations, DbErr> {
    let join = match db.get_database_backend() {
        DbBackend::Postgres => "string_agg",
        _ => "group_concat",
    };
    let pair = Expr::cust("id || ' ' || generation");
    let joined: SimpleExpr = Func::cust(Alias::new(join)).args([pair, Expr::val(",")]).into();
    let query = Query::select().expr(joined).from_subquery(rows, Alias::new("rows_now")).take();
    let row = db.query_one(&query).await?;
    let text: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
    let pairs = text.as_deref().unwrap_or_default().split(',').filter_map(|pair| pair.split_once(' '));
    Ok(pairs.filter_map(|(id, generation)| Some((id.to_owned(), generation.parse().ok()?))).collect())
}

/// The ids of those rows that are not as they are `known`: of another generation, or not known at all.
pub(crate) fn changed(current: Generations, known: &BTreeMap<ServiceId, u64>) -> Vec<String> {
    let mut known: BTreeMap<String, u64> = known.iter().map(|(id, now)| (id.to_string(), *now)).collect();
    let mut ids: Vec<String> = current
        .into_iter()
        .filter(|(id, now)| known.remove(id).is_none_or(|known| u64::try_from(*now) != Ok(known)))
        .map(|(id, _)| id)
        .collect();
    // No longer unfinished, or removed.
    ids.extend(known.into_keys());
    ids
}
