//! A scheduler of jobs: Slurm, this machine, or somebody's own.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::BoxError;
use crate::id::{JobId, ServiceId};
use crate::job::Sighting;
use crate::spec::{ServiceSpec, SpecError};
use crate::time::Timestamp;

/// A service that a survey is to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The service; the token in its job's name.
    pub id: ServiceId,
    /// Its job, if known: a help to find it. Without one, or with one that is not its own, the job is looked for by its
    /// token.
    pub job: Option<JobId>,
    /// When the service was recorded; no job of it can be older (clocks may differ by minutes).
    pub created_at: Timestamp,
}

/// What one survey tells of each subject. A subject that is missing was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// By service.
    pub sightings: BTreeMap<ServiceId, Sighting>,
}

/// Submits, looks at and cancels jobs.
///
/// Whoever implements it can run `towline_core::testing::scheduler_contract` (feature `testing`), which tests every
/// promise made here. Several programs may use one scheduler at the same time, and none needs to know what another has
/// done: jobs are found by their token.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Scheduler: Send + Sync {
    /// Checks a spec without sending anything, so that it says the same whether or not the scheduler can be reached.
    ///
    /// # Errors
    /// The first part of the spec that this scheduler could not run; whatever [`ServiceSpec::check`] refuses is refused
    /// here.
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError>;

    /// Submits the one job of a service. The service's id is in the job's name, or wherever else [`Self::survey`] finds
    /// the job by it.
    ///
    /// A service has one job at most, however often and by however many programs it is submitted. Asked again for a
    /// service whose job it has accepted, running or ended, it starts no other and returns that job's id, or
    /// [`SubmitError::Unclear`] where it cannot tell at the moment. If dropped, the job may have been submitted; asking
    /// again settles it.
    ///
    /// # Errors
    /// [`SubmitError`]: this call has certainly made no job (`Spec`, `Refused`, `NotSent`), or there may be one
    /// (`Unclear`).
    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError>;

    /// Looks at all `subjects` at once, however many. Changes nothing; tells of nobody else; with no subjects there is
    /// nothing to ask, and so nothing that could fail.
    ///
    /// A job belongs to a subject only if its name holds the subject's token, whatever its id says: ids are recycled.
    /// What is not known for one subject is [`Sight::Unseen`] there and harms no other.
    ///
    /// - A job is *seen* from soon after its acceptance until its end, and its end for some time after that (it may
    ///   take the engine minutes to look, if this machine slept). An end is final: neither state nor outcome changes
    ///   after it.
    /// - A service without a job is *absent*, once that is certain. No silence, error or partial answer is ever
    ///   absence.
    /// - Within one run a job only goes forward: queued, configuring, running, leaving, ended. A job that was put back
    ///   into the queue keeps its id and comes back with a greater [`JobReport::run`].
    /// - [`Sighting::place`] is told only while the job's command runs, and by its present run; with
    ///   [`Place::listening`] only once the service's own server listens there.
    ///
    /// # Errors
    /// [`SurveyError`] if nothing could be learnt at all: then every subject is unseen.
    ///
    /// [`JobReport::run`]: crate::job::JobReport::run
    /// [`Place::listening`]: crate::job::Place::listening
    /// [`Sight::Unseen`]: crate::job::Sight::Unseen
    /// [`Sighting::place`]: crate::job::Sighting::place
    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError>;

    /// Cancels a service's job, whether it waits or runs, and no other: a job of that id whose name does not hold the
    /// service's token is left alone. Once it has returned, the scheduler has heard it; the job's end is still to be
    /// seen, as [`Outcome::Cancelled`](crate::job::Outcome::Cancelled) unless it was ending already.
    ///
    /// Done twice is done once. Cancelling an ended job is done at once and changes nothing of its end. If dropped, the
    /// cancel may have been heard.
    ///
    /// # Errors
    /// [`CancelError`] if the scheduler may not have heard it.
    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError>;
}

/// Why a submission gave no job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The spec cannot be run as it stands; nothing was sent.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The scheduler refused it, in its own words. There is no job.
    #[error("the scheduler refused the job: {words}")]
    Refused {
        /// The scheduler's own words.
        words: String,
    },
    /// Nothing was sent by this call, so it made no job.
    #[error("failed to submit the job: nothing was sent")]
    NotSent(#[source] BoxError),
    /// It was sent and the answer is lost. There may be a job.
    #[error("failed to learn whether the job was accepted")]
    Unclear(#[source] BoxError),
}

/// Why a survey told nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// The cluster could not be reached, or did not answer in time.
    #[error("failed to reach the scheduler")]
    Unreachable(#[source] BoxError),
    /// The scheduler answered with an error, in its own words.
    #[error("the scheduler gave no answer: {words}")]
    Scheduler {
        /// The scheduler's own words.
        words: String,
    },
    /// The answer could not be read.
    #[error("failed to read the scheduler's answer: {problem}")]
    Garbled {
        /// What is wrong with it.
        problem: String,
    },
}

/// Why a cancel may not have been heard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancelError {
    /// The cluster could not be reached, or did not answer in time.
    #[error("failed to reach the scheduler to cancel job {job}")]
    Unreachable {
        /// The job.
        job: JobId,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The scheduler refused, in its own words.
    #[error("the scheduler did not cancel job {job}: {words}")]
    Refused {
        /// The job.
        job: JobId,
        /// The scheduler's own words.
        words: String,
    },
}
