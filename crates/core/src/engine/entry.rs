//! One service on its way through a turn.

use super::error::EngineError;
use crate::lifecycle::{
    Action, Echo, Fact, Job, Life, Phase, PingRecord, Refusal, Request, Status, Submission, Tunnel,
    TunnelFact,
};
use crate::ports::Change;
use crate::service::{Event, Service};
use crate::time::Timestamp;

/// A service on its way through a turn: what is saved of it, what was learnt since, and what follows from both.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) saved: Service,
    pub(super) service: Service,
    pub(super) news: Vec<Told>,
    /// When this turn announced the submission that it sent.
    pub(super) sent_at: Option<Timestamp>,
    /// Why a wish was not granted after all: another process had changed the service.
    pub(super) refused: Option<Refusal>,
    /// When somebody asked for this look, to whom what was learnt a moment before or since is news enough.
    asked_at: Option<Timestamp>,
    /// Whether the scheduler was asked in this turn. Once is enough, however slow it is.
    pub(super) surveyed: bool,
    /// Whether the server was asked in vain in this turn.
    in_vain: bool,
    /// Tunnels that this turn has opened while another process opened one as well, whose is kept.
    pub(super) strays: Vec<Tunnel>,
    /// When the scheduler or another process last told of it. Answers to what was asked before that come late.
    told_at: Option<Timestamp>,
    /// Whether the service was removed meanwhile.
    pub(super) gone: bool,
    /// Whether it is here only since a survey tells of it as well: what it plans is left to others.
    pub(super) is_companion: bool,
}

/// What changes a life: facts and wishes alike can be applied again to a life that somebody else has changed.
#[derive(Clone)]
pub(super) enum News {
    Fact(Fact),
    Request(Request),
}

/// News, when they were asked for, and when they were learnt.
#[derive(Clone)]
pub(super) struct Told {
    news: News,
    asked: Timestamp,
    at: Timestamp,
}

impl Entry {
    pub(super) fn new(service: Service) -> Self {
        let saved = service.clone();
        let (news, sent_at, refused, strays) = (Vec::new(), None, None, Vec::new());
        let (asked_at, told_at) = (None, None);
        let (surveyed, in_vain, gone, is_companion) = (false, false, false, false);
        Self {
            saved,
            service,
            news,
            sent_at,
            refused,
            asked_at,
            surveyed,
            in_vain,
            strays,
            told_at,
            gone,
            is_companion,
        }
    }

    /// A service that is told of by the surveys of others' turns.
    pub(super) fn companion(service: Service) -> Self {
        Self { is_companion: true, ..Self::new(service) }
    }

    pub(super) fn observe(&mut self, fact: Fact, now: Timestamp) {
        self.learn(fact, now, now);
    }

    /// Learns at `at` what was asked for at `asked`.
    pub(super) fn learn(&mut self, fact: Fact, asked: Timestamp, at: Timestamp) {
        self.in_vain |= is_in_vain(&fact);
        let told_at = self.told_at.filter(|told_at| *told_at > asked);
        // A silence that still lasted then is no older than that.
        let at = told_at.map_or(at, |told_at| at.max(told_at));
        let life = &self.service.life;
        self.service.life = match told_at {
            Some(_) => life.observe_late(&fact, asked, at, at),
            None => life.observe(&fact, at),
        };
        if matches!(fact, Fact::Job(_)) {
            self.told_at = Some(at);
        }
        self.keep_since();
        self.news.push(Told { news: News::Fact(fact), asked, at });
    }

