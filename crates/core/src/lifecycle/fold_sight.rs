//! Folding looks at the scheduler: where the job stands, whether it is there at all, and how it ended.

use super::fact::{Echo, PingRecord};
use super::life::Life;
use super::phase::{Cause, Ending, Phase};
use super::status::EndStatus;
use crate::doubt::Absence;
use crate::job::{JobEnd, JobReport, JobState, Place, Sight, Sighting};
use crate::known_job::Job;
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
            (Phase::Live { .. }, Some(exit)) if settled => {
                return self.fold_end(&JobEnd::recorded(exit), now);
            }
            (Phase::Live { .. }, None) if settled && cancelled => return self.end_as_wished(now),
            (Phase::Live { .. }, None) if settled => {
                return self.end(EndStatus::Failed, Cause::Vanished, now);
            }
            (Phase::Sending { .. } | Phase::Live { .. }, _) => self.absence = Some(absence),
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
        let went_on = job.state.replace(report.state.clone()) == Some(JobState::Running);
        match &report.state {
            JobState::Queued => {
                job.leave_nodes();
                *stage = stage.queued();
                self.ping = None;
            }
            JobState::Configuring | JobState::Running | JobState::Suspended => {
                let known_place = job.place().cloned();
                let in_another_run = job.renew_run(report, place, went_on, now);
                *stage = stage.allocated(in_another_run);
                let moved = in_another_run || job.place() != known_place.as_ref();
                self.ping = self.ping.take().filter(|_| !moved);
                self.end_if_grace_is_spent(now);
                // An answer that came too late after the scheduler's last word may be had again at once.
                let too_late = |ping: &PingRecord| ping.echo == Echo::Answered && !ping.counted;
                self.ping = self.ping.take().filter(|ping| !too_late(ping));
            }
            JobState::Leaving => {}
            JobState::Ended(end) => self.fold_end(end, now),
        }
    }
}

/// Notes what a look at an ended service's job means for what it still owes.
fn settle_ended(ending: &mut Ending, sight: &Sight) {
    let Sight::Seen(report) = sight else { return };
    match (&ending.job, report.state.has_ended()) {
        (Some(job), true) if job.is_meant_by(report) => ending.owes_cancel = false,
        (None, true) => ending.owes_cancel = false,
        (None, false) => {
            ending.job = Some(Job::accepted(report.id.clone()));
            ending.owes_cancel = true;
        }
        (Some(_), true | false) => {}
    }
}
