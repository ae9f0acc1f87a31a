//! Folding facts: what the world said turns a life into the next one.
//!
//! One function a fact, each matching every phase. Three rules hold everywhere: a terminal phase keeps its status and
//! cause; doubt ends nothing; a fact about another run or another job than the present one changes nothing.

use super::fact::{CancelFact, Echo, Fact, Ping, Submission, TunnelFact};
use super::life::{Life, TunnelRecord};
use super::phase::{Cause, Ending, Phase};
use super::stage::Stage;
use super::status::EndStatus;
use crate::doubt::Doubt;
use crate::id::JobId;
use crate::job::{JobEnd, Outcome};
use crate::known_job::Job;
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
        life.forget_the_future(now);
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

    /// The life after `fact`, which was asked for at `asked` and learnt at `at`, is told late, at `now`: nothing changes
    /// if what another look learnt after `asked` is known already, for of such two nobody can tell which is the later.
    /// One in the future is none (clocks jump), save that of two looks at the job neither may undo the other: the next
    /// one tells. For the same reason a ping and a look of two processes spend no grace period together.
    #[must_use]
    pub fn observe_late(&self, fact: &Fact, asked: Timestamp, at: Timestamp, now: Timestamp) -> Self {
        let known = match fact {
            Fact::Job(_) => self.looked_at,
            Fact::Ping(_) | Fact::Tunnel(TunnelFact::Unopened(_)) => self.ping.as_ref().map(|ping| ping.at),
            Fact::Tunnel(TunnelFact::Open(_) | TunnelFact::Closed) => {
                self.tunnel.as_ref().map(|tunnel| tunnel.checked_at)
            }
            Fact::Submitting
            | Fact::Submission(_)
            | Fact::Tunnel(TunnelFact::Unclosed(_))
            | Fact::Cancel(_) => None,
        };
        let is_look = matches!(fact, Fact::Job(_));
        let outdated = known.is_some_and(|known| asked < known && (known <= now || is_look));
        let life = self.observe(fact, at);
        let spends_grace =
            !self.status().is_terminal() && matches!(life.cause(), Some(Cause::GraceSpent { .. }));
        if outdated || spends_grace { self.clone() } else { life }
    }

    /// Forgets what verdicts rest on if our clock has gone back behind it: by the time it shows the same time again,
    /// that is old. The word of the scheduler is kept over a little, by which the clocks of two machines differ.
    fn forget_the_future(&mut self, now: Timestamp) {
        self.ping.take_if(|ping| ping.at > now);
        if let Phase::Live { job: Job { run: Some(run), .. }, .. } = &mut self.phase {
            run.verified_at.take_if(|at| *at > now.plus(self.terms.fresh));
            run.since = run.since.min(now);
        }
    }

    fn fold_submitting(&mut self, now: Timestamp) {
        match self.phase {
            Phase::Intent => {
                self.absence = None;
                self.phase = Phase::Sending { since: now };
            }
            Phase::Sending { .. } | Phase::Live { .. } | Phase::Ended(_) => {}
        }
    }

    fn fold_submission(&mut self, submission: &Submission, now: Timestamp) {
        match (&self.phase, submission) {
            (Phase::Intent | Phase::Sending { .. }, Submission::Refused(words)) => {
                self.end(EndStatus::Failed, Cause::Refused(words.clone()), now);
            }
            // There is no job to cancel, and none is submitted any more.
            (Phase::Intent | Phase::Sending { .. }, Submission::NotSent(_)) if self.stop.is_some() => {
                self.end_as_wished(now);
            }
            (Phase::Intent | Phase::Sending { .. }, Submission::NotSent(why)) => {
                self.phase = Phase::Intent;
                self.doubt(why, now);
            }
            (Phase::Intent, Submission::Unclear(why)) => {
                self.phase = Phase::Sending { since: now };
                self.doubt(why, now);
            }
            (Phase::Sending { .. }, Submission::Unclear(why)) => self.doubt(why, now),
            (
                Phase::Intent | Phase::Sending { .. } | Phase::Live { .. } | Phase::Ended(_),
                Submission::Accepted(id),
            ) => self.adopt(id, now),
            (
                Phase::Live { .. } | Phase::Ended(_),
                Submission::Refused(_) | Submission::NotSent(_) | Submission::Unclear(_),
            ) => {}
        }
    }

    /// Takes over a job that exists. A service that has ended without knowing it owes its cancel.
    pub(super) fn adopt(&mut self, id: &JobId, now: Timestamp) {
        match &mut self.phase {
            Phase::Intent | Phase::Sending { .. } => {
                self.phase = Phase::Live { stage: Stage::Accepted, job: Job::accepted(id.clone()) };
                self.known(now);
                self.looked_at = Some(now);
            }
            Phase::Ended(ending) if ending.job.is_none() => {
                ending.job = Some(Job::accepted(id.clone()));
                ending.owes_cancel = true;
            }
            Phase::Live { .. } | Phase::Ended(_) => {}
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
        match (&mut self.phase, fact) {
            (Phase::Ended(ending), CancelFact::Accepted) => {
                ending.owes_cancel = false;
                self.doubt = None;
            }
            (Phase::Ended(_), CancelFact::Failed(why)) => self.doubt(why, now),
            (Phase::Intent | Phase::Sending { .. } | Phase::Live { .. }, _) => {
                let Some(stop) = &mut self.stop else { return };
                match fact {
                    CancelFact::Accepted => (stop.cancelled_at, stop.failed) = (Some(now), None),
                    CancelFact::Failed(why) => stop.failed = Some(Doubt::after(stop.failed.take(), why, now)),
                }
            }
        }
    }

    /// Ends the service since its job ended: as wished if that is why, else as the job did.
    pub(super) fn fold_end(&mut self, end: &JobEnd, now: Timestamp) {
        let cancelled = end.outcome == Outcome::Cancelled;
        match &self.stop {
            Some(stop) if stop.cancelled_at.is_some() || cancelled && stop.is_due(now) => {
                self.end_as_wished(now);
            }
            Some(_) | None => self.end(end.status(), Cause::Job(end.clone()), now),
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
        self.absence = None;
        self.doubt = None;
        self.since = now;
    }

    pub(super) fn known(&mut self, now: Timestamp) {
        self.observed_at = Some(now);
        self.absence = None;
        self.doubt = None;
    }

    pub(super) fn doubt(&mut self, why: &str, now: Timestamp) {
        self.doubt = Some(Doubt::after(self.doubt.take(), why, now));
    }
}
