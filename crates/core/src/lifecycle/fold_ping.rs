//! Folding pings: what makes HEALTHY, what makes UNHEALTHY, and when silence ends a service.

use super::fact::{Echo, Ping, PingRecord};
use super::life::Life;
use super::phase::{Cause, Phase};
use super::stage::Stage;
use super::status::EndStatus;
use crate::job::JobState;
use crate::known_job::Job;
use crate::time::Timestamp;

impl Life {
    pub(super) fn fold_ping(&mut self, ping: &Ping, now: Timestamp) {
        let cancelled = self.is_cancelled();
        let Phase::Live { stage, job: Job { run: Some(run), .. } } = &mut self.phase else { return };
        let Some(place) = run.place.as_ref().filter(|place| place.is_same_address(&ping.place)) else {
            return;
        };
        let in_time = run.ends_at.is_none_or(|ends_at| now < ends_at);
        let ours = place.listening && in_time && run.is_verified(&self.terms, now);
        let counted = ours && ping.echo == Echo::Answered;
        if counted {
            *stage = Stage::Healthy;
            self.known(now);
        } else if !cancelled {
            *stage = stage.unanswered();
        }
        self.ping = Some(PingRecord { at: now, echo: ping.echo.clone(), counted });
        self.end_if_grace_is_spent(now);
    }

    /// Ends a STARTING service whose server was silent for a whole grace period of running: a ping over a working way
    /// was in vain when that period was over, and the scheduler, asked not before it, says that the same run goes on.
    /// An answer is silence if by then the job has not told that its server listens.
    pub(super) fn end_if_grace_is_spent(&mut self, now: Timestamp) {
        let Phase::Live { stage: Stage::Starting, job } = &self.phase else { return };
        let (Some(run), Some(ping), Some(JobState::Running)) = (&job.run, &self.ping, &job.state) else {
            return;
        };
        let silent = match &ping.echo {
            Echo::Silent(_) => true,
            Echo::Answered => !run.place.as_ref().is_some_and(|place| place.listening),
            Echo::NoRoute(_) => false,
        };
        let over = run.since.plus(self.terms.grace);
        let spent = ping.at >= over && run.verified_at >= Some(ping.at);
        // Who hears the cancel of a stop that is due ends as wished.
        let stops = self.is_cancelled() || self.stop.as_ref().is_some_and(|stop| stop.is_due(now));
        if silent && spent && run.is_verified(&self.terms, now) && !stops {
            self.end(EndStatus::Timeout, Cause::GraceSpent { grace: self.terms.grace }, now);
            if let Phase::Ended(ending) = &mut self.phase {
                ending.owes_cancel = true;
            }
        }
    }
}
