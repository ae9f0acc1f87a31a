//! `start`: records a service, submits exactly one job, and waits for it if asked to.

use super::entry::Entry;
use super::error::EngineError;
use super::perform::submission;
use super::site::{Engine, Watch};
use super::turn::show;
use crate::lifecycle::{Request, Status};
use crate::ports::SubmitError;
use crate::service::{Event, Service};

impl Engine {
    /// Records `service`, submits its one job and, with a `watch`, waits until it is HEALTHY or has ended.
    ///
    /// The service is recorded before anything is sent. If the submission's answer is lost, the service stays
    /// SUBMITTED until the scheduler tells what became of it; it is never submitted twice. Returns the service as it
    /// is recorded then.
    ///
    /// # Errors
    /// [`EngineError::Spec`] and [`EngineError::Ledger`] before anything was sent. [`EngineError::Submit`] if there is
    /// certainly no job (refused, or nothing was sent): the service is recorded as FAILED with that cause.
    pub async fn start(&self, service: Service, watch: Option<Watch<'_>>) -> Result<Service, EngineError> {
        service.spec.check()?;
        self.site.scheduler.check(&service.spec)?;
        if service.spec.profile != self.profile {
            return Err(EngineError::OtherProfile { id: service.id, profile: service.spec.profile.clone() });
        }
        let recorded =
            Event { at: service.created_at, from: None, to: service.status(), why: service.life.why() };
        self.ledger.insert(&service, &recorded).await?;
        let (waits, mut watch) = (watch.is_some(), watch);
        show(&mut watch, &service);
        let service = self.submit_first(service, &mut watch).await?;
        match (waits, watch) {
            (true, Some(watch)) => self.wait(service.id, &[Status::Healthy], watch).await,
            (_, _) => Ok(service),
        }
    }

    async fn submit_first(
        &self,
        service: Service,
        watch: &mut Option<Watch<'_>>,
    ) -> Result<Service, EngineError> {
        let mut entries = [Entry::new(service)];
        if !self.announce_submission(&mut entries[0], watch).await? {
            let [entry] = entries;
            let id = entry.service.id;
            return if entry.gone { Err(EngineError::Unknown { id }) } else { Ok(entry.service) };
        }
        let answer = self.submit(&entries[0].service).await;
        let now = self.clock.now();
        entries[0].observe(submission(&answer), now);
        if let Err(SubmitError::NotSent(source)) = &answer {
            entries[0].request(Request::Abandon { why: super::error_chain(source.as_ref()) }, now)?;
        }
        self.save(&mut entries, |_, _| true, watch).await?;
        let [entry] = entries;
        match answer {
            // Unless another process has sent one too, meanwhile.
            Err(error @ (SubmitError::NotSent(_) | SubmitError::Refused { .. } | SubmitError::Spec(_)))
                if entry.gone || entry.service.status().is_terminal() =>
            {
                Err(EngineError::Submit(error))
            }
            Ok(_) | Err(_) => Ok(entry.service),
        }
    }
}
