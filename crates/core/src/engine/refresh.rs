//! `refresh` and `get_job`: look again.

use super::entry::Entry;
use super::error::EngineError;
use super::perform::subject;
use super::site::Engine;
use super::turn::in_time;
use crate::id::ServiceId;
use crate::job::Sighting;
use crate::lifecycle::{Fact, Request};
use crate::ports::{DamagedRow, Listing, Select};
use crate::service::Service;
use crate::time::Timestamp;

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
        let now = self.clock.now();
        let (mut entries, mut damaged) = self.unfinished(now).await?;
        let is_idle = entries.iter().all(|entry| entry.due(now).next().is_none());
        let pass = match self.turnstile.as_ref().filter(|_| !is_idle) {
            Some(turnstile) => {
                // Not the place where the scheduler is asked: who waits for a server does not keep others from that.
                let pass = turnstile.enter(&format!("{} all", self.profile)).await;
                (entries, damaged) = self.unfinished(now).await?;
                pass
            }
            None => None,
        };
        let services = self.turn(entries, &mut None).await?;
        drop(pass);
        Ok(Listing { services, damaged })
    }

    /// The unfinished services of this profile, all asked for at `now`.
    async fn unfinished(&self, now: Timestamp) -> Result<(Vec<Entry>, Vec<DamagedRow>), EngineError> {
        let listing = self.ledger.list(Select::Unfinished).await?;
        let mut entries = Vec::with_capacity(listing.services.len());
        for service in listing.services {
            if service.spec.profile == self.profile {
                let mut entry = Entry::new(service);
                entry.request(self.look(), now)?;
                entries.push(entry);
            }
        }
        Ok((entries, listing.damaged))
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
