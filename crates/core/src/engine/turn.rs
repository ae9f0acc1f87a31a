//! One turn: look, decide, act, record, for many services at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};

use super::entry::{Entry, is_in_vain};
use super::error::{EngineError, error_chain};
use super::perform::{subject, submission};
use super::site::{Engine, Watch};
use crate::id::ServiceId;
use crate::job::Sighting;
use crate::lifecycle::{Action, Fact, Status, TunnelFact};
use crate::ports::{Change, LedgerError, SaveOutcome, Select, TunnelError};
use crate::service::Service;
use crate::time::Timestamp;

/// Rounds after which a turn ends, whatever is still planned. Six are needed at most: open, ping, survey, open, ping,
/// and cancel or close.
const ROUNDS: usize = 8;
/// Pings and tunnels that are under way at once.
const AT_ONCE: usize = 64;
/// How often a change is tried again after another process was quicker. Each time that other one got on, and many may
/// be at work, so only a ledger that takes nothing at all comes to the end of it.
const SAVE_ATTEMPTS: usize = 1_000;

impl Engine {
    /// Carries out what the services plan until nothing is left to do now, and returns them as they are recorded.
    /// Services that were removed meanwhile are left out.
    pub(super) async fn turn(
        &self,
        entries: Vec<Entry>,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<Vec<Service>, EngineError> {
        let mut entries = entries;
        for _ in 0..ROUNDS {
            let actions = self.due(&entries);
            if actions.is_empty() {
                break;
            }
            self.round(&mut entries, actions, watch).await?;
            self.save(&mut entries, Entry::is_urgent, watch).await?;
        }
        self.save(&mut entries, |_, _| true, watch).await?;
        let ours = entries.into_iter().filter(|entry| !entry.gone && !entry.is_companion);
        Ok(ours.map(|entry| entry.service).collect())
    }

    /// What the services plan now. The survey comes last: one question serves all whose pings fail, and
    /// nothing else waits where it has to wait for others. Only HEALTHY services are pinged beside it: they rarely
    /// fail to answer, and are many.
    fn due(&self, entries: &[Entry]) -> Vec<(usize, Action)> {
        let now = self.clock.now();
        let mut actions = Vec::new();
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.gone) {
            actions.extend(entry.due(now).into_iter().map(|action| (index, action)));
        }
        let goes_along = |(index, action): &(usize, Action)| match action {
            Action::Survey => true,
            Action::Open { .. } | Action::Ping { .. } => entries[*index].service.status() == Status::Healthy,
            Action::Submit | Action::Cancel { .. } | Action::Close { .. } => false,
        };
        if !actions.iter().all(goes_along) {
            // Without the scheduler's word the answers of those who ask for it would not count.
            let asking: BTreeSet<usize> = surveys(&actions).collect();
            let waits = |(index, action): &(usize, Action)| {
                let is_way = matches!(action, Action::Open { .. } | Action::Ping { .. });
                *action == Action::Survey || is_way && asking.contains(index)
            };
            actions.retain(|action| !waits(action));
        }
        actions
    }

