//! The engine as it is modelled: one process in the middle of a verb, cut at every await of the real one.
//!
//! It stands for `engine/turn.rs` (`Engine::turn`, `round`, `announce_submission`, `save` and `Entry`), for the verbs in
//! `engine/start.rs` (`submit_first`), `stop.rs`, `refresh.rs` and `tunnel.rs`, and does what they do, in their order:
//! read the row, wish, save the wish, plan, announce a submission, call a port, fold its answer, save if that is
//! urgent, plan again, save. Between any two of these another process or the world may act, time may pass, and the
//! process may be killed. Three things are left out: `get_job`, which is a part of a turn; that to look again makes even a
//! turn that learns nothing write the row; and that what the scheduler told is written while a ping beside it lasts.

use std::time::Duration;

use towline_core::job::Sighting;
use towline_core::lifecycle::{
    Action, Echo, EndStatus, Fact, Job, Life, Phase, Request, Status, Submission, TunnelFact,
};
use towline_core::time::Timestamp;

use crate::ages::{LESS_THAN_A_STEP, NOW, settle};
use crate::calls::{Outcome, Reply};
use crate::coverage::Coverage;
use crate::due::due;
use crate::errand::{News, Stage, Then, Told, Verb};
use crate::flaws::Flaw;
use crate::kept::Kept;
use crate::promises::{Wrong, is_unfounded, written};
use crate::world::{World, index_of};

/// As `ROUNDS` in `engine/turn.rs`.
const ROUNDS: u8 = 8;

/// A process in the middle of a verb.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Turn {
    pub(crate) verb: Verb,
    /// The life as the process sees it.
    pub(crate) life: Kept<Life>,
    /// The row as it was read, if another process has changed it since.
    pub(crate) read: Option<Kept<Life>>,
    /// What was learnt and wished since.
    pub(crate) news: Vec<Told>,
    /// When it announced a submission of its own.
    pub(crate) sent_at: Option<Timestamp>,
    /// When the round began whose calls are under way.
    pub(crate) began: Option<Timestamp>,
    surveyed: bool,
    /// Whether the server was asked in vain in this turn.
    in_vain: bool,
    round: u8,
    /// Whether it came to a verdict that is not so. That is no matter as long as nobody else sees it.
    is_unfounded: bool,
    /// Whether the turn is over, and what the verb does after it is under way.
    in_tail: bool,
    /// How many steps ago it began.
    pub(crate) steps: u8,
    pub(crate) stage: Stage,
}

/// What surrounds a process.
pub(crate) struct Around<'a> {
    pub(crate) row: &'a mut Kept<Life>,
    pub(crate) world: &'a mut World,
    pub(crate) flaw: Flaw,
    pub(crate) coverage: &'a Coverage,
    pub(crate) wrong: &'a mut Option<Wrong>,
    /// Whether the row was written.
    pub(crate) wrote: bool,
}

impl Around<'_> {
    fn observe(&mut self, life: &Life, fact: &Fact, at: Timestamp) -> Life {
        self.learn(life, fact, |life, fact| life.observe(fact, at))
    }

    fn learn(&mut self, life: &Life, fact: &Fact, learn: impl FnOnce(&Life, &Fact) -> Life) -> Life {
        let fact = &*self.flaw.hears(fact);
        self.coverage.count(life, fact);
        self.flaw.remembers(learn(life, fact))
    }
}

impl Turn {
    /// A process that has recorded the service and is about to announce its submission.
    pub(crate) fn start(row: &Kept<Life>, flaw: Flaw) -> Self {
        let stage = match flaw {
            Flaw::SendsUnannounced => Stage::Act { todo: vec![Action::Submit], replies: vec![] },
            _ => Stage::Announce,
        };
        Self { stage, ..Self::read(Verb::Start, row) }
    }

    fn read(verb: Verb, row: &Kept<Life>) -> Self {
        let (life, stage) = (row.clone(), Stage::Save(Then::Plan));
        let (read, news, sent_at, began) = (None, vec![], None, None);
        let (surveyed, in_vain, is_unfounded, in_tail, round, steps) = (false, false, false, false, 0, 0);
        Self {
            verb,
            life,
            read,
            news,
            sent_at,
            began,
            surveyed,
            in_vain,
            round,
            is_unfounded,
            in_tail,
            steps,
            stage,
        }
    }

    /// Reads the row and begins; `None` if there is nothing to do.
    pub(crate) fn begin(verb: Verb, around: &mut Around<'_>) -> Option<Self> {
        let mut turn = Self::read(verb, around.row);
        let request = match verb {
            Verb::Start => return None,
            Verb::Look => return turn.plan(around),
            Verb::StopNow => Request::Stop { delay: Duration::ZERO, status: EndStatus::Failed },
            Verb::StopLater => Request::Stop { delay: LESS_THAN_A_STEP, status: EndStatus::Stopped },
            Verb::OpenTunnel => Request::OpenTunnel,
            Verb::CloseTunnel => Request::CloseTunnel,
        };
        around.world.stop_asked |= matches!(verb, Verb::StopNow | Verb::StopLater);
        if !turn.wish(request, around) {
            return None;
        }
        match verb {
            Verb::StopNow | Verb::StopLater => Some(turn),
            Verb::CloseTunnel => turn.save_or(Then::Tail, around),
            Verb::Start | Verb::Look | Verb::OpenTunnel => turn.plan(around),
        }
    }

