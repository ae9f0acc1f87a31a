//! What a tester brings along for the contract of a scheduler.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::id::{JobId, ServiceId};
use crate::job::Place;
use crate::ports::{Clock, Scheduler};
use crate::spec::ServiceSpec;

/// What a job of the contract does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Listens at the port that its job chose for it, until it is cancelled.
    Serve,
    /// Runs until it is cancelled, and listens nowhere.
    Idle,
    /// Ends by itself with that exit code.
    Exit(u8),
    /// Waits in the queue until it is cancelled.
    Wait,
    /// Passes [`Scheduler::check`]; the scheduler itself refuses it.
    Refused,
}

/// What may come between a program and its scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing that is sent arrives: the scheduler's host, or the way there, is gone.
    Unreachable,
    /// The scheduler's host is there, and the scheduler itself is not.
    SchedulerDown,
    /// What is asked for arrives and is done; the answer is lost on its way back.
    AnswersLost,
}

/// A scheduler, and the means to make things happen to it.
///
/// The contract ends the jobs that it began. After a panic they are the bench's to end, best when it is dropped, and so
/// is a trouble in force.
#[async_trait]
pub trait SchedulerBench: Sync {
    /// The scheduler as one more program opens it: what was done through one must be seen through any other. They may
    /// all be the same where jobs do not outlive their program.
    fn scheduler(&self) -> Arc<dyn Scheduler>;

    /// The clock by which jobs are waited for.
    fn clock(&self) -> &dyn Clock;

    /// An id that no service has had yet.
    fn new_id(&self) -> ServiceId;

    /// A spec whose job does that work; `None` if this scheduler knows no such jobs, which only [`Work::Wait`] and
    /// [`Work::Refused`] may be.
    fn spec(&self, work: Work) -> Option<ServiceSpec>;

    /// How many jobs of that service have not ended. Told by what runs the jobs itself, without the implementation
    /// that is being tested.
    async fn live_jobs(&self, id: ServiceId) -> usize;

    /// Whether a server answers at that place, found out by connecting to it.
    async fn answers(&self, place: &Place) -> bool;

    /// How long anything that must happen may take: 60 s unless said otherwise.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// How long to wait between two looks: 100 ms unless said otherwise.
    fn pause(&self) -> Duration {
        Duration::from_millis(100)
    }

    /// Makes that trouble, in force once this has returned; `false` if this bench cannot.
    async fn start(&self, trouble: Trouble) -> bool {
        let _ = trouble;
        false
    }

    /// Ends a trouble that [`Self::start`] has made.
    async fn stop(&self, trouble: Trouble) {
        let _ = trouble;
    }

    /// Puts a service's running job back into the queue, from where it soon runs again under its id; `false` if this
    /// scheduler does no such thing.
    async fn requeue(&self, id: ServiceId, job: &JobId) -> bool {
        let _ = (id, job);
        false
    }
}
