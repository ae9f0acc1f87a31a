//! One turn: look, decide, act, record, for many services at once.

use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};

use super::error::{EngineError, error_chain};
use super::perform::{subject, submission};
use super::site::{Engine, Watch};
use crate::id::ServiceId;
use crate::job::Sighting;
use crate::lifecycle::{
    Action, Echo, Fact, Life, Phase, Refusal, Request, Status, Submission, Tunnel, TunnelFact,
};
use crate::ports::{Change, LedgerError, SaveOutcome, Select};
use crate::service::{Event, Service};
use crate::time::Timestamp;

/// Rounds after which a turn ends, whatever is still planned. Six are needed at most: open, ping, survey, open, ping,
/// and cancel or close.
const ROUNDS: usize = 8;
/// Rounds in which the survey waits for tunnels and pings, so that one question serves all whose pings fail.
const PINGS_FIRST: usize = 2;
/// Pings and tunnels that are under way at once.
const AT_ONCE: usize = 64;
/// How often a change is tried again after another process was quicker.
const SAVE_ATTEMPTS: usize = 16;

/// A service on its way through a turn: what is saved of it, what was learnt since, and what follows from both.
pub(super) struct Entry {
    saved: Service,
    pub(super) service: Service,
    news: Vec<Told>,
    /// When this turn announced the submission that it sent.
    sent_at: Option<Timestamp>,
    /// Why a wish was not granted after all: another process had changed the service.
    pub(super) refused: Option<Refusal>,
    /// Whether the scheduler was asked in this turn. Once is enough, however slow it is.
    surveyed: bool,
    /// Whether the server was asked in vain in this turn.
    in_vain: bool,
    /// Tunnels that this turn has opened while another process opened one as well, whose is kept.
    strays: Vec<Tunnel>,
    /// Whether the service was removed meanwhile.
    pub(super) gone: bool,
}

/// What changes a life: facts and wishes alike can be applied again to a life that somebody else has changed.
enum News {
    Fact(Fact),
    Request(Request),
}

/// News, when they were asked for, and when they were learnt.
struct Told {
    news: News,
    asked: Timestamp,
    at: Timestamp,
}

impl Entry {
    pub(super) fn new(service: Service) -> Self {
        let saved = service.clone();
        let (news, sent_at, refused, strays) = (Vec::new(), None, None, Vec::new());
        Self { saved, service, news, sent_at, refused, surveyed: false, in_vain: false, strays, gone: false }
    }

    pub(super) fn observe(&mut self, fact: Fact, now: Timestamp) {
        self.learn(fact, now, now);
    }

    /// Learns at `at` what was asked for at `asked`.
    pub(super) fn learn(&mut self, fact: Fact, asked: Timestamp, at: Timestamp) {
        self.in_vain |= is_in_vain(&fact);
        self.service.life = self.service.life.observe(&fact, at);
        self.keep_since();
        self.news.push(Told { news: News::Fact(fact), asked, at });
    }

    /// What is to be done at `now`. A server that was asked in vain in this turn is not asked again before anything else
    /// is known, however long it was waited for: the scheduler is to be asked.
    fn plan(&self, now: Timestamp) -> Vec<Action> {
        let mut life = self.service.life.clone();
        if let (true, Some(ping)) = (self.in_vain, &mut life.ping) {
            ping.at = now;
        }
        life.plan(now).actions
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
        self.news.push(Told { news: News::Request(request), asked: now, at: now });
        Ok(())
    }

    /// Starts again from what another process has saved, with all that it does not know better already.
    fn rebase(&mut self, saved: Service, now: Timestamp) {
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
        self.keep_since();
    }

    fn change(&self, now: Timestamp) -> Change {
        let (from, to) = (self.saved.status(), self.service.status());
        let why = self.service.life.why();
        let event = (from != to).then_some(Event { at: now, from: Some(from), to, why });
        Change { service: self.service.clone(), event }
    }

    fn has_changed(&self) -> bool {
        !self.gone && self.saved.life != self.service.life
    }

    /// Whether the change must not be lost or should be seen at once. A server's silence is kept back until the
    /// scheduler was asked: if its job has ended, it was never UNHEALTHY.
    fn is_urgent(&self, now: Timestamp) -> bool {
        let (saved, life) = (&self.saved.life, &self.service.life);
        if life.status() == Status::Unhealthy && !life.plan(now).actions.is_empty() {
            return false;
        }
        let owned = |life: &Life| {
            (life.status(), life.phase.job().map(|job| job.id.clone()), life.open_tunnel().cloned())
        };
        saved.stop != life.stop || owned(saved) != owned(life)
    }
}