    /// Whether it has just begun a round, of which it matters when.
    pub(crate) fn begins_a_round(&self) -> bool {
        let is_ordered = |action: &Action| !matches!(action, Action::Submit | Action::Cancel { .. });
        let Stage::Act { todo, replies } = &self.stage else { return false };
        self.began.is_none() && replies.is_empty() && todo.iter().any(is_ordered)
    }

    fn wish(&mut self, request: Request, around: &mut Around<'_>) -> bool {
        let Ok(life) = self.life.request(&request, NOW) else { return false };
        self.judge(&self.life.clone(), &life, around);
        self.become_(life);
        self.news.push(Told { news: News::Request(request), asked: NOW, at: NOW });
        true
    }

    /// Notes whether a life that has just ended did so for a good reason, as far as anybody can tell.
    fn judge(&mut self, before: &Life, after: &Life, around: &Around<'_>) {
        self.is_unfounded |= is_unfounded(before, after, around.world);
    }

    fn become_(&mut self, life: Life) {
        self.life = Kept::new(life);
    }

    /// What was read and what is believed now, without words and counts, if they differ.
    fn changes(&self, row: &Kept<Life>) -> Option<(Life, Life)> {
        let read = self.read.as_ref().unwrap_or(row);
        let settled = |life: &Life| {
            let mut life = life.clone();
            settle(&mut life, true);
            life
        };
        let both = (*read != self.life).then(|| (settled(read), settled(&self.life)));
        both.filter(|(before, after)| before != after)
    }

    /// As `Entry::is_urgent`.
    fn is_urgent(&self, saved: &Life, life: &Life) -> bool {
        if life.status() == Status::Unhealthy && !self.life.plan(NOW).actions.is_empty() {
            return false;
        }
        let owned = |life: &Life| {
            (life.status(), life.phase.job().map(|job| job.id.clone()), life.open_tunnel().cloned())
        };
        saved.stop != life.stop || owned(saved) != owned(life)
    }

    /// Begins the next round.
    fn plan(mut self, around: &mut Around<'_>) -> Option<Self> {
        let actions = due(&self.life, self.surveyed, self.in_vain, around.flaw);
        if self.round == ROUNDS && !actions.is_empty() {
            *around.wrong = Some(Wrong::NeverDone);
        }
        if actions.is_empty() || self.round == ROUNDS {
            return self.save_or(Then::Tail, around);
        }
        self.round += 1;
        self.surveyed |= actions.contains(&Action::Survey);
        self.stage = if actions.contains(&Action::Submit) && around.flaw != Flaw::SendsUnannounced {
            Stage::Announce
        } else {
            Stage::Act { todo: actions, replies: vec![] }
        };
        Some(self)
    }

    /// Saves what has changed, if anything has, and goes on.
    fn save_or(mut self, then: Then, around: &mut Around<'_>) -> Option<Self> {
        if self.changes(around.row).is_some() {
            self.stage = Stage::Save(then);
            return Some(self);
        }
        self.go_on(then, around)
    }

    fn go_on(mut self, then: Then, around: &mut Around<'_>) -> Option<Self> {
        match then {
            Then::Plan => {
                // The wish is recorded: what is left is a look.
                if matches!(self.verb, Verb::StopNow | Verb::StopLater) {
                    self.verb = Verb::Look;
                }
                self.plan(around)
            }
            Then::Finish => None,
            Then::Tail => {
                let action = match self.verb {
                    Verb::Start | Verb::Look | Verb::StopNow | Verb::StopLater => return None,
                    Verb::CloseTunnel => Action::Close { tunnel: self.life.open_tunnel()?.clone() },
                    Verb::OpenTunnel => {
                        self.life.request(&Request::OpenTunnel, NOW).ok()?;
                        let place = self.life.phase.job().and_then(Job::place)?.clone();
                        let before = self.life.open_tunnel().cloned();
                        Action::Open { place, local_port: None, before }
                    }
                };
                self.news.clear();
                self.in_tail = true;
                self.stage = Stage::Act { todo: vec![action], replies: vec![] };
                Some(self)
            }
        }
    }

    /// Announces a submission at `stamp`, its name from now on.
    pub(crate) fn announce(mut self, stamp: Timestamp, around: &mut Around<'_>) -> Option<Self> {
        self.sent_at = Some(stamp);
        self.news.clear();
        if self.read.take().is_some() {
            self.life = around.row.clone();
            return if self.verb == Verb::Start { None } else { self.plan(around) };
        }
        let announced = around.observe(&self.life, &Fact::Submitting, stamp);
        self.become_(announced);
        self.write(around);
        self.stage = Stage::Act { todo: vec![Action::Submit], replies: vec![] };
        Some(self)
    }

