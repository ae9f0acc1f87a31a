//! A ledger that lives as long as its process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::id::ServiceId;
use crate::ports::{Change, Ledger, LedgerError, Listing, SaveOutcome, Select};
use crate::service::{Event, Service};

/// A ledger in memory, for simulations and tests. Keeps the same contract as one in a database
/// ([`super::ledger_contract`]), save that nothing outlives the process.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    rows: Mutex<BTreeMap<ServiceId, Row>>,
}

#[derive(Debug)]
struct Row {
    service: Service,
    history: Vec<Event>,
}

impl MemoryLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<ServiceId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn save(&mut self, change: &Change) -> SaveOutcome {
        if self.service.generation != change.service.generation {
            return SaveOutcome::Conflict;
        }
        self.service.life = change.service.life.clone();
        self.service.generation += 1;
        self.history.extend(change.event.clone());
        SaveOutcome::Saved(self.service.generation)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn insert(&self, service: &Service, event: &Event) -> Result<(), LedgerError> {
        let mut rows = self.rows();
        if rows.contains_key(&service.id) {
            return Err(LedgerError::Exists { id: service.id });
        }
        let name = &service.spec.name;
        let holder = |row: &&Row| row.service.spec.name == *name && !row.service.status().is_terminal();
        if let Some(holder) = rows.values().find(holder) {
            return Err(LedgerError::NameTaken { name: name.to_string(), id: holder.service.id });
        }
        rows.insert(service.id, Row { service: service.clone(), history: vec![event.clone()] });
        Ok(())
    }

    async fn save(&self, changes: &[Change]) -> Result<Vec<SaveOutcome>, LedgerError> {
        let mut rows = self.rows();
        let mut save = |change: &Change| match rows.get_mut(&change.service.id) {
            Some(row) => row.save(change),
            None => SaveOutcome::Conflict,
        };
        Ok(changes.iter().map(&mut save).collect())
    }

    async fn list(&self, select: Select) -> Result<Listing, LedgerError> {
        let wanted = |service: &&Service| match &select {
            Select::All => true,
            Select::Unfinished => service.life.is_unfinished(),
            Select::Id(id) => service.id == *id,
            Select::Changed(known) => match known.get(&service.id) {
                Some(generation) => service.generation != *generation,
                None => service.life.is_unfinished(),
            },
        };
        let rows = self.rows();
        let mut services: Vec<Service> =
            rows.values().map(|row| &row.service).filter(wanted).cloned().collect();
        services.sort_by_key(|service| (service.created_at, service.id));
        Ok(Listing { services, damaged: Vec::new() })
    }

    async fn history(&self, id: ServiceId) -> Result<Vec<Event>, LedgerError> {
        Ok(self.rows().get(&id).map(|row| row.history.clone()).unwrap_or_default())
    }

    async fn remove(&self, id: ServiceId, generation: u64) -> Result<(), LedgerError> {
        let mut rows = self.rows();
        match rows.get(&id) {
            Some(row) if row.service.generation == generation => {
                rows.remove(&id);
                Ok(())
            }
            Some(_) | None => Err(LedgerError::Conflict { id }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ledger_contract;

    #[test]
    fn keeps_the_contract() {
        futures_util::FutureExt::now_or_never(ledger_contract(async || MemoryLedger::new()))
            .expect("a ledger in memory never waits");
    }
}
