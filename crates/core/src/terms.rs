//! The intervals by which a life is judged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The intervals that decide, fixed when a service is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// How long a running job may take until the first answer.
    pub grace: Duration,
    /// How long queue and accounting must miss a job without a break before it counts as gone.
    pub settle: Duration,
    /// How long a scheduler's word that the job runs is good for.
    pub verify: Duration,
    /// Knowledge younger than this is not asked for again.
    pub fresh: Duration,
}

impl Terms {
    /// The usual terms, with the given grace period: settling 5 min, verification 60 s, freshness 2 s.
    pub const fn with_grace(grace: Duration) -> Self {
        Self {
            grace,
            settle: Duration::from_secs(300),
            verify: Duration::from_secs(60),
            fresh: Duration::from_secs(2),
        }
    }
}