    /// Carries out the actions and learns what they bring.
    async fn round(
        &self,
        entries: &mut Vec<Entry>,
        actions: Vec<(usize, Action)>,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<(), EngineError> {
        let actions = self.announce(entries, actions, watch).await?;
        let (surveys, calls): (Vec<_>, Vec<_>) =
            actions.into_iter().partition(|(_, action)| *action == Action::Survey);
        let pinged: BTreeSet<usize> = calls.iter().map(|(index, _)| *index).collect();
        // Copies, since the scheduler's answer is learnt and recorded while a server keeps its ping waiting.
        let calls: Vec<_> = calls.into_iter().map(|(i, action)| (i, entries[i].clone(), action)).collect();
        let asks_too = !surveys.is_empty();
        let acts = stream::iter(calls)
            .map(|(index, entry, action)| async move { (index, self.act_on(entry, action, asks_too).await) })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        let asks = async { if asks_too { self.ask(entries, &pinged, watch).await } else { Ok(()) } };
        // The scheduler is asked first: it takes longer than a server, and what is sent to many servers at once delays
        // the question.
        let (asked, told) = join(asks, acts).await;
        asked?;
        for (index, facts) in told {
            for Learnt { fact, asked, at } in facts {
                // Whoever removed the service meanwhile knew nothing of the tunnel.
                if let (true, Fact::Tunnel(TunnelFact::Open(tunnel))) = (entries[index].gone, &fact) {
                    self.close(tunnel).await;
                }
                entries[index].learn(fact, asked, at);
            }
        }
        Ok(())
    }

    /// Performs an action, and after a tunnel that is as it was known to be the ping for which that was made sure of.
    async fn act_on(&self, mut entry: Entry, action: Action, asks_too: bool) -> Vec<Learnt> {
        let mut learnt = Vec::new();
        let mut next = Some(action);
        while let Some(action) = next.take() {
            let asked = self.clock.now();
            let is_way = matches!(action, Action::Open { .. });
            let Some(fact) = self.act(&entry.service, action, asks_too).await else { break };
            let now = self.clock.now();
            let at = if is_in_vain(&fact) { asked } else { now };
            learnt.push(Learnt { fact: fact.clone(), asked, at });
            entry.learn(fact, asked, at);
            if is_way && !entry.is_urgent(now) {
                next = entry.due(now).into_iter().find(|action| matches!(action, Action::Ping { .. }));
            }
        }
        learnt
    }

    /// Asks the scheduler, once others have done so, after all whom its answer helps, and records it. That includes those
    /// who are being pinged: should that be in vain, the answer is there. Nobody is asked if others have learnt enough.
    async fn ask(
        &self,
        entries: &mut Vec<Entry>,
        pinged: &BTreeSet<usize>,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<(), EngineError> {
        let pass = match &self.turnstile {
            Some(turnstile) => {
                let pass = turnstile.enter(&self.profile).await;
                self.catch_up(entries).await?;
                pass
            }
            None => None,
        };
        let began = self.clock.now();
        let asks: Vec<bool> =
            entries.iter().map(|entry| !entry.gone && entry.due(began).contains(&Action::Survey)).collect();
        if !asks.contains(&true) {
            return Ok(());
        }
        let mut subjects = Vec::new();
        for (index, entry) in entries.iter_mut().enumerate() {
            let is_meant = asks[index] || pinged.contains(&index) || entry.is_helped_by_a_survey(began);
            if is_meant && entry.may_be_asked_after() {
                entry.surveyed = true;
                subjects.push(subject(&entry.service));
            }
        }
        let mut sightings = self.survey(&subjects).await;
        let now = self.clock.now();
        for entry in entries.iter_mut() {
            if let Some(sighting) = sightings.remove(&entry.service.id) {
                entry.learn(Fact::Job(in_time(sighting, began, now, &entry.service)), began, now);
            }
        }
        // Who waits for the pass is to find all that was learnt.
        self.save(entries, |entry, now| !entry.is_kept_back(now), watch).await?;
        drop(pass);
        Ok(())
    }

    /// Takes up what others have learnt meanwhile. The other unfinished services of the profile join, since one question
    /// serves all.
    async fn catch_up(&self, entries: &mut Vec<Entry>) -> Result<(), EngineError> {
        let listing = self.ledger.list(Select::Changed(known(entries))).await?;
        let ours = listing.services.into_iter().filter(|service| service.spec.profile == self.profile);
        let mut changed: BTreeMap<_, _> = ours.map(|service| (service.id, service)).collect();
        for entry in entries.iter_mut() {
            if let Some(service) = changed.remove(&entry.service.id) {
                self.rebase(entry, service).await;
            }
        }
        entries.extend(changed.into_values().map(Entry::companion));
        Ok(())
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
    /// While the scheduler is asked no tunnel gets another port: where that is taken, it may be by others who know already
    /// that the service has moved.
    async fn act(&self, service: &Service, action: Action, asks_too: bool) -> Option<Fact> {
        Some(match action {
            Action::Survey => return None,
            Action::Submit => submission(&self.submit(service).await),
            Action::Open { place, local_port, before } => {
                let before = before.as_ref();
                Fact::Tunnel(match self.open(service.id, &place, local_port, before, !asks_too).await {
                    Err(TunnelError::PortTaken { .. }) if asks_too => return None,
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
                        if !entry.is_companion {
                            show(watch, &entry.service);
                        }
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
        // What was learnt of a companion, others will learn as well.
        match open.iter().map(|index| &entries[*index]).find(|entry| !entry.is_companion) {
            Some(entry) => Err(LedgerError::Conflict { id: entry.service.id }.into()),
            None => Ok(()),
        }
    }

    async fn reload(&self, entry: &mut Entry) -> Result<(), EngineError> {
        match self.ledger.list(Select::Id(entry.service.id)).await?.services.into_iter().next() {
            Some(saved) => self.rebase(entry, saved).await,
            None => {
                entry.gone = true;
                // Whoever removed it knew nothing of a tunnel that this turn has opened.
                if let Some(tunnel) = entry.service.life.open_tunnel() {
                    self.close(tunnel).await;
                }
            }
        }
        Ok(())
    }

    /// Takes up what another process has saved, whose tunnel is kept if both have opened one.
    async fn rebase(&self, entry: &mut Entry, saved: Service) {
        entry.rebase(saved, self.clock.now());
        for stray in std::mem::take(&mut entry.strays) {
            let closed = self.close(&stray).await;
            if closed != Fact::Tunnel(TunnelFact::Closed) {
                entry.observe(closed, self.clock.now());
            }
        }
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

/// Who asks for a survey.
fn surveys(actions: &[(usize, Action)]) -> impl Iterator<Item = usize> {
    actions.iter().filter(|(_, action)| *action == Action::Survey).map(|(index, _)| *index)
}

/// What an action has brought, when that was asked for, and when it was so.
struct Learnt {
    fact: Fact,
    asked: Timestamp,
    at: Timestamp,
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

/// The generations of which these entries are.
pub(super) fn known(entries: &[Entry]) -> BTreeMap<ServiceId, u64> {
    entries.iter().map(|entry| (entry.saved.id, entry.saved.generation)).collect()
}

pub(super) fn show(watch: &mut Option<Watch<'_>>, service: &Service) {
    if let Some(watch) = watch {
        watch(service);
    }
}
