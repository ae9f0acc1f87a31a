//! Folding pings: what makes HEALTHY, what makes UNHEALTHY, and when silence ends a service.

use super::fact::{Echo, Ping, PingRecord};
use super::life::Life;
use super::phase::{Cause, Phase, Run};
use super::status::EndStatus;
use crate::job::JobState;
use crate::time::Timestamp;

impl Life {
    pub(super) fn fold_ping(&mut self, ping: &Ping, now: Timestamp) {
        let Some(run) = self.phase.job().and_then(|job| job.run.as_ref()) else { return };
        let Some(place) = run.place.as_ref().filter(|place| place.is_same_address(&ping.place)) else {
            return;
        };
        let ours =
            place.listening && self.is_verified(run, now) && run.ends_at.is_none_or(|ends_at| now < ends_at);
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

    /// Whether the scheduler's word that the run goes on is still good. One from the future (clocks jump) is not.
    fn is_verified(&self, run: &Run, now: Timestamp) -> bool {
        run.verified_at <= now.plus(self.terms.fresh) && now.since(run.verified_at) <= self.terms.verify
    }

    /// Ends a STARTING service whose server was silent for a whole grace period of running, if both the scheduler's
    /// word that it runs and a ping over a working way are younger than the end of that period. An answer that only
    /// came too late after that word is no silence.
    pub(super) fn end_if_grace_is_spent(&mut self, now: Timestamp) {
        let Phase::Starting { job } = &self.phase else { return };
        let (Some(run), Some(ping), Some(JobState::Running)) = (&job.run, &self.ping, &job.state) else {
            return;
        };
        let silent = match &ping.echo {
            Echo::Silent(_) => true,
            Echo::Answered => !run.place.as_ref().is_some_and(|place| place.listening),
            Echo::NoRoute(_) => false,
        };
        let over = run.since.plus(self.terms.grace);
        let spent = ping.at >= over && run.verified_at >= over && now >= over;
        if silent && spent && self.is_verified(run, now) && !self.is_cancelled() {
            let grace = self.terms.grace;
            self.end(EndStatus::Timeout, Cause::GraceSpent { grace }, now);
            if let Phase::Ended(ending) = &mut self.phase {
                ending.owes_cancel = true;
            }
        }
    }
}
