//! Folding facts: what the world said turns a life into the next one.
//!
//! One function a fact, each matching every phase. Three rules hold everywhere: a terminal phase keeps its status and
//! cause; doubt ends nothing; a fact about another run or another job than the present one changes nothing.

use super::fact::{CancelFact, Echo, Fact, Ping, PingRecord, Submission, TunnelFact};
use super::life::{Doubt, Life, TunnelRecord};
use super::phase::{Cause, Ending, Job, Phase, Run};
use super::status::EndStatus;
use crate::id::JobId;
use crate::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Place, Sight, Sighting};
use crate::time::Timestamp;

impl Life {
    /// The life after `fact` was learnt at `now`. Never illegal: a fact that says nothing new changes nothing.
    ///
    /// A ping makes HEALTHY only if it counts: the present run of the job has published the place, the scheduler has
    /// said within the verification interval that it runs, and its time limit has not passed.
    #[must_use]
    pub fn observe(&self, fact: &Fact, now: Timestamp) -> Self {
        let mut life = self.clone();
        let before = life.status();
        match fact {
            Fact::Submitting => life.fold_submitting(now),
            Fact::Submission(submission) => life.fold_submission(submission, now),
            Fact::Job(sighting) => life.fold_sighting(sighting, now),
            Fact::Tunnel(tunnel) => life.fold_tunnel(tunnel, now),
            Fact::Ping(ping) => life.fold_ping(ping, now),
            Fact::Cancel(cancel) => life.fold_cancel(cancel, now),
        }
        if life.status() != before {
            life.since = now;
        }
        life
    }

    fn fold_submitting(&mut self, now: Timestamp) {
        match &self.phase {
            Phase::Intent => {
                self.absent_since = None;
                self.phase = Phase::Sending { since: now };
            }
            Phase::Sending { .. }
            | Phase::Accepted { .. }
            | Phase::Pending { .. }
            | Phase::Starting { .. }
            | Phase::Healthy { .. }
            | Phase::Unhealthy { .. }
            | Phase::Ended(_) => {}
        }
    }

    fn fold_submission(&mut self, submission: &Submission, now: Timestamp) {
        match submission {
            Submission::Accepted(id) => self.adopt(id, now),
            Submission::Refused(words) => match &self.phase {
                Phase::Intent | Phase::Sending { .. } => {
                    self.end(EndStatus::Failed, Cause::Refused(words.clone()), now);
                }
                Phase::Accepted { .. }
                | Phase::Pending { .. }
                | Phase::Starting { .. }
                | Phase::Healthy { .. }
                | Phase::Unhealthy { .. }
                | Phase::Ended(_) => {}
            },
            Submission::NotSent(why) => match &self.phase {
                Phase::Intent | Phase::Sending { .. } => {
                    self.phase = Phase::Intent;
                    self.doubt(why, now);
                }
                Phase::Accepted { .. }
                | Phase::Pending { .. }
                | Phase::Starting { .. }
                | Phase::Healthy { .. }
                | Phase::Unhealthy { .. }
                | Phase::Ended(_) => {}
            },
            Submission::Unclear(why) => match &self.phase {
                Phase::Intent => {
                    self.phase = Phase::Sending { since: now };
                    self.doubt(why, now);
                }
                Phase::Sending { .. } => self.doubt(why, now),
                Phase::Accepted { .. }
                | Phase::Pending { .. }
                | Phase::Starting { .. }
                | Phase::Healthy { .. }
                | Phase::Unhealthy { .. }
                | Phase::Ended(_) => {}
            },
        }
    }

    /// Takes over a job that exists. A service that has ended without knowing it owes its cancel.
    fn adopt(&mut self, id: &JobId, now: Timestamp) {
        match &mut self.phase {
            Phase::Intent | Phase::Sending { .. } => {
                self.phase = Phase::Accepted { job: Job::accepted(id.clone()) };
                self.known(now);
                self.looked_at = Some(now);
            }
            Phase::Ended(ending) if ending.job.is_none() => {
                ending.job = Some(Job::accepted(id.clone()));
                ending.owes_cancel = true;
            }
            Phase::Accepted { .. }
            | Phase::Pending { .. }
            | Phase::Starting { .. }
            | Phase::Healthy { .. }
            | Phase::Unhealthy { .. }
            | Phase::Ended(_) => {}
        }
    }

