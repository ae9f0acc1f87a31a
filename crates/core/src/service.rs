//! A service as a whole: what was asked for, and where it stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::ServiceId;
use crate::lifecycle::{Life, Status, Terms};
use crate::spec::ServiceSpec;
use crate::time::Timestamp;

/// One service, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its identity.
    pub id: ServiceId,
    /// What was asked for. Shared by all copies, since it never changes.
    pub spec: Arc<ServiceSpec>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Where it stands.
    pub life: Life,
    /// Counts the changes that were saved; of two writers of the same generation the later one loses.
    pub generation: u64,
}

impl Service {
    /// A service that was just asked for; nothing is sent or saved yet.
    pub fn new(id: ServiceId, spec: impl Into<Arc<ServiceSpec>>, terms: Terms, now: Timestamp) -> Self {
        Self { id, spec: spec.into(), created_at: now, life: Life::new(terms, now), generation: 0 }
    }

    /// The flat name of where it stands.
    pub fn status(&self) -> Status {
        self.life.status()
    }

    /// The URL that reaches it from this machine, while a tunnel is open.
    pub fn url(&self) -> Option<String> {
        self.life.open_tunnel().map(crate::lifecycle::Tunnel::url)
    }
}

/// One change of status: a row of a service's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it was recorded.
    pub at: Timestamp,
    /// The status before; `None` for the first row.
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
    /// Why, for people.
    pub why: String,
}
