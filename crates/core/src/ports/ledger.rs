//! The database of services and their history.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::BoxError;
use crate::id::ServiceId;
use crate::service::{Event, Service};

/// Which services to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// All, ended ones too, oldest first.
    All,
    /// Those that have not ended or still owe something to the world (a cancel, a tunnel to close).
    Unfinished,
    /// The one with that id, if there is one.
    Id(ServiceId),
    /// What others have changed: of the services known with these generations those that have another one by now, and
    /// the unfinished ones that are not known. Costs next to nothing while nobody has changed anything.
    Changed(BTreeMap<ServiceId, u64>),
}

/// What a listing found.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The services, oldest first.
    pub services: Vec<Service>,
    /// Rows that could not be read; they harm no other.
    pub damaged: Vec<DamagedRow>,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// The id as it stands in the row.
    pub id: String,
    /// The name as it stands in the row.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}

/// One service as it should be from now on, and the change of status that this is, if it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The new state, still with the generation that it was read with.
    pub service: Service,
    /// A row for its history.
    pub event: Option<Event>,
}

/// What became of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveOutcome {
    /// It is saved; the row now has this generation.
    Saved(u64),
    /// Somebody else has changed or removed the row since it was read; nothing of this change was saved.
    Conflict,
}

/// Keeps services and their history. Several processes may use one ledger at the same time.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records a new service with its first event. Afterwards it is kept, whatever happens to this process.
    ///
    /// # Errors
    /// [`LedgerError::NameTaken`] if a service of that name has not ended; [`LedgerError::Exists`] for a known id.
    async fn insert(&self, service: &Service, event: &Event) -> Result<(), LedgerError>;

    /// Saves changes, each on its own: a row is written, with its event, only if its generation is still the one
    /// that it was read with. One outcome a change, in their order. Either all that can be saved is, or nothing. Only
    /// the life is written: what was asked for, and when, stays as it was inserted.
    ///
    /// # Errors
    /// Any that concerns the database as a whole; then nothing was saved.
    async fn save(&self, changes: &[Change]) -> Result<Vec<SaveOutcome>, LedgerError>;

    /// Lists services.
    ///
    /// # Errors
    /// Any that concerns the database as a whole. Single rows that cannot be read are in the listing.
    async fn list(&self, select: Select) -> Result<Listing, LedgerError>;

    /// The history of one service, oldest first; empty if it is not known.
    ///
    /// # Errors
    /// Any that concerns the database as a whole.
    async fn history(&self, id: ServiceId) -> Result<Vec<Event>, LedgerError>;

    /// Forgets a service and its history, if its generation is still `generation`.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if it has been changed or removed since.
    async fn remove(&self, id: ServiceId, generation: u64) -> Result<(), LedgerError>;
}

/// Why the ledger could not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another service that has not ended has that name.
    #[error("the name {name} is taken by service {id}")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        id: ServiceId,
    },
    /// There is a service of that id already.
    #[error("service {id} is recorded already")]
    Exists {
        /// The id.
        id: ServiceId,
    },
    /// The row has been changed or removed by somebody else.
    #[error("service {id} was changed by another process at the same time")]
    Conflict {
        /// The service.
        id: ServiceId,
    },
    /// The database stayed locked by another program.
    #[error("the ledger {location} stayed locked for {} s", .waited.as_secs())]
    Locked {
        /// Path or URL without a password.
        location: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The database was written by a newer program.
    #[error(
        "the ledger {location} was written by a newer program (schema {found}, this program knows {known})"
    )]
    Newer {
        /// Path or URL without a password.
        location: String,
        /// The newest migration found in it.
        found: String,
        /// The newest migration that this program knows.
        known: String,
    },
    /// The database may only be read.
    #[error("the ledger {location} is read-only")]
    ReadOnly {
        /// Path or URL without a password.
        location: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The disk or the quota is full.
    #[error("no space is left for the ledger {location}")]
    Full {
        /// Path or URL without a password.
        location: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// What is there is no database of ours, or is damaged.
    #[error("the ledger {location} is damaged or not a database of towline")]
    Corrupt {
        /// Path or URL without a password.
        location: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// Anything else, such as a server that does not answer.
    #[error("failed to use the ledger {location}")]
    Failed {
        /// Path or URL without a password.
        location: String,
        /// Why.
        #[source]
        source: BoxError,
    },
}