    fn write(&mut self, around: &mut Around<'_>) {
        let wrong = written(around.row, &self.life).or(self.is_unfounded.then_some(Wrong::Verdict));
        *around.wrong = around.wrong.or(wrong);
        *around.row = self.life.clone();
        if let Some(tunnel) = self.life.open_tunnel() {
            around.world.unrecorded &= !(1 << index_of(&tunnel.place));
        }
        around.wrote = true;
        self.news.clear();
    }

    /// Makes one of the calls that are left.
    pub(crate) fn act(mut self, index: usize, outcome: Outcome, around: &mut Around<'_>) -> Self {
        let Stage::Act { todo, replies } = &mut self.stage else { return self };
        let action = todo.remove(index);
        let is_known = self.life.phase.job().is_some();
        let reply = around.world.perform(&action, outcome, is_known);
        // The scheduler's answer comes first, those of the others in any order.
        let place = if action == Action::Survey { 0 } else { replies.len() };
        replies.insert(place, reply);
        self
    }

    /// Folds the answers.
    pub(crate) fn fold(mut self, around: &mut Around<'_>) -> Option<Self> {
        let Stage::Act { replies, .. } = std::mem::replace(&mut self.stage, Stage::Announce) else {
            return None;
        };
        if self.in_tail {
            return self.fold_tail(replies, around);
        }
        let began = self.began.take().unwrap_or(NOW);
        for Reply { fact, is_a_strangers } in replies {
            self.in_vain |= is_in_vain(&fact);
            let at = if is_in_vain(&fact) { began } else { NOW };
            let fact = match fact {
                Fact::Job(_) if NOW.since(began) > self.life.terms.verify => Fact::Job(Sighting::unseen("")),
                fact => fact,
            };
            let life = around.observe(&self.life, &fact, at);
            self.judge(&self.life.clone(), &life, around);
            let counts = life.ping.as_ref().is_some_and(|ping| ping.counted) && !life.status().is_terminal();
            if is_a_strangers && counts {
                *around.wrong = Some(Wrong::StrangerIsHealthy);
            }
            self.become_(life);
            let not_sent = matches!(fact, Fact::Submission(Submission::NotSent(_)));
            self.news.push(Told { news: News::Fact(fact), asked: began, at });
            if not_sent
                && self.verb == Verb::Start
                && !self.wish(Request::Abandon { why: String::new() }, around)
            {
                return None;
            }
        }
        if self.verb == Verb::Start {
            return self.save_or(Then::Finish, around);
        }
        if self.changes(around.row).is_some_and(|(saved, life)| self.is_urgent(&saved, &life)) {
            self.stage = Stage::Save(Then::Plan);
            return Some(self);
        }
        self.plan(around)
    }

    /// What `open_tunnel` and `close_tunnel` make of the answer to their own call.
    fn fold_tail(mut self, replies: Vec<Reply>, around: &mut Around<'_>) -> Option<Self> {
        let fact = replies.into_iter().next()?.fact;
        if matches!(fact, Fact::Tunnel(TunnelFact::Unopened(_) | TunnelFact::Unclosed(_))) {
            return None;
        }
        let asked = self.began.take().unwrap_or(NOW);
        let life = around.observe(&self.life, &fact, NOW);
        self.become_(life);
        self.news.push(Told { news: News::Fact(fact), asked, at: NOW });
        self.save_or(Then::Finish, around)
    }

    /// Saves, or starts again from what another process has saved.
    pub(crate) fn save(mut self, around: &mut Around<'_>) -> Option<Self> {
        let Stage::Save(then) = self.stage else { return Some(self) };
        if self.read.is_none() || around.flaw == Flaw::IgnoresConflicts {
            self.read = None;
            self.write(around);
            return self.go_on(then, around);
        }
        if !self.rebase(around) {
            return None;
        }
        self.save_or(then, around)
    }

    /// As `Entry::rebase`; `false` if a wish is refused now, which ends the verbs that wish.
    fn rebase(&mut self, around: &mut Around<'_>) -> bool {
        (self.read, self.is_unfounded) = (None, false);
        let saved = around.row.clone();
        let mut life = Life::clone(&saved);
        let mut granted = true;
        for Told { news, asked, at } in self.news.clone() {
            let sent_since = matches!(saved.phase, Phase::Sending { since } if Some(since) != self.sent_at);
            match news {
                News::Fact(Fact::Submission(Submission::NotSent(_) | Submission::Refused(_)))
                    if sent_since => {}
                News::Fact(fact) => {
                    let next =
                        around.learn(&life, &fact, |life, fact| life.observe_late(fact, asked, at, NOW));
                    self.judge(&life, &next, around);
                    life = next;
                }
                News::Request(request) => match life.request(&request, at) {
                    Ok(next) => {
                        self.judge(&life, &next, around);
                        life = next;
                    }
                    Err(_) => granted = matches!(request, Request::Abandon { .. }),
                },
            }
        }
        self.become_(life);
        granted || self.verb == Verb::OpenTunnel
    }
}

/// As the function of that name in `engine/entry.rs`.
fn is_in_vain(fact: &Fact) -> bool {
    match fact {
        Fact::Ping(ping) => ping.echo != Echo::Answered,
        fact => matches!(fact, Fact::Tunnel(TunnelFact::Unopened(_))),
    }
}