    fn fold_sighting(&mut self, sighting: &Sighting, now: Timestamp) {
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
        self.doubt = None;
        let since = *self.absent_since.get_or_insert(now);
        let settled = now.since(since) >= self.terms.settle;
        match &self.phase {
            Phase::Intent | Phase::Ended(_) => {}
            Phase::Sending { .. } => {
                if settled && self.stop.is_some() {
                    self.end_as_wished(now);
                } else if settled {
                    self.absent_since = None;
                    self.phase = Phase::Intent;
                }
            }
            Phase::Accepted { .. }
            | Phase::Pending { .. }
            | Phase::Starting { .. }
            | Phase::Healthy { .. }
            | Phase::Unhealthy { .. } => {
                if let Some(exit) = exit {
                    self.fold_end(&end_by_exit_record(exit), now);
                } else if settled {
                    self.end(EndStatus::Failed, Cause::Vanished, now);
                }
            }
        }
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
            Some(run) => run.since,
            None => began,
        };
        let known_place = known.and_then(|run| run.place);
        let place = place.cloned().or(known_place.clone());
        if place != known_place {
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

    fn fold_ping(&mut self, ping: &Ping, now: Timestamp) {
        let Some(run) = self.phase.job().and_then(|job| job.run.as_ref()) else { return };
        let Some(place) = run.place.as_ref().filter(|place| place.is_same_address(&ping.place)) else {
            return;
        };
        let ours = place.listening
            && run.verified_at <= now.plus(self.terms.fresh)
            && now.since(run.verified_at) <= self.terms.verify
            && run.ends_at.is_none_or(|ends_at| now < ends_at);
        let counted = ours && ping.echo == Echo::Answered;
        match &self.phase {
            Phase::Intent | Phase::Sending { .. } | Phase::Ended(_) => return,
            Phase::Accepted { job }
            | Phase::Pending { job }
            | Phase::Starting { job }
            | Phase::Healthy { job }
            | Phase::Unhealthy { job }
                if counted =>
            {
                self.phase = Phase::Healthy { job: job.clone() };
                self.known(now);
            }
            Phase::Healthy { .. } if self.is_cancelled() => {}
            Phase::Healthy { job } => self.phase = Phase::Unhealthy { job: job.clone() },
            Phase::Accepted { .. }
            | Phase::Pending { .. }
            | Phase::Starting { .. }
            | Phase::Unhealthy { .. } => {}
        }
        self.ping = Some(PingRecord { at: now, echo: ping.echo.clone(), counted });
        self.end_if_grace_is_spent(now);
    }

    /// Ends a STARTING service whose server was silent for a whole grace period of running, if both the scheduler's
    /// word that it runs and a ping over a working way are younger than the end of that period.
    fn end_if_grace_is_spent(&mut self, now: Timestamp) {
        let Phase::Starting { job } = &self.phase else { return };
        let (Some(run), Some(ping), Some(JobState::Running)) = (&job.run, &self.ping, &job.state) else {
            return;
        };
        let over = run.since.plus(self.terms.grace);
        let silent = match &ping.echo {
            Echo::Silent(_) | Echo::Answered => !ping.counted,
            Echo::NoRoute(_) => false,
        };
        if silent && ping.at >= over && run.verified_at >= over && now >= over {
            let grace = self.terms.grace;
            self.end(EndStatus::Timeout, Cause::GraceSpent { grace }, now);
            if let Phase::Ended(ending) = &mut self.phase {
                ending.owes_cancel = true;
            }
        }
    }

    fn fold_tunnel(&mut self, fact: &TunnelFact, now: Timestamp) {
        match fact {
            TunnelFact::Open(tunnel) => {
                if tunnel.handle.is_some() {
                    self.local_port = Some(tunnel.port);
                }
                self.tunnel = Some(TunnelRecord { tunnel: tunnel.clone(), checked_at: now });
            }
            TunnelFact::Unopened(why) => {
                let Some(place) = self.phase.job().and_then(Job::place).cloned() else { return };
                self.fold_ping(&Ping { place, echo: Echo::NoRoute(why.clone()) }, now);
            }
            TunnelFact::Closed => self.tunnel = None,
            TunnelFact::Unclosed(why) => self.doubt(why, now),
        }
    }

    fn fold_cancel(&mut self, fact: &CancelFact, now: Timestamp) {
        match &mut self.phase {
            Phase::Ended(ending) => match fact {
                CancelFact::Accepted => {
                    ending.owes_cancel = false;
                    self.doubt = None;
                }
                CancelFact::Failed(why) => self.doubt(why, now),
            },
            Phase::Intent
            | Phase::Sending { .. }
            | Phase::Accepted { .. }
            | Phase::Pending { .. }
            | Phase::Starting { .. }
            | Phase::Healthy { .. }
            | Phase::Unhealthy { .. } => {
                let Some(stop) = &mut self.stop else { return };
                match fact {
                    CancelFact::Accepted => {
                        stop.cancelled_at = Some(now);
                        stop.failed = None;
                    }
                    CancelFact::Failed(why) => stop.failed = Some(Doubt::after(stop.failed.take(), why, now)),
                }
            }
        }
    }

    /// Ends the service since its job ended: as wished if that is why, else as the job did.
    fn fold_end(&mut self, end: &JobEnd, now: Timestamp) {
        let wished = self.stop.as_ref().is_some_and(|stop| {
            stop.cancelled_at.is_some() || (end.outcome == Outcome::Cancelled && stop.due <= now)
        });
        if wished {
            self.end_as_wished(now);
        } else {
            self.end(end.status(), Cause::Job(end.clone()), now);
        }
    }

    pub(super) fn end_as_wished(&mut self, now: Timestamp) {
        let status = self.stop.as_ref().map_or(EndStatus::Stopped, |stop| stop.status);
        self.end(status, Cause::Requested, now);
    }

    pub(super) fn end(&mut self, status: EndStatus, cause: Cause, now: Timestamp) {
        let job = self.phase.job().cloned();
        self.phase = Phase::Ended(Ending { status, cause, at: now, job, owes_cancel: false });
        self.stop = None;
        self.absent_since = None;
        self.doubt = None;
        self.since = now;
    }

    fn known(&mut self, now: Timestamp) {
        self.observed_at = Some(now);
        self.absent_since = None;
        self.doubt = None;
    }

    fn doubt(&mut self, why: &str, now: Timestamp) {
        self.doubt = Some(Doubt::after(self.doubt.take(), why, now));
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
