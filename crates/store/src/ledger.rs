//! The port [`Ledger`] on a database.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, Order, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, StreamTrait as _,
};
use towline_core::id::ServiceId;
use towline_core::ports::{Change, Ledger, LedgerError, Listing, SaveOutcome, Select};
use towline_core::service::{Event, Service};

use crate::current::{changed, current};
use crate::entity::{event, service};
use crate::row;
use crate::save::{BATCH, save_all};
use crate::store::Store;

#[async_trait]
impl Ledger for Store {
    async fn insert(&self, service: &Service, event: &Event) -> Result<(), LedgerError> {
        let bad = |problem| self.faults().failed(problem);
        let model = row::from_service(service).map_err(bad)?;
        let first = row::from_event(model.id.clone(), model.generation, event);
        self.in_time(async {
            loop {
                let txn = self.begin().await?;
                if self.insert_row(&txn, model.clone()).await? {
                    let event = event::Entity::insert(first.clone().into_active_model());
                    event.exec_without_returning(&txn).await.map_err(self.fault())?;
                    return self.commit(txn).await;
                }
                if let Some(refusal) = self.refusal(&txn, service).await? {
                    return Err(refusal);
                }
                // Whoever was in the way has ended or was removed in between: the way is free.
            }
        })
        .await
    }

    async fn save(&self, changes: &[Change]) -> Result<Vec<SaveOutcome>, LedgerError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.in_time(async {
            let txn = self.begin().await?;
            let outcomes = save_all(&txn, changes, self.faults()).await?;
            self.commit(txn).await?;
            Ok(outcomes)
        })
        .await
    }

    async fn list(&self, select: Select) -> Result<Listing, LedgerError> {
        let find = service::Entity::find;
        match select {
            Select::All => self.read(find()).await,
            Select::Unfinished => self.read(find().filter(service::Column::Unfinished.eq(true))).await,
            Select::Id(id) => self.read(find().filter(service::Column::Id.eq(id.to_string()))).await,
            Select::Changed(known) => self.read_changed(&known).await,
        }
    }

    async fn history(&self, id: ServiceId) -> Result<Vec<Event>, LedgerError> {
        let query = event::Entity::find()
            .filter(event::Column::ServiceId.eq(id.to_string()))
            .order_by(event::Column::Generation, Order::Asc);
        let rows = async { self.db().query_all(query.as_query()).await.map_err(self.fault()) };
        let rows = self.in_time(rows).await?;
        rows.iter()
            .map(row::to_event)
            .collect::<Result<_, _>>()
            .map_err(|problem| self.faults().corrupt(problem))
    }

    async fn remove(&self, id: ServiceId, generation: u64) -> Result<(), LedgerError> {
        // A generation too great for the column is in no row.
        let generation = i64::try_from(generation).map_err(|_| LedgerError::Conflict { id })?;
        self.in_time(async {
            // One statement: the history goes with its service, by the foreign key.
            let removed = service::Entity::delete_many()
                .filter(service::Column::Id.eq(id.to_string()))
                .filter(service::Column::Generation.eq(generation))
                .exec(self.db())
                .await
                .map_err(self.fault())?;
            if removed.rows_affected == 0 { Err(LedgerError::Conflict { id }) } else { Ok(()) }
        })
        .await
    }
}

impl Store {
    /// Reads the rows that `query` finds, oldest first.
    async fn read(&self, query: sea_orm::Select<service::Entity>) -> Result<Listing, LedgerError> {
        let query = query.select_only().columns(row::COLUMNS);
        let query = query.order_by_asc(service::Column::CreatedAt).order_by_asc(service::Column::Id);
        let reading = async {
            let mut listing = Listing::default();
            // One by one: all rows and all services at once would take twice the memory.
            let mut rows = self.db().stream(query.as_query()).await.map_err(self.fault())?;
            while let Some(row) = rows.try_next().await.map_err(self.fault())? {
                match row::to_service(&row) {
                    Ok(service) => listing.services.push(service),
                    Err(damaged) => listing.damaged.push(damaged),
                }
            }
            Ok(listing)
        };
        self.in_time(reading).await
    }

    /// Reads the rows that are not as they are known: mostly none, which one row tells.
    async fn read_changed(&self, known: &BTreeMap<ServiceId, u64>) -> Result<Listing, LedgerError> {
        let unfinished = service::Column::Unfinished.eq(true);
        let current = async { current(self.db(), unfinished, false).await.map_err(self.fault()) };
        let ids = changed(self.in_time(current).await?, known);
        let mut listing = Listing::default();
        for ids in ids.chunks(BATCH) {
            let ids = ids.iter().map(String::as_str);
            let Listing { services, damaged } =
                self.read(service::Entity::find().filter(service::Column::Id.is_in(ids))).await?;
            listing.services.extend(services);
            listing.damaged.extend(damaged);
        }
        // One that was known as ended is not among the unfinished.
        listing.services.retain(|service| known.get(&service.id) != Some(&service.generation));
        listing.services.sort_by_key(|service| (service.created_at, service.id));
        Ok(listing)
    }

    /// Inserts a row and says whether nothing was in the way: no row of that id, and none of that name that has not
    /// ended. Waits for other programs that are about to insert such a row.
    async fn insert_row(
        &self,
        txn: &DatabaseTransaction,
        model: service::Model,
    ) -> Result<bool, LedgerError> {
        let rows = service::Entity::insert(model.into_active_model())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .try_insert()
            .exec_without_returning(txn)
            .await
            .map_err(self.fault())?;
        Ok(matches!(rows, sea_orm::TryInsertResult::Inserted(1)))
    }

    /// Why a service could not be inserted, if the row in the way is still there.
    async fn refusal(
        &self,
        txn: &DatabaseTransaction,
        service: &Service,
    ) -> Result<Option<LedgerError>, LedgerError> {
        let ids = || service::Entity::find().select_only().column(service::Column::Id);
        let same_id = ids().filter(service::Column::Id.eq(service.id.to_string()));
        if same_id.into_tuple::<String>().one(txn).await.map_err(self.fault())?.is_some() {
            return Ok(Some(LedgerError::Exists { id: service.id }));
        }
        let holder = ids()
            .filter(service::Column::Name.eq(service.spec.name.as_str()))
            .filter(service::Column::Ended.eq(false));
        let Some(holder) = holder.into_tuple::<String>().one(txn).await.map_err(self.fault())? else {
            return Ok(None);
        };
        let name = service.spec.name.to_string();
        match holder.parse() {
            Ok(id) => Ok(Some(LedgerError::NameTaken { name, id })),
            Err(_) => Err(self.faults().corrupt(format!("service {holder:?} has a bad id"))),
        }
    }
}
