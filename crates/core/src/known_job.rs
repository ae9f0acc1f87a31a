//! The job behind a service, as far as it is known.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::job::{JobReport, JobState, Place};
use crate::terms::Terms;
use crate::time::Timestamp;

/// The job behind a service, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// The scheduler's id.
    pub id: JobId,
    /// Its last known state; `None` until the scheduler was first asked about it.
    pub state: Option<JobState>,
    /// The scheduler's own word for that state.
    pub word: Option<String>,
    /// Where it runs.
    pub node: Option<String>,
    /// Why it stands where it stands, in the scheduler's words.
    pub reason: Option<String>,
    /// The present run, once it has begun.
    pub run: Option<Run>,
    /// The runs up to this mark are over, since the job was requeued or ran again.
    pub over: Option<u64>,
}

/// One run of a job. A requeued job keeps its id and begins another run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The scheduler's mark of this run, which grows from run to run.
    pub mark: Option<u64>,
    /// When the command began to run, by our clock. Grace counts from here; begins anew after a suspension.
    pub since: Timestamp,
    /// How long it had run before that, by the scheduler's count: until it was suspended.
    #[serde(default)]
    pub before: Duration,
    /// When the scheduler last said that it runs; `None` if our clock has gone back behind that since, so that nobody
    /// knows how long ago it was.
    pub verified_at: Option<Timestamp>,
    /// When its time limit is reached; `None` without one.
    pub ends_at: Option<Timestamp>,
    /// Where its server listens, once it was told.
    pub place: Option<Place>,
}

impl Job {
    /// A job that the scheduler has accepted and that nobody has looked at yet.
    pub const fn accepted(id: JobId) -> Self {
        Self { id, state: None, word: None, node: None, reason: None, run: None, over: None }
    }

    /// Where its server listens in the present run.
    pub fn place(&self) -> Option<&Place> {
        self.run.as_ref()?.place.as_ref()
    }

    /// Whether a report is about this job, and not about a run of it that is over.
    pub(crate) fn is_meant_by(&self, report: &JobReport) -> bool {
        self.id == report.id && report.run.zip(self.over).is_none_or(|(mark, over)| mark > over)
    }

    /// Takes over that the job is (back) in the queue: whatever has run is over.
    pub(crate) fn leave_nodes(&mut self) {
        self.over = self.over.max(self.run.take().and_then(|run| run.mark));
        self.node = None;
    }

    /// Brings the run up to date with a `report` of `now` and says whether another run than the known one has begun.
    /// `went_on` tells whether the command ran at the last look; if not, it may run again since a moment only.
    pub(crate) fn renew_run(
        &mut self,
        report: &JobReport,
        place: Option<&Place>,
        went_on: bool,
        now: Timestamp,
    ) -> bool {
        let known = self.run.take().filter(|run| run.mark == report.run);
        let in_another_run = known.is_none();
        let running = report.state == JobState::Running;
        let (since, before) = match (&known, report.running_for) {
            (Some(run), None) if running && went_on => (run.since, run.before),
            // By the scheduler's count: our clock may have jumped since the last look.
            (Some(run), Some(count)) if running && went_on => {
                (run.since.max(now.minus(count.saturating_sub(run.before))), run.before)
            }
            (None, Some(count)) if running => (now.minus(count), Duration::ZERO),
            (_, count) => (now, count.unwrap_or_default()),
        };
        let place = place.cloned().or_else(|| known.and_then(|run| run.place));
        let ends_at = report.time_left.map(|left| now.plus(left));
        self.over = self.over.max(report.run.and_then(|mark| mark.checked_sub(1)));
        self.run = Some(Run { mark: report.run, since, before, verified_at: Some(now), ends_at, place });
        in_another_run
    }
}

impl Run {
    /// Whether the scheduler's word that the run goes on is still good.
    pub(crate) fn is_verified(&self, terms: &Terms, now: Timestamp) -> bool {
        self.verified_at.is_some_and(|at| now.since(at) <= terms.verify)
    }
}
