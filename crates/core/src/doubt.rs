//! What is not known: attempts that came to nothing, and answers that miss a job.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The longest time between two attempts at what keeps failing.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// What was tried and came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Doubt {
    /// Since when.
    pub since: Timestamp,
    /// When the last attempt came to nothing.
    pub last: Timestamp,
    /// How many attempts in a row came to nothing.
    pub count: u32,
    /// Why, in words.
    pub why: String,
}

impl Doubt {
    /// The doubt after another attempt has failed at `now`; the same failure told twice counts once.
    pub(crate) fn after(before: Option<Self>, why: &str, now: Timestamp) -> Self {
        let (since, count) = match before {
            Some(same) if same.last == now && same.why == why => return same,
            Some(before) => (before.since, before.count.saturating_add(1)),
            None => (now, 1),
        };
        Self { since, last: now, count, why: why.to_owned() }
    }

    /// How long to wait after the last failure: 1 s, doubled by each further one, up to a minute.
    pub(crate) fn back_off(&self) -> Duration {
        let doublings = self.count.saturating_sub(1).min(6);
        Duration::from_secs(1 << doublings).min(BACK_OFF_MAX)
    }
}

/// Since when authoritative answers have missed the job without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "AbsenceRecord")]
pub struct Absence {
    /// By our clock.
    pub since: Timestamp,
    /// By the scheduler's own clock, where it tells.
    pub told_since: Option<Timestamp>,
}

/// An absence as ledgers hold it. Those of version 0.1.0 have its beginning by our clock alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum AbsenceRecord {
    Since(Timestamp),
    Timed { since: Timestamp, told_since: Option<Timestamp> },
}

impl From<AbsenceRecord> for Absence {
    fn from(record: AbsenceRecord) -> Self {
        match record {
            AbsenceRecord::Since(since) => Self { since, told_since: None },
            AbsenceRecord::Timed { since, told_since } => Self { since, told_since },
        }
    }
}

impl Absence {
    /// The absence after another answer that missed the job, at `now` by our clock and at `told` by the scheduler's.
    /// A beginning in the future (clocks jump) would never be over, and one that only one of two looks could time by
    /// the scheduler's clock would be over too early.
    pub(crate) fn after(before: Option<Self>, now: Timestamp, told: Option<Timestamp>) -> Self {
        let before = before.filter(|absence| absence.told_since.is_some() == told.is_some());
        let since = before.map(|absence| absence.since).filter(|since| *since <= now);
        let told_since = before.and_then(|absence| absence.told_since).filter(|since| Some(*since) <= told);
        Self { since: since.unwrap_or(now), told_since: told_since.or(told) }
    }

    /// Whether it has lasted that long by every clock that tells.
    pub(crate) fn has_lasted(&self, settle: Duration, now: Timestamp, told: Option<Timestamp>) -> bool {
        let theirs = self.told_since.zip(told).is_none_or(|(since, at)| at.since(since) >= settle);
        theirs && now.since(self.since) >= settle
    }
}
