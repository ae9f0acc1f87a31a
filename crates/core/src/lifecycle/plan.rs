//! Planning: what is to be done now, and when to ask again, derived from the state alone.
//!
//! A plan follows from where a life stands and never from how it got there, so whoever was killed plans the same
//! again. The way to a verdict is always the same: make sure of the tunnel, ping, and only if the ping was not
//! answered (or the scheduler's word is too old) ask about the job.

use std::time::Duration;

use super::fact::Echo;
use super::life::{Life, TunnelRecord};
use super::phase::{Ending, Phase};
use super::request::StopWish;
use super::status::Status;
use crate::doubt::Doubt;
use crate::id::JobId;
use crate::job::Place;
use crate::known_job::{Job, Run};
use crate::time::Timestamp;
use crate::tunnel::Tunnel;

/// One thing to do. Those of one plan may be done in any order; their answers are facts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Submit the job; fold [`super::Fact::Submitting`] and save first. Answers: [`super::Fact::Submission`].
    Submit,
    /// Ask the scheduler. Answers: [`super::Fact::Job`].
    Survey,
    /// Make sure that a tunnel to the place is open. Answers: [`super::TunnelFact::Open`] or `Unopened`.
    Open {
        /// Where it must lead.
        place: Place,
        /// The local port to keep, once one is chosen.
        local_port: Option<u16>,
        /// The tunnel that there was.
        before: Option<Tunnel>,
    },
    /// Ask the server for its health path. Answers: [`super::Fact::Ping`].
    Ping {
        /// Through this tunnel.
        tunnel: Tunnel,
    },
    /// Cancel the job. Answers: [`super::Fact::Cancel`].
    Cancel {
        /// The job.
        job: JobId,
    },
    /// Close the tunnel. Answers: [`super::TunnelFact::Closed`] or `Unclosed`.
    Close {
        /// The tunnel.
        tunnel: Tunnel,
    },
}

/// What to do now, and when to ask again if nothing else happens.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Plan {
    /// What is to be done now; empty if there is only to wait.
    pub actions: Vec<Action>,
    /// When to plan again; `None` if nothing is awaited any more.
    pub wake_at: Option<Timestamp>,
}

/// How often a server that has not answered yet is pinged.
const PING_STARTING: Duration = Duration::from_millis(500);
/// How often a server that answers is pinged.
const PING_HEALTHY: Duration = Duration::from_secs(5);
/// How often a server that answered once is pinged.
const PING_UNHEALTHY: Duration = Duration::from_secs(2);
/// How long a cancel that was heard may take to show before it is sent again.
const CANCEL_AGAIN: Duration = Duration::from_secs(60);

impl Life {
    /// What is to be done at `now`, and when to ask again.
    pub fn plan(&self, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        match &self.phase {
            Phase::Intent => plan.act_or_wait(Action::Submit, self.not_before(now), now),
            Phase::Sending { .. } => self.plan_survey(self.is_survey_due(now), now, &mut plan),
            Phase::Live { job, .. } => self.plan_job(job, now, &mut plan),
            Phase::Ended(ending) => self.plan_debts(ending, now, &mut plan),
        }
        plan.wake_at = plan.wake_at.map(|at| at.max(now));
        plan
    }

    fn plan_survey(&self, needed: bool, now: Timestamp, plan: &mut Plan) {
        if needed {
            plan.act(Action::Survey, now);
        }
        let looked_at = self.looked_at.unwrap_or(now).min(now);
        plan.wake(looked_at.plus(self.survey_pace(looked_at)));
    }

    fn plan_job(&self, job: &Job, now: Timestamp, plan: &mut Plan) {
        if let Some(stop) = &self.stop {
            self.plan_stop(stop, job, now, plan);
        }
        if let (true, Some(tunnel)) = (self.tunnel_unwanted, self.open_tunnel()) {
            plan.act_or_wait(Action::Close { tunnel: tunnel.clone() }, self.not_before(now), now);
        }
        let due = self.is_survey_due(now);
        let verified_at = job.run.as_ref().and_then(|run| run.verified_at);
        let unverified = verified_at.is_none_or(|at| at.is_older(self.terms.verify, now));
        let asks_first = due && unverified;
        let pings = !asks_first && self.plan_ping(job, now, plan);
        self.plan_survey(asks_first || due && !pings && !self.is_surely_healthy(job), now, plan);
        if self.wants_pings() && job.place().is_some() {
            plan.wake(self.ping_not_before(now));
        }
    }

    fn plan_stop(&self, stop: &StopWish, job: &Job, now: Timestamp, plan: &mut Plan) {
        let waits_until = match (stop.cancelled_at, &stop.failed) {
            (Some(heard), _) if !heard.is_older(CANCEL_AGAIN, now) => Some(heard.plus(CANCEL_AGAIN)),
            (None, _) if !stop.is_due(now) => Some(stop.due),
            (_, Some(failed)) => failed.not_before(now),
            (_, None) => None,
        };
        plan.act_or_wait(Action::Cancel { job: job.id.clone() }, waits_until, now);
    }

