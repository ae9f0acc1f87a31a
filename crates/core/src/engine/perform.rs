//! Performing single actions: each turns into a call of a port, and its answer into a fact. Decides nothing.

use std::collections::BTreeMap;

use super::error::error_chain;
use super::site::Engine;
use crate::id::{JobId, ServiceId};
use crate::job::{Place, Sighting};
use crate::lifecycle::{CancelFact, Fact, Ping, Submission, Tunnel, TunnelFact};
use crate::ports::{Subject, SubmitError, TunnelError};
use crate::service::Service;

impl Engine {
    pub(super) async fn submit(&self, service: &Service) -> Result<JobId, SubmitError> {
        self.site.scheduler.submit(service.id, &service.spec).await
    }

    pub(super) async fn cancel(&self, id: ServiceId, job: &JobId) -> Fact {
        Fact::Cancel(match self.site.scheduler.cancel(id, job).await {
            Ok(()) => CancelFact::Accepted,
            Err(error) => CancelFact::Failed(error_chain(&error)),
        })
    }

    /// Opens a tunnel, on another local port if the wanted one is taken and it may get another.
    pub(super) async fn open(
        &self,
        id: ServiceId,
        place: &Place,
        local_port: Option<u16>,
        before: Option<&Tunnel>,
        may_move: bool,
    ) -> Result<Tunnel, TunnelError> {
        match self.site.tunnels.open(id, place, local_port, before).await {
            Err(TunnelError::PortTaken { .. }) if local_port.is_some() && may_move => {
                self.site.tunnels.open(id, place, None, None).await
            }
            result => result,
        }
    }

    pub(super) async fn close(&self, tunnel: &Tunnel) -> Fact {
        Fact::Tunnel(match self.site.tunnels.close(tunnel).await {
            Ok(()) => TunnelFact::Closed,
            Err(error) => TunnelFact::Unclosed(error_chain(&error)),
        })
    }

    pub(super) async fn ping(&self, service: &Service, tunnel: &Tunnel) -> Fact {
        let echo = self.site.probe.ping(tunnel, &service.spec.health, &service.spec.ready).await;
        Fact::Ping(Ping { place: tunnel.place.clone(), echo })
    }

    /// Looks at all `subjects` with one question; what it does not tell of one of them is unseen.
    pub(super) async fn survey(&self, subjects: &[Subject]) -> BTreeMap<ServiceId, Sighting> {
        if subjects.is_empty() {
            return BTreeMap::new();
        }
        let (mut told, why) = match self.site.scheduler.survey(subjects).await {
            Ok(survey) => (survey.sightings, "the scheduler's answer does not mention it".to_owned()),
            Err(error) => (BTreeMap::new(), error_chain(&error)),
        };
        subjects
            .iter()
            .map(|subject| {
                let sighting = told.remove(&subject.id).unwrap_or_else(|| Sighting::unseen(why.clone()));
                (subject.id, sighting)
            })
            .collect()
    }
}

/// The fact that a submission's answer is.
pub(super) fn submission(answer: &Result<JobId, SubmitError>) -> Fact {
    Fact::Submission(match answer {
        Ok(job) => Submission::Accepted(job.clone()),
        Err(SubmitError::Refused { words }) => Submission::Refused(words.clone()),
        Err(SubmitError::Spec(error)) => Submission::Refused(error.to_string()),
        Err(error @ SubmitError::NotSent(_)) => Submission::NotSent(error_chain(error)),
        Err(error @ SubmitError::Unclear(_)) => Submission::Unclear(error_chain(error)),
    })
}

/// What a survey needs to know of a service.
pub(super) fn subject(service: &Service) -> Subject {
    Subject {
        id: service.id,
        job: service.life.phase.job().map(|job| job.id.clone()),
        created_at: service.created_at,
    }
}