impl Engine {
    /// Carries out what the services plan until nothing is left to do now, and returns them as they are recorded.
    /// Services that were removed meanwhile are left out.
    pub(super) async fn turn(
        &self,
        entries: Vec<Entry>,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<Vec<Service>, EngineError> {
        let mut entries = entries;
        for round in 0..ROUNDS {
            let acted = self.round(&mut entries, round < PINGS_FIRST, watch).await?;
            if !acted {
                break;
            }
        }
        self.save(&mut entries, |_, _| true, watch).await?;
        Ok(entries.into_iter().filter(|entry| !entry.gone).map(|entry| entry.service).collect())
    }

    /// Carries out each service's plan once and says whether there was anything to do. With `pings_first` the survey
    /// is left to a later round if there are tunnels to open or pings to make.
    async fn round(
        &self,
        entries: &mut [Entry],
        pings_first: bool,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<bool, EngineError> {
        let began = self.clock.now();
        let mut actions = Vec::new();
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.gone) {
            let planned = entry.plan(began).into_iter();
            let due = planned.filter(|action| *action != Action::Survey || !entry.surveyed);
            actions.extend(due.map(|action| (index, action)));
        }
        let is_way = |(_, action): &(_, Action)| matches!(action, Action::Open { .. } | Action::Ping { .. });
        if pings_first && actions.iter().any(is_way) {
            actions.retain(|(_, action)| *action != Action::Survey);
        }
        if actions.is_empty() {
            return Ok(false);
        }
        let mut looked_for = Vec::new();
        for (index, _) in actions.iter().filter(|(_, action)| *action == Action::Survey) {
            entries[*index].surveyed = true;
            looked_for.push(subject(&entries[*index].service));
        }
        let actions = self.announce(entries, actions, watch).await?;
        let shown: &[Entry] = entries;
        let acts = stream::iter(actions)
            .map(|(index, action)| async move { (index, self.act(&shown[index].service, action).await) })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        let (facts, mut sightings) = join(acts, self.survey(&looked_for)).await;
        let now = self.clock.now();
        for (index, fact) in facts.into_iter().filter_map(|(index, fact)| Some((index, fact?))) {
            let at = if is_in_vain(&fact) { began } else { now };
            entries[index].learn(fact, began, at);
        }
        for entry in entries.iter_mut() {
            if let Some(sighting) = sightings.remove(&entry.service.id) {
                entry.learn(Fact::Job(in_time(sighting, began, now, &entry.service)), began, now);
            }
        }
        self.save(entries, Entry::is_urgent, watch).await?;
        Ok(true)
    }

    /// Records every submission before it is sent, and drops those that another process was quicker to send.
    async fn announce(
        &self,
        entries: &mut [Entry],
        actions: Vec<(usize, Action)>,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<Vec<(usize, Action)>, EngineError> {
        let mut announced = Vec::with_capacity(actions.len());
        for (index, action) in actions {
            if action != Action::Submit || self.announce_submission(&mut entries[index], watch).await? {
                announced.push((index, action));
            }
        }
        Ok(announced)
    }

    /// Records that a submission is about to be sent; `false` if another process has changed the service meanwhile.
    pub(super) async fn announce_submission(
        &self,
        entry: &mut Entry,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<bool, EngineError> {
        let now = self.clock.now();
        entry.observe(Fact::Submitting, now);
        entry.sent_at = Some(now);
        let outcome = self.ledger.save(&[entry.change(now)]).await?;
        entry.news.clear();
        match outcome.first() {
            Some(SaveOutcome::Saved(saved)) => {
                entry.service.generation = *saved;
                entry.saved = entry.service.clone();
                Ok(true)
            }
            Some(SaveOutcome::Conflict) | None => {
                self.reload(entry).await?;
                show(watch, &entry.service);
                Ok(false)
            }
        }
    }

    /// Performs one action of one service; a survey is made for all of them at once, elsewhere.
    async fn act(&self, service: &Service, action: Action) -> Option<Fact> {
        Some(match action {
            Action::Survey => return None,
            Action::Submit => submission(&self.submit(service).await),
            Action::Open { place, local_port, before } => {
                Fact::Tunnel(match self.open(service.id, &place, local_port, before.as_ref()).await {
                    Ok(tunnel) => TunnelFact::Open(tunnel),
                    Err(error) => TunnelFact::Unopened(error_chain(&error)),
                })
            }
            Action::Ping { tunnel } => self.ping(service, &tunnel).await,
            Action::Cancel { job } => self.cancel(service.id, &job).await,
            Action::Close { tunnel } => self.close(&tunnel).await,
        })
    }

    /// Saves those changed entries that `which` picks; where another process was quicker, what was learnt is applied
    /// to what that one has saved.
    pub(super) async fn save(
        &self,
        entries: &mut [Entry],
        which: impl Fn(&Entry, Timestamp) -> bool,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<(), EngineError> {
        let now = self.clock.now();
        let mut open: Vec<usize> =
            (0..entries.len()).filter(|i| entries[*i].has_changed() && which(&entries[*i], now)).collect();
        for _ in 0..SAVE_ATTEMPTS {
            if open.is_empty() {
                return Ok(());
            }
            let changes: Vec<Change> = open.iter().map(|i| entries[*i].change(now)).collect();
            let outcomes = self.ledger.save(&changes).await?;
            let mut conflicts = Vec::new();
            for (index, outcome) in open.into_iter().zip(outcomes) {
                let entry = &mut entries[index];
                match outcome {
                    SaveOutcome::Saved(generation) => {
                        entry.service.generation = generation;
                        entry.saved = entry.service.clone();
                        entry.news.clear();
                        show(watch, &entry.service);
                    }
                    SaveOutcome::Conflict => {
                        self.reload(entry).await?;
                        if entry.has_changed() {
                            conflicts.push(index);
                        }
                    }
                }
            }
            open = conflicts;
        }
        match open.first() {
            Some(index) => Err(LedgerError::Conflict { id: entries[*index].service.id }.into()),
            None => Ok(()),
        }
    }

    async fn reload(&self, entry: &mut Entry) -> Result<(), EngineError> {
        match self.ledger.list(Select::Id(entry.service.id)).await?.services.into_iter().next() {
            Some(saved) => entry.rebase(saved, self.clock.now()),
            None => entry.gone = true,
        }
        for stray in std::mem::take(&mut entry.strays) {
            let closed = self.close(&stray).await;
            if closed != Fact::Tunnel(TunnelFact::Closed) {
                entry.observe(closed, self.clock.now());
            }
        }
        Ok(())
    }

    /// Makes one turn for one service.
    pub(super) async fn turn_one(
        &self,
        entry: Entry,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<Service, EngineError> {
        let id: ServiceId = entry.service.id;
        self.turn(vec![entry], watch).await?.pop().ok_or(EngineError::Unknown { id })
    }
}

/// Whether it tells of a server that did not answer: when it was asked, and not now, for this machine may have slept
/// since. An answer is one of now, for the scheduler's word to be still good.
fn is_in_vain(fact: &Fact) -> bool {
    match fact {
        Fact::Ping(ping) => ping.echo != Echo::Answered,
        Fact::Tunnel(TunnelFact::Unopened(_)) => true,
        Fact::Submitting | Fact::Submission(_) | Fact::Job(_) | Fact::Cancel(_) => false,
        Fact::Tunnel(TunnelFact::Open(_) | TunnelFact::Closed | TunnelFact::Unclosed(_)) => false,
    }
}

/// The sighting, unless it took longer to come than the scheduler's word is good for, or nobody knows how long.
pub(super) fn in_time(sighting: Sighting, asked: Timestamp, now: Timestamp, service: &Service) -> Sighting {
    let took = now.since(asked);
    if now < asked {
        return Sighting::unseen("this machine's clock was put back while the scheduler was asked");
    }
    if took <= service.life.terms.verify {
        return sighting;
    }
    Sighting::unseen(format!("the answer is too old: the scheduler was asked {} s ago", took.as_secs()))
}

/// Whether another process has opened a tunnel from another port meanwhile.
fn is_stray(tunnel: &Tunnel, known: &Life) -> bool {
    tunnel.handle.is_some() && known.open_tunnel().is_some_and(|open| open.port != tunnel.port)
}

/// Whether another submission than that of `ours` is under way: what is known of ours says nothing of that one.
fn is_sent_since(known: &Life, ours: Option<Timestamp>) -> bool {
    matches!(known.phase, Phase::Sending { since } if Some(since) != ours)
}

pub(super) fn show(watch: &mut Option<Watch<'_>>, service: &Service) {
    if let Some(watch) = watch {
        watch(service);
    }
}