    /// Plans the next step towards a ping and says whether there is one to take now.
    fn plan_ping(&self, job: &Job, now: Timestamp, plan: &mut Plan) -> bool {
        let Some(Run { place: Some(place), .. }) = &job.run else { return false };
        if !self.wants_pings() || self.ping_not_before(now).is_some() {
            return false;
        }
        match &self.tunnel {
            Some(TunnelRecord { tunnel, checked_at })
                if tunnel.place.is_same_address(place) && !checked_at.is_older(self.terms.fresh, now) =>
            {
                plan.act(Action::Ping { tunnel: tunnel.clone() }, now);
            }
            before => {
                let before = before.as_ref().map(|record| record.tunnel.clone());
                plan.act(Action::Open { place: place.clone(), local_port: self.local_port, before }, now);
            }
        }
        true
    }

    fn plan_debts(&self, ending: &Ending, now: Timestamp, plan: &mut Plan) {
        if let (true, Some(job)) = (ending.owes_cancel, &ending.job) {
            plan.act_or_wait(Action::Cancel { job: job.id.clone() }, self.not_before(now), now);
        }
        if let Some(tunnel) = self.open_tunnel() {
            plan.act_or_wait(Action::Close { tunnel: tunnel.clone() }, self.not_before(now), now);
        }
    }

    /// A server that is being stopped, or whose tunnel is unwanted, is left alone.
    fn wants_pings(&self) -> bool {
        !self.tunnel_unwanted && !self.is_cancelled()
    }

    /// Whether the last ping says it all, without the scheduler's word.
    fn is_surely_healthy(&self, job: &Job) -> bool {
        let answered = self.ping.as_ref().is_some_and(|ping| ping.counted);
        self.status() == Status::Healthy && job.place().is_some() && answered && self.wants_pings()
    }

    pub(crate) fn is_survey_due(&self, now: Timestamp) -> bool {
        let Some(looked_at) = self.looked_at else { return true };
        looked_at.is_older(self.survey_pace(looked_at), now)
            || self.is_asked_after(looked_at, now) && self.not_before(now).is_none()
    }

    /// When to ping again; `None` if it is to be done now. Where there was no way to the server and the cluster tells
    /// nothing either, the way is left alone as long as the cluster.
    fn ping_not_before(&self, now: Timestamp) -> Option<Timestamp> {
        let ping = self.ping.as_ref()?;
        let back_off = self.not_before(now).filter(|_| matches!(ping.echo, Echo::NoRoute(_)));
        let due = ping.at.is_older(self.ping_pace(), now) || self.is_asked_after(ping.at, now);
        back_off.or_else(|| (!due).then(|| ping.at.plus(self.ping_pace())))
    }

    /// Whether somebody asked for fresh knowledge when that of `at` was stale already. Nobody asks in the future
    /// (clocks jump): such a question would never be answered.
    fn is_asked_after(&self, at: Timestamp, now: Timestamp) -> bool {
        self.asked_at.is_some_and(|asked_at| {
            asked_at <= now && asked_at > at && asked_at.since(at) >= self.terms.fresh
        })
    }

    /// How long to leave the scheduler alone after it was asked at `looked_at`: the longer nothing had changed by then,
    /// and the more often it gave no answer, the longer. Not a matter of the time now: a pace that grows while it is
    /// waited for is never over.
    fn survey_pace(&self, looked_at: Timestamp) -> Duration {
        let secs = Duration::from_secs;
        let tenth = looked_at.since(self.since) / 10;
        let stopping = self.stop.as_ref().and_then(|stop| stop.cancelled_at);
        let pace = match (self.status(), stopping) {
            (_, Some(heard)) => (looked_at.since(heard) / 5).clamp(Duration::from_millis(500), secs(10)),
            (Status::Submitted | Status::Pending | Status::Starting, None) if self.answers_unpublished() => {
                secs(1)
            }
            (Status::Submitted | Status::Pending | Status::Starting, None) => tenth.clamp(secs(1), secs(10)),
            (Status::Unhealthy, None) => tenth.clamp(secs(2), secs(30)),
            (Status::Healthy | Status::Stopped | Status::Timeout | Status::Failed, None) => self.terms.verify,
        };
        pace.max(self.doubt.as_ref().map_or(Duration::ZERO, Doubt::back_off))
    }

    /// Whether something answers at the place although the job has not published it yet: it may do so any moment.
    fn answers_unpublished(&self) -> bool {
        let published = self.phase.job().and_then(Job::place).is_some_and(|place| place.listening);
        !published && self.ping.as_ref().is_some_and(|ping| ping.echo == Echo::Answered)
    }

    fn ping_pace(&self) -> Duration {
        match self.status() {
            Status::Submitted | Status::Pending | Status::Starting => PING_STARTING,
            Status::Unhealthy => PING_UNHEALTHY,
            Status::Healthy | Status::Stopped | Status::Timeout | Status::Failed => PING_HEALTHY,
        }
    }

    /// When to try again what came to nothing; `None` if it is to be tried now.
    fn not_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.doubt.as_ref().and_then(|doubt| doubt.not_before(now))
    }
}

impl Plan {
    fn act(&mut self, action: Action, now: Timestamp) {
        self.actions.push(action);
        self.wake(Some(now));
    }

    /// Plans the action unless it is to be waited for.
    fn act_or_wait(&mut self, action: Action, not_before: Option<Timestamp>, now: Timestamp) {
        match not_before {
            Some(at) => self.wake(at),
            None => self.act(action, now),
        }
    }

    fn wake(&mut self, at: impl Into<Option<Timestamp>>) {
        self.wake_at = match (self.wake_at, at.into()) {
            (Some(known), Some(at)) => Some(known.min(at)),
            (known, at) => known.or(at),
        };
    }
}
