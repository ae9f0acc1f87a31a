//! `refresh` and `get_job`: look again.

use std::collections::BTreeSet;

use super::entry::Entry;
use super::error::EngineError;
use super::perform::subject;
use super::site::Engine;
use super::turn::{in_time, known};
use crate::id::ServiceId;
use crate::job::Sighting;
use crate::lifecycle::{Fact, Request};
use crate::ports::{Listing, Select};
use crate::service::Service;
use crate::time::Timestamp;

/// Whom a pass is about.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    /// All unfinished services of the profile, also those that others have started meanwhile; looks again at all.
    Profile,
    /// Those that were listed and no others; looks again at these.
    Listed(&'a BTreeSet<ServiceId>),
}

impl Scope<'_> {
    fn admits(self, id: ServiceId, listed: &BTreeSet<ServiceId>) -> bool {
        match self {
            Self::Profile => true,
            Self::Listed(_) => listed.contains(&id),
        }
    }

    fn asks_for(self, id: ServiceId) -> bool {
        match self {
            Self::Profile => true,
            Self::Listed(suspects) => suspects.contains(&id),
        }
    }
}

impl Engine {
    /// Looks at one service again and returns it as it is recorded then. Knowledge younger than the freshness interval
    /// is not asked for again; what failed a moment ago waits its turn ([`Engine::urgent`]). What the service still
    /// owes to the world is settled on the way.
    ///
    /// # Errors
    /// Only the ledger's, and [`EngineError::Unknown`]; a cluster that does not answer leaves a doubt in the service.
    pub async fn refresh(&self, id: ServiceId) -> Result<Service, EngineError> {
        let mut entry = Entry::new(self.load(id).await?);
        entry.request(self.look(), self.clock.now())?;
        self.turn_one(entry, &mut None).await
    }

    /// Looks at all unfinished services of this profile again, with one question to the scheduler for all of them. Of
    /// several engines that share and do so at once, one looks, and the others return what it has recorded.
    ///
    /// # Errors
    /// Only the ledger's; a cluster that does not answer leaves a doubt in each service. Rows that cannot be read are
    /// in the listing and harm no other.
    pub async fn refresh_all(&self) -> Result<Listing, EngineError> {
        self.refresh_listed(self.ledger.list(Select::Unfinished).await?).await
    }

    /// Does the same for a caller who has just listed the unfinished services, of this profile and perhaps of others.
    ///
    /// # Errors
    /// As [`Engine::refresh_all`].
    pub async fn refresh_listed(&self, listing: Listing) -> Result<Listing, EngineError> {
        self.pass(listing, Scope::Profile).await
    }

    /// Does what the listed services of this profile plan, one process at a time, and looks again at some of them. Those that
    /// others have finished meanwhile are returned as they are recorded.
    pub(super) async fn pass(&self, listing: Listing, scope: Scope<'_>) -> Result<Listing, EngineError> {
        let now = self.clock.now();
        let Listing { services, mut damaged } = listing;
        let mut entries = self.taken_up(services, scope, now)?;
        let mut finished = Vec::new();
        let is_idle = entries.iter().all(|entry| entry.due(now).is_empty());
        let pass = match self.turnstile.as_ref().filter(|_| !is_idle) {
            Some(turnstile) => {
                // Not the place where the scheduler is asked: who waits for a server does not keep others from that.
                let pass = turnstile.enter(&format!("{} all", self.profile)).await;
                let changed = self.ledger.list(Select::Changed(known(&entries))).await?;
                let listed: BTreeSet<_> = entries.iter().map(|entry| entry.saved.id).collect();
                let meant = changed.services.into_iter().filter(|service| {
                    service.spec.profile == self.profile && scope.admits(service.id, &listed)
                });
                let (unfinished, ended): (Vec<_>, Vec<_>) =
                    meant.partition(|service| service.life.is_unfinished());
                let ids: BTreeSet<_> = unfinished.iter().chain(&ended).map(|service| service.id).collect();
                entries.retain(|entry| !ids.contains(&entry.saved.id));
                entries.extend(self.taken_up(unfinished, scope, now)?);
                finished = ended;
                damaged = changed.damaged;
                pass
            }
            None => None,
        };
        let mut services = self.turn(entries, &mut None).await?;
        drop(pass);
        services.append(&mut finished);
        Ok(Listing { services, damaged })
    }

    /// Those of the services that are of this profile; those that are to be looked at again are asked for at `now`.
    fn taken_up(
        &self,
        services: impl IntoIterator<Item = Service>,
        scope: Scope<'_>,
        now: Timestamp,
    ) -> Result<Vec<Entry>, EngineError> {
        let ours = services.into_iter().filter(|service| service.spec.profile == self.profile);
        ours.map(|service| {
            let is_asked = scope.asks_for(service.id);
            let mut entry = Entry::new(service);
            if is_asked {
                entry.request(self.look(), now)?;
            }
            Ok(entry)
        })
        .collect()
    }

    const fn look(&self) -> Request {
        if self.is_urgent { Request::LookNow } else { Request::Look }
    }

    /// Asks the scheduler about the job of one service, records what it says, and returns it.
    ///
    /// # Errors
    /// [`EngineError::Survey`] if nothing could be learnt, and the ledger's.
    pub async fn get_job(&self, id: ServiceId) -> Result<Sighting, EngineError> {
        let service: Service = self.load(id).await?;
        let began = self.clock.now();
        let survey = self.site.scheduler.survey(&[subject(&service)]).await?;
        let now = self.clock.now();
        let sighting = survey
            .sightings
            .into_values()
            .next()
            .unwrap_or_else(|| Sighting::unseen("the scheduler's answer does not mention it"));
        let told = Fact::Job(in_time(sighting.clone(), began, now, &service));
        let mut entries = [Entry::new(service)];
        entries[0].learn(told, began, now);
        self.save(&mut entries, |_, _| true, &mut None).await?;
        Ok(sighting)
    }
}
