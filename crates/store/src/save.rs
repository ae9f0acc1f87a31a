//! Many changes in a few statements.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoIden, Query, TableRef, Value, ValueTuple};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel};
use towline_core::ports::{Change, LedgerError, SaveOutcome};

use crate::current::current;
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
    let ids = batch.iter().map(|index| changes[*index].service.id.to_string());
    let now = current(txn, service::Column::Id.is_in(ids), true).await.map_err(fault)?;
    let mut saved = Vec::new();
    let (mut moved, mut lives, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for index in batch {
        let Change { service, event } = &changes[*index];
        let id = service.id.to_string();
        let Some((row, next)) = now
            .get(&id)
            .filter(|row| u64::try_from(row.generation) == Ok(service.generation))
            .and_then(|row| Some((row, row.generation.checked_add(1)?)))
        else {
            continue;
        };
        let columns = LifeColumns::of(&service.life).map_err(|error| faults.failed(error))?;
        if let Some(event) = event {
            events.push(row::from_event(id.clone(), next, event).into_active_model());
        }
        if !row.is_selected_as(&columns) {
            moved.push(selected_values(id.clone(), &columns));
        }
        lives.push(ValueTuple::Three(id.into(), next.into(), columns.life.into()));
        saved.push((*index, service.generation + 1));
    }
    if !lives.is_empty() {
        update(txn, &[service::Column::Generation, service::Column::Life], lives).await.map_err(fault)?;
    }
    if !moved.is_empty() {
        let columns = [service::Column::Status, service::Column::Ended, service::Column::Unfinished];
        update(txn, &columns, moved).await.map_err(fault)?;
    }
    if !events.is_empty() {
        event::Entity::insert_many(events).exec_without_returning(txn).await.map_err(fault)?;
    }
    Ok(saved)
}

fn selected_values(id: String, columns: &LifeColumns) -> ValueTuple {
    let LifeColumns { status, ended, unfinished, .. } = columns;
    let values: [Value; 4] = [id.into(), status.as_str().into(), (*ended).into(), (*unfinished).into()];
    ValueTuple::Many(values.into())
}

/// Writes these columns of many rows at once, each given as its id and their values. Both databases name the columns of a
/// list of values `column1`, `column2`, ...
async fn update(
    txn: &DatabaseTransaction,
    columns: &[service::Column],
    rows: Vec<ValueTuple>,
) -> Result<(), DbErr> {
    const NEW: &str = "new";
    let new = |number: usize| Expr::col((NEW, Alias::new(format!("column{number}"))));
    let mut update = Query::update();
    update.table(service::Entity).from(TableRef::ValuesList(rows, NEW.into_iden()));
    for (number, column) in (2..).zip(columns) {
        update.value(*column, new(number));
    }
    update.and_where(Expr::col((service::Entity, service::Column::Id)).eq(new(1)));
    txn.execute(&update).await.map(drop)
}
