//! Many changes in a few statements.

use sea_orm::sea_query::{Expr, ExprTrait, IntoIden, LockType, Query, TableRef, Value, ValueTuple};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};
use towline_core::id::ServiceId;
use towline_core::ports::{Change, LedgerError, SaveOutcome};

use crate::current::{Generations, generations};
use crate::entity::{event, service};
use crate::faults::Faults;
use crate::row::{self, LifeColumns};

/// Rows a statement. SQLite takes 32,766 variables a statement, PostgreSQL 65,535; a row takes six.
pub(crate) const BATCH: usize = 500;

/// Saves `changes` within `txn`: one outcome each, in their order.
pub(crate) async fn save_all(
    txn: &DatabaseTransaction,
    changes: &[Change],
    faults: &Faults,
) -> Result<Vec<SaveOutcome>, LedgerError> {
    let mut outcomes = vec![SaveOutcome::Conflict; changes.len()];
    // Every program locks its rows in the same order, so that no two wait for each other. Changes of the same service
    // keep the order in which they came.
    let mut order: Vec<usize> = (0..changes.len()).collect();
    order.sort_by_key(|index| changes[*index].service.id);
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_length(changes, rest));
        for (index, generation) in save_batch(txn, changes, batch, faults).await? {
            outcomes[index] = SaveOutcome::Saved(generation);
        }
        rest = later;
    }
    Ok(outcomes)
}

/// How many of the first changes fit into one statement: as many as name different services.
fn batch_length(changes: &[Change], order: &[usize]) -> usize {
    let repeated =
        order.windows(2).position(|pair| changes[pair[0]].service.id == changes[pair[1]].service.id);
    repeated.map_or(order.len(), |last| last + 1).min(BATCH)
}

/// Saves those changes that are still current, and says which and their new generations.
async fn save_batch(
    txn: &DatabaseTransaction,
    changes: &[Change],
    batch: &[usize],
    faults: &Faults,
) -> Result<Vec<(usize, u64)>, LedgerError> {
    let fault = |error: DbErr| faults.database(&error);
    let current =
        lock_generations(txn, batch.iter().map(|index| changes[*index].service.id)).await.map_err(fault)?;
    let mut saved = Vec::new();
    let (mut lives, mut events) = (Vec::new(), Vec::new());
    for index in batch {
        let Change { service, event } = &changes[*index];
        let id = service.id.to_string();
        let Some(next) = current
            .get(&id)
            .filter(|now| u64::try_from(**now) == Ok(service.generation))
            .and_then(|now| now.checked_add(1))
        else {
            continue;
        };
        let columns = LifeColumns::of(&service.life).map_err(|error| faults.failed(error))?;
        if let Some(event) = event {
            events.push(row::from_event(id.clone(), next, event).into_active_model());
        }
        lives.push(life_values(id, next, columns));
        saved.push((*index, service.generation + 1));
    }
    if !lives.is_empty() {
        update(txn, lives).await.map_err(fault)?;
    }
    if !events.is_empty() {
        event::Entity::insert_many(events).exec_without_returning(txn).await.map_err(fault)?;
    }
    Ok(saved)
}

/// The generations that the rows have now, locked against other writers until the transaction ends.
async fn lock_generations(
    txn: &DatabaseTransaction,
    ids: impl Iterator<Item = ServiceId>,
) -> Result<Generations, DbErr> {
    let rows = service::Entity::find()
        .select_only()
        .columns([service::Column::Id, service::Column::Generation])
        .filter(service::Column::Id.is_in(ids.map(|id| id.to_string())))
        .order_by_asc(service::Column::Id)
        .lock(LockType::Update);
    generations(txn, rows.into_query()).await
}

fn life_values(id: String, generation: i64, columns: LifeColumns) -> ValueTuple {
    let LifeColumns { status, ended, unfinished, life } = columns;
    let values: [Value; 6] =
        [id.into(), generation.into(), status.into(), ended.into(), unfinished.into(), life.into()];
    ValueTuple::Many(values.into())
}

/// Writes the lives of many rows at once. Both databases name the columns of a list of values `column1`, `column2`, ...
async fn update(txn: &DatabaseTransaction, lives: Vec<ValueTuple>) -> Result<(), DbErr> {
    const NEW: &str = "new";
    let column = |column: &'static str| Expr::col((NEW, column));
    let update = Query::update()
        .table(service::Entity)
        .value(service::Column::Generation, column("column2"))
        .value(service::Column::Status, column("column3"))
        .value(service::Column::Ended, column("column4"))
        .value(service::Column::Unfinished, column("column5"))
        .value(service::Column::Life, column("column6"))
        .from(TableRef::ValuesList(lives, NEW.into_iden()))
        .and_where(Expr::col((service::Entity, service::Column::Id)).eq(column("column1")))
        .take();
    txn.execute(&update).await.map(drop)
}