    /// What of its plan this turn is to do at `now`: the scheduler is asked once only, not on behalf of a look that
    /// comes soon after another one, and for a companion nothing is done. A server that is known to be HEALTHY is pinged
    /// while the scheduler is asked whether its job still runs, and not after.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Action> {
        if self.is_companion {
            return Vec::new();
        }
        let mut planned = self.plan(&self.service.life, now);
        let is_told = self.surveyed || self.service.life.looked_at.is_some_and(|at| self.is_news(at, now));
        if is_told {
            planned.retain(|action| *action != Action::Survey);
        } else if planned.contains(&Action::Survey) && self.service.status() == Status::Healthy {
            let anticipated = self.plan(&self.if_verified(now), now).into_iter();
            let ways =
                anticipated.filter(|action| matches!(action, Action::Open { .. } | Action::Ping { .. }));
            planned.extend(ways);
        }
        planned
    }

    /// The life as it will be if the scheduler says that the job goes on as it did.
    fn if_verified(&self, now: Timestamp) -> Life {
        let mut life = self.service.life.clone();
        if let Phase::Live { job: Job { run: Some(run), .. }, .. } = &mut life.phase {
            run.verified_at = Some(now);
        }
        life.looked_at = Some(now);
        life
    }

    /// Whether what was learnt at `at` is news enough for this look: it is fresh, or it was when the look was asked for,
    /// however long others were waited for since. What lies in the future (clocks jump) is no news.
    fn is_news(&self, at: Timestamp, now: Timestamp) -> bool {
        let fresh = self.service.life.terms.fresh;
        self.asked_at.is_some_and(|asked| at <= now && (!at.is_older(fresh, now) || at.plus(fresh) > asked))
    }

    /// Whether a question that is asked anyway should be about it as well: if another one would be due soon, so that those
    /// which are asked about together stay together. Where nothing was told at the last look, it should, even if that is so
    /// recent that nobody would ask.
    pub(super) fn is_helped_by_a_survey(&self, now: Timestamp) -> bool {
        let life = &self.service.life;
        let soon = now.plus(life.terms.verify / 2);
        self.may_be_asked_after() && (life.doubt.is_some() || life.is_survey_due(soon))
    }

    /// Whether the scheduler may know of it and was not asked in this turn.
    pub(super) fn may_be_asked_after(&self) -> bool {
        match self.service.life.phase {
            Phase::Intent | Phase::Ended(_) => false,
            Phase::Sending { .. } | Phase::Live { .. } => !self.gone && !self.surveyed,
        }
    }

    /// What is to be done at `now` for such a life. A server that was asked in vain in this turn, or by others for whom
    /// this one has waited, is not asked again before anything else is known, however long that took: the scheduler is to
    /// be asked.
    fn plan(&self, life: &Life, now: Timestamp) -> Vec<Action> {
        let asked = self.service.life.ping.as_ref().map(|ping| ping.at);
        let is_told = self.in_vain || asked.is_some_and(|at| self.is_news(at, now));
        let Some(ping) = life.ping.as_ref().filter(|_| is_told) else { return life.plan(now).actions };
        let ping = PingRecord { at: now, ..ping.clone() };
        Life { ping: Some(ping), ..life.clone() }.plan(now).actions
    }

    /// A status that was left and reached again between two records was never left.
    fn keep_since(&mut self) {
        if self.service.status() == self.saved.status() {
            self.service.life.since = self.saved.life.since;
        }
    }

    /// Wishes for something.
    pub(super) fn request(&mut self, request: Request, now: Timestamp) -> Result<(), EngineError> {
        self.service.life = self.service.life.request(&request, now)?;
        if request == Request::Look {
            self.asked_at = Some(now);
        }
        self.news.push(Told { news: News::Request(request), asked: now, at: now });
        Ok(())
    }

    /// Starts again from what another process has saved, with all that it does not know better already.
    pub(super) fn rebase(&mut self, saved: Service, now: Timestamp) {
        self.service = saved.clone();
        for Told { news, asked, at } in &self.news {
            let life = &self.service.life;
            match news {
                News::Fact(Fact::Tunnel(TunnelFact::Open(tunnel))) if is_stray(tunnel, &saved.life) => {
                    self.strays.push(tunnel.clone());
                }
                News::Fact(Fact::Submission(Submission::NotSent(_) | Submission::Refused(_)))
                    if is_sent_since(&saved.life, self.sent_at) => {}
                News::Fact(fact) => self.service.life = life.observe_late(fact, *asked, *at, now),
                News::Request(request) => match life.request(request, *at) {
                    Ok(life) => self.service.life = life,
                    Err(refusal) => self.refused = Some(refusal),
                },
            }
        }
        self.saved = saved;
        self.told_at = Some(now);
        self.keep_since();
    }

    pub(super) fn change(&self, now: Timestamp) -> Change {
        let (from, to) = (self.saved.status(), self.service.status());
        let why = self.service.life.why();
        let event = (from != to).then_some(Event { at: now, from: Some(from), to, why });
        Change { service: self.service.clone(), event }
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.gone && self.saved.life != self.service.life
    }

    /// Whether the change must not be lost or should be seen at once.
    pub(super) fn is_urgent(&self, now: Timestamp) -> bool {
        let owned = |life: &Life| {
            (life.status(), life.phase.job().map(|job| job.id.clone()), life.open_tunnel().cloned())
        };
        let (saved, life) = (&self.saved.life, &self.service.life);
        !self.is_kept_back(now) && (saved.stop != life.stop || owned(saved) != owned(life))
    }

    /// Whether nobody is to hear of it yet: a server's silence is no news until the scheduler was asked. If its job has
    /// ended, it was never UNHEALTHY.
    pub(super) fn is_kept_back(&self, now: Timestamp) -> bool {
        let life = &self.service.life;
        life.status() == Status::Unhealthy && !life.plan(now).actions.is_empty()
    }
}

/// Whether it tells of a server that did not answer: when it was asked, and not now, for this machine may have slept
/// since. An answer is one of now, for the scheduler's word to be still good.
pub(super) fn is_in_vain(fact: &Fact) -> bool {
    match fact {
        Fact::Ping(ping) => ping.echo != Echo::Answered,
        Fact::Tunnel(TunnelFact::Unopened(_)) => true,
        Fact::Submitting | Fact::Submission(_) | Fact::Job(_) | Fact::Cancel(_) => false,
        Fact::Tunnel(TunnelFact::Open(_) | TunnelFact::Closed | TunnelFact::Unclosed(_)) => false,
    }
}

/// Whether another process has opened a tunnel from another port meanwhile.
fn is_stray(tunnel: &Tunnel, known: &Life) -> bool {
    tunnel.handle.is_some() && known.open_tunnel().is_some_and(|open| open.port != tunnel.port)
}

/// Whether another submission than that of `ours` is under way: what is known of ours says nothing of that one.
fn is_sent_since(known: &Life, ours: Option<Timestamp>) -> bool {
    matches!(known.phase, Phase::Sending { since } if Some(since) != ours)
}
