//! Ledgers that break one promise each, all of which the contract finds.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use towline_core::id::ServiceId;
use towline_core::ports::{Change, Ledger, LedgerError, Listing, SaveOutcome, Select};
use towline_core::service::{Event, Service};
use towline_core::testing::{MemoryLedger, ledger_contract};

use crate::complaint;

/// What is wrong with a ledger that is good otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Takes a name that is taken, and says nothing.
    TakesTakenNames,
    /// Lets the later of two writers win.
    ForgetsGenerations,
    /// Saves nothing where one change comes too late.
    SavesAllOrNothing,
    /// Saves a change without its event.
    LosesEvents,
    /// Counts the ended that owe something among the finished.
    ForgivesDebts,
    /// Lists the youngest first.
    ListsBackwards,
    /// Removes what somebody else has changed.
    RemovesBlindly,
    /// Keeps the history of what is removed.
    KeepsHistories,
}

/// Each flaw, and the words by which the contract finds it, where it has any.
const FOUND: [(Flaw, &str); 8] = [
    (Flaw::TakesTakenNames, "a taken name is refused"),
    (Flaw::ForgetsGenerations, "stale, current, unknown"),
    (Flaw::SavesAllOrNothing, "stale, current, unknown"),
    (Flaw::LosesEvents, "left == right"),
    (Flaw::ForgivesDebts, "as inserted"),
    (Flaw::ListsBackwards, "as inserted"),
    (Flaw::RemovesBlindly, "a stale removal conflicts"),
    (Flaw::KeepsHistories, "left == right"),
];

/// A good ledger, spoilt by one flaw.
struct Spoilt {
    good: MemoryLedger,
    flaw: Flaw,
    kept: Mutex<BTreeMap<ServiceId, Vec<Event>>>,
}

impl Spoilt {
    fn new(flaw: Flaw) -> Self {
        Self { good: MemoryLedger::new(), flaw, kept: Mutex::default() }
    }

    async fn generation(&self, id: ServiceId) -> Option<u64> {
        let listing = self.good.list(Select::Id(id)).await.unwrap();
        listing.services.first().map(|service| service.generation)
    }
}

#[async_trait]
impl Ledger for Spoilt {
    async fn insert(&self, service: &Service, event: &Event) -> Result<(), LedgerError> {
        match self.good.insert(service, event).await {
            Err(LedgerError::NameTaken { .. }) if self.flaw == Flaw::TakesTakenNames => Ok(()),
            answer => answer,
        }
    }

    async fn save(&self, changes: &[Change]) -> Result<Vec<SaveOutcome>, LedgerError> {
        let mut changes = changes.to_vec();
        let mut is_late = false;
        for change in &mut changes {
            let known = self.generation(change.service.id).await;
            is_late |= known != Some(change.service.generation);
            match self.flaw {
                Flaw::ForgetsGenerations => change.service.generation = known.unwrap_or_default(),
                Flaw::LosesEvents => change.event = None,
                _ => {}
            }
        }
        if self.flaw == Flaw::SavesAllOrNothing && is_late {
            return Ok(vec![SaveOutcome::Conflict; changes.len()]);
        }
        self.good.save(&changes).await
    }

    async fn list(&self, select: Select) -> Result<Listing, LedgerError> {
        let unfinished = select == Select::Unfinished;
        let mut listing = self.good.list(select).await?;
        match self.flaw {
            Flaw::ListsBackwards => listing.services.reverse(),
            Flaw::ForgivesDebts if unfinished => {
                listing.services.retain(|service| !service.status().is_terminal());
            }
            _ => {}
        }
        Ok(listing)
    }

    async fn history(&self, id: ServiceId) -> Result<Vec<Event>, LedgerError> {
        let mut events = self.kept.lock().unwrap().get(&id).cloned().unwrap_or_default();
        events.extend(self.good.history(id).await?);
        Ok(events)
    }

    async fn remove(&self, id: ServiceId, generation: u64) -> Result<(), LedgerError> {
        let known = self.generation(id).await;
        let generation =
            if self.flaw == Flaw::RemovesBlindly { known.unwrap_or(generation) } else { generation };
        let events = self.good.history(id).await?;
        self.good.remove(id, generation).await?;
        if self.flaw == Flaw::KeepsHistories {
            self.kept.lock().unwrap().insert(id, events);
        }
        Ok(())
    }
}

#[test]
fn each_broken_promise_of_ledgers_is_found() {
    let contract = |flaw| {
        ledger_contract(async || Spoilt::new(flaw)).now_or_never().expect("a ledger in memory never waits");
        Vec::new()
    };
    let missed: Vec<_> = FOUND
        .iter()
        .map(|(flaw, words)| (flaw, words, complaint(|| contract(*flaw))))
        .filter(|(_, words, complaint)| !complaint.contains(*words))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
