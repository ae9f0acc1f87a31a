//! Folding looks at the scheduler: where the job stands, whether it is there at all, and how it ended.

use super::fact::{Echo, PingRecord};
use super::life::Life;
use super::phase::{Cause, Ending, Phase};
use super::status::EndStatus;
use crate::doubt::Absence;
use crate::job::{JobEnd, JobReport, JobState, Place, Sight, Sighting};
use crate::known_job::{Job, Run};
use crate::time::Timestamp;

impl Life {
    pub(super) fn fold_sighting(&mut self, sighting: &Sighting, now: Timestamp) {
        if let Phase::Ended(ending) = &mut self.phase {
            return settle_ended(ending, &sighting.sight);
        }
        self.looked_at = Some(now);
        match &sighting.sight {
            Sight::Unseen(why) => {
                self.absence = None;
                self.doubt(why, now);
            }
            Sight::Absent => self.fold_absent(sighting, now),
            Sight::Seen(report) => self.fold_report(report, sighting.place.as_ref(), now),
        }
    }

    fn fold_absent(&mut self, sighting: &Sighting, now: Timestamp) {
        let absence = Absence::after(self.absence, now, sighting.at);
        let settled = absence.has_lasted(self.terms.settle, now, sighting.at);
        let cancelled = self.is_cancelled();
        match (&self.phase, sighting.exit) {
            (Phase::Intent | Phase::Ended(_), _) => return,
            (Phase::Sending { .. }, _) if settled && self.stop.is_some() => return self.end_as_wished(now),
            (Phase::Sending { .. }, _) if settled => {
                self.phase = Phase::Intent;
                self.absence = None;
            }
            (Phase::Live { .. }, Some(exit)) => return self.fold_end(&JobEnd::recorded(exit), now),
            (Phase::Live { .. }, None) if settled && cancelled => return self.end_as_wished(now),
            (Phase::Live { .. }, None) if settled => {
                return self.end(EndStatus::Failed, Cause::Vanished, now);
            }
            (Phase::Sending { .. }, _) | (Phase::Live { .. }, None) => self.absence = Some(absence),
        }
        self.doubt = None;
    }

    fn fold_report(&mut self, report: &JobReport, place: Option<&Place>, now: Timestamp) {
        self.adopt(&report.id, now);
        if !self.phase.job().is_some_and(|job| job.is_meant_by(report)) {
            return;
        }
        self.known(now);
        let Phase::Live { stage, job } = &mut self.phase else { return };
        job.word = Some(report.word.clone());
        job.reason.clone_from(&report.reason);
        job.node = report.node.clone().or(job.node.take());
        job.state = Some(report.state.clone());
        match &report.state {
            JobState::Queued => {
                job.run = None;
                job.node = None;
                *stage = stage.queued();
                self.ping = None;
            }
            JobState::Configuring | JobState::Running | JobState::Suspended => {
                let known_place = job.place().cloned();
                let in_another_run = job.renew_run(report, place, now);
                *stage = stage.allocated(in_another_run);
                // An answer that came too late after the scheduler's last word may be had again at once.
                let too_late = |ping: &PingRecord| ping.echo == Echo::Answered && !ping.counted;
                let moved = in_another_run || job.place() != known_place.as_ref();
                self.ping = self.ping.take().filter(|ping| !moved && !too_late(ping));
                self.end_if_grace_is_spent(now);
            }
            JobState::Leaving => {}
            JobState::Ended(end) => self.fold_end(end, now),
        }
    }
}

impl Job {
    /// Whether a report is about this job, and not about an earlier run of it than the known one.
    fn is_meant_by(&self, report: &JobReport) -> bool {
        let known = self.run.as_ref().and_then(|run| run.mark);
        self.id == report.id && report.run.zip(known).is_none_or(|(mark, known)| mark >= known)
    }

    /// Brings the run up to date and says whether another run than the known one has begun.
    fn renew_run(&mut self, report: &JobReport, place: Option<&Place>, now: Timestamp) -> bool {
        let known = self.run.take().filter(|run| run.mark == report.run);
        let in_another_run = known.is_none();
        // By the scheduler's clock: ours may have jumped since the last look.
        let began = report.running_for.map(|elapsed| now.minus(elapsed));
        let known_since = known.as_ref().map(|run| run.since).filter(|since| *since <= now);
        let since = match report.state == JobState::Running {
            true => known_since.max(began).unwrap_or(now),
            false => now,
        };
        let place = place.cloned().or_else(|| known.and_then(|run| run.place));
        let ends_at = report.time_left.map(|left| now.plus(left));
        self.run = Some(Run { mark: report.run, since, verified_at: now, ends_at, place });
        in_another_run
    }
}

/// Notes what a look at an ended service's job means for what it still owes.
fn settle_ended(ending: &mut Ending, sight: &Sight) {
    let Sight::Seen(report) = sight else { return };
    match (&ending.job, report.state.has_ended()) {
        (Some(job), true) if job.id == report.id => ending.owes_cancel = false,
        (None, true) => ending.owes_cancel = false,
        (None, false) => {
            ending.job = Some(Job::accepted(report.id.clone()));
            ending.owes_cancel = true;
        }
        (Some(_), true | false) => {}
    }
}
