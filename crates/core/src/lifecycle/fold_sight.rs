//! Folding looks at the scheduler: where the job stands, whether it is there at all, and how it ended.

use super::fact::Echo;
use super::life::Life;
use super::phase::{Cause, Ending, Job, Phase, Run};
use super::status::EndStatus;
use crate::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Place, Sight, Sighting};
use crate::time::Timestamp;

impl Life {
    pub(super) fn fold_sighting(&mut self, sighting: &Sighting, now: Timestamp) {
        if let Phase::Ended(ending) = &mut self.phase {
            return settle_ended(ending, &sighting.sight);
        }
        self.looked_at = Some(now);
        match &sighting.sight {
            Sight::Unseen(why) => {
                self.absent_since = None;
                self.doubt(why, now);
            }
            Sight::Absent => self.fold_absent(sighting.exit, now),
            Sight::Seen(report) => self.fold_report(report, sighting.place.as_ref(), now),
        }
    }

    fn fold_absent(&mut self, exit: Option<ExitStatus>, now: Timestamp) {
        // A beginning in the future (clocks jump) would never be over.
        let since = self.absent_since.filter(|since| *since <= now).unwrap_or(now);
        let settled = now.since(since) >= self.terms.settle;
        match &self.phase {
            Phase::Intent | Phase::Ended(_) => return,
            Phase::Sending { .. } if settled && self.stop.is_some() => return self.end_as_wished(now),
            Phase::Sending { .. } if settled => self.phase = Phase::Intent,
            Phase::Sending { .. } => {}
            Phase::Accepted { .. }
            | Phase::Pending { .. }
            | Phase::Starting { .. }
            | Phase::Healthy { .. }
            | Phase::Unhealthy { .. } => {
                if let Some(exit) = exit {
                    return self.fold_end(&end_by_exit_record(exit), now);
                }
                if settled && self.is_cancelled() {
                    return self.end_as_wished(now);
                }
                if settled {
                    return self.end(EndStatus::Failed, Cause::Vanished, now);
                }
            }
        }
        self.absent_since = (self.phase != Phase::Intent).then_some(since);
        self.doubt = None;
    }

    fn fold_report(&mut self, report: &JobReport, place: Option<&Place>, now: Timestamp) {
        self.adopt(&report.id, now);
        let Some(mut job) = self.phase.job().cloned() else { return };
        let earlier = job.run.as_ref().and_then(|run| run.mark);
        if job.id != report.id || report.run.is_some_and(|mark| earlier.is_some_and(|known| mark < known)) {
            return;
        }
        self.known(now);
        job.word = Some(report.word.clone());
        job.reason.clone_from(&report.reason);
        job.node = report.node.clone().or(job.node);
        job.state = Some(report.state.clone());
        match &report.state {
            JobState::Queued => {
                job.run = None;
                job.node = None;
                self.ping = None;
                self.queued(job);
            }
            JobState::Configuring | JobState::Running | JobState::Suspended => {
                let new_run = self.renew_run(&mut job, report, place, now);
                self.allocated(job, new_run, now);
            }
            JobState::Leaving => self.keep(job),
            JobState::Ended(end) => {
                self.keep(job);
                self.fold_end(end, now);
            }
        }
    }

    /// Brings the job's run up to date and says whether another run than the known one has begun.
    fn renew_run(
        &mut self,
        job: &mut Job,
        report: &JobReport,
        place: Option<&Place>,
        now: Timestamp,
    ) -> bool {
        let active = report.state == JobState::Running;
        let began = report.running_for.map_or(now, |elapsed| now.minus(elapsed));
        let known = job.run.take().filter(|run| run.mark == report.run);
        let new_run = known.is_none();
        if new_run {
            self.ping = None;
        }
        let since = match &known {
            _ if !active => now,
            // A beginning in the future (clocks jump) would hold up grace.
            Some(run) if run.since <= now => run.since,
            Some(_) | None => began,
        };
        let known_place = known.and_then(|run| run.place);
        let place = place.cloned().or(known_place.clone());
        // An answer that came too late after the scheduler's last word may be had again at once.
        let too_late = self.ping.as_ref().is_some_and(|ping| ping.echo == Echo::Answered && !ping.counted);
        if place != known_place || too_late {
            self.ping = None;
        }
        let ends_at = report.time_left.map(|left| now.plus(left));
        job.run = Some(Run { mark: report.run, since, verified_at: now, ends_at, place });
        new_run
    }

    fn queued(&mut self, job: Job) {
        self.phase = match &self.phase {
            Phase::Intent
            | Phase::Sending { .. }
            | Phase::Accepted { .. }
            | Phase::Pending { .. }
            | Phase::Starting { .. } => Phase::Pending { job },
            Phase::Healthy { .. } | Phase::Unhealthy { .. } => Phase::Unhealthy { job },
            Phase::Ended(_) => return,
        };
    }

    fn allocated(&mut self, job: Job, new_run: bool, now: Timestamp) {
        self.phase = match &self.phase {
            Phase::Intent
            | Phase::Sending { .. }
            | Phase::Accepted { .. }
            | Phase::Pending { .. }
            | Phase::Starting { .. } => Phase::Starting { job },
            Phase::Healthy { .. } if !new_run => Phase::Healthy { job },
            Phase::Healthy { .. } | Phase::Unhealthy { .. } => Phase::Unhealthy { job },
            Phase::Ended(_) => return,
        };
        self.end_if_grace_is_spent(now);
    }

    /// Keeps the phase and replaces the job in it.
    fn keep(&mut self, new: Job) {
        match &mut self.phase {
            Phase::Intent | Phase::Sending { .. } => self.phase = Phase::Accepted { job: new },
            Phase::Accepted { job }
            | Phase::Pending { job }
            | Phase::Starting { job }
            | Phase::Healthy { job }
            | Phase::Unhealthy { job } => *job = new,
            Phase::Ended(_) => {}
        }
    }
}

/// Notes what a look at an ended service's job means for what it still owes.
fn settle_ended(ending: &mut Ending, sight: &Sight) {
    match sight {
        Sight::Unseen(_) | Sight::Absent => {}
        Sight::Seen(report) => {
            let ours = ending.job.as_ref().is_none_or(|job| job.id == report.id);
            match (&report.state, &ending.job) {
                (JobState::Ended(_), _) if ours => ending.owes_cancel = false,
                (
                    JobState::Queued
                    | JobState::Configuring
                    | JobState::Running
                    | JobState::Suspended
                    | JobState::Leaving,
                    None,
                ) => {
                    ending.job = Some(Job::accepted(report.id.clone()));
                    ending.owes_cancel = true;
                }
                (
                    JobState::Queued
                    | JobState::Configuring
                    | JobState::Running
                    | JobState::Suspended
                    | JobState::Leaving
                    | JobState::Ended(_),
                    _,
                ) => {}
            }
        }
    }
}

/// What the job's own record tells where the scheduler knows nothing more.
fn end_by_exit_record(exit: ExitStatus) -> JobEnd {
    let outcome = if exit.code == 0 && exit.signal.is_none() { Outcome::Completed } else { Outcome::Failed };
    JobEnd { outcome, exit: Some(exit), reason: None }
}
