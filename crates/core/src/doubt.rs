//! What is not known: attempts that came to nothing, and answers that miss a job.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The longest time between two attempts at what keeps failing.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Failures that nobody has added to for so long tell nothing of the next attempt's.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// What was tried and came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Doubt {
    /// Since when.
    pub since: Timestamp,
    /// When the last attempt came to nothing.
    pub last: Timestamp,
    /// How many attempts in a row came to nothing; 0 once somebody has asked for the next one at once.
    pub count: u32,
    /// Why, in words.
    pub why: String,
}

impl Doubt {
    /// The doubt after another attempt has failed at `now`. One that others made before it was due counts as little as the
    /// same failure told twice.
    pub(crate) fn after(before: Option<Self>, why: &str, now: Timestamp) -> Self {
        let (since, count) = match before {
            Some(early) if early.not_before(now).is_some() => return Self { why: why.to_owned(), ..early },
            Some(before) if now.since(before.last) >= FORGOTTEN => (before.since, 1),
            Some(before) => (before.since, before.count.saturating_add(1)),
            None => (now, 1),
        };
        Self { since, last: now, count, why: why.to_owned() }
    }

    /// How long to wait after the last failure: 1 s, doubled by each further one, up to a minute, and up to a quarter
    /// less by jitter. That follows from when the first attempt failed: what failed together is tried together again,
    /// and what is tried from elsewhere at another time.
    pub fn back_off(&self) -> Duration {
        let Some(doublings) = self.count.checked_sub(1) else { return Duration::ZERO };
        let whole = Duration::from_secs(1 << doublings.min(6)).min(BACK_OFF_MAX);
        whole - whole / 4 * jitter(self.since, self.count) / 256
    }

    /// When the next attempt is due.
    pub fn retry_at(&self) -> Timestamp {
        self.last.plus(self.back_off())
    }

    /// The same, as long as it is to be waited for at `now`; `None` once the next look may try it.
    pub fn not_before(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.last.is_older(self.back_off(), now)).then(|| self.retry_at())
    }
}

/// A number below 256 that is another one for each moment and count, by Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4).
fn jitter(since: Timestamp, count: u32) -> u32 {
    let mixed = since.as_micros().cast_unsigned().wrapping_add(u64::from(count));
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u32
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_together_is_tried_together_again_and_elsewhere_at_another_time() {
        let waits = |since: i64| {
            let since = Timestamp::from_micros(since);
            Doubt { since, last: since, count: 7, why: String::new() }.back_off()
        };
        assert_eq!(waits(1), waits(1));
        let (all, whole): (Vec<_>, _) = ((0..1_000).map(waits).collect(), BACK_OFF_MAX);
        assert!(all.iter().all(|wait| (whole * 3 / 4..=whole).contains(wait)), "{all:?}");
        let early = all.iter().filter(|wait| **wait < whole * 7 / 8).count();
        assert!((400..600).contains(&early), "{early} of 1000 in the first half");
    }
}
