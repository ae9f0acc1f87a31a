//! The simulated world on the bench of the scheduler's contract.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::{ExitStatus, JobEnd, Outcome, Place};
use towline_core::lifecycle::Echo;
use towline_core::ports::{
    CancelError, Clock, Probe as _, Scheduler, Subject, SubmitError, Survey, SurveyError, Tunnels as _,
};
use towline_core::ready::Ready;
use towline_core::spec::{ServiceSpec, SpecError};
use towline_core::testing::{
    Behaviour, Faults, SchedulerBench, Trouble, Work, World, sample_service, scheduler_contract,
};

use crate::broken::Broken;
use crate::flaws::Flaw;

/// The world's scheduler, where a job does what its command says, and whose answers can be lost.
pub(crate) struct Staged {
    pub(crate) world: Arc<World>,
    loses_answers: AtomicBool,
}

impl Staged {
    fn is_lost(&self) -> bool {
        self.loses_answers.load(Ordering::Relaxed)
    }
}

fn behaviour(command: &[String]) -> Behaviour {
    const FOR_EVER: Duration = Duration::from_secs(1_000_000);
    let stays = Behaviour {
        configures_for: Duration::from_secs(1),
        listens_after: None,
        leaves_for: Duration::from_secs(1),
        ..Behaviour::default()
    };
    match command[0].as_str() {
        "serve" => Behaviour { listens_after: Some(Duration::from_secs(3)), ..stays },
        "idle" => stays,
        "wait" => Behaviour { queued_for: FOR_EVER, ..stays },
        "refused" => Behaviour { refused: Some("invalid partition".to_owned()), ..stays },
        code => {
            let code = code.parse().unwrap();
            let outcome = if code == 0 { Outcome::Completed } else { Outcome::Failed };
            let end = JobEnd { outcome, exit: Some(ExitStatus { code, signal: None }), reason: None };
            Behaviour { runs_for: Some(Duration::from_secs(2)), end, ..stays }
        }
    }
}

#[async_trait]
impl Scheduler for Staged {
    fn check(&self, spec: &ServiceSpec) -> Result<(), SpecError> {
        self.world.check(spec)
    }

    async fn submit(&self, id: ServiceId, spec: &ServiceSpec) -> Result<JobId, SubmitError> {
        if self.check(spec).is_ok() {
            self.world.behave(behaviour(&spec.command));
        }
        let answer = self.world.submit(id, spec).await;
        if self.is_lost() { Err(SubmitError::Unclear("connection reset".into())) } else { answer }
    }

    async fn survey(&self, subjects: &[Subject]) -> Result<Survey, SurveyError> {
        if subjects.is_empty() {
            return Ok(Survey::default());
        }
        let answer = self.world.survey(subjects).await;
        if self.is_lost() { Err(SurveyError::Unreachable("connection reset".into())) } else { answer }
    }

    async fn cancel(&self, id: ServiceId, job: &JobId) -> Result<(), CancelError> {
        let answer = self.world.cancel(id, job).await;
        let lost = || CancelError::Unreachable { job: job.clone(), source: "connection reset".into() };
        if self.is_lost() { Err(lost()) } else { answer }
    }
}

/// The world, with a scheduler that has that flaw, or none.
pub(crate) struct WorldBench {
    staged: Arc<Staged>,
    scheduler: Arc<dyn Scheduler>,
    next: AtomicU32,
}

impl WorldBench {
    fn new(flaw: Option<Flaw>) -> Self {
        let staged = Arc::new(Staged { world: World::new(), loses_answers: AtomicBool::new(false) });
        let scheduler: Arc<dyn Scheduler> = match flaw {
            Some(flaw) => Arc::new(Broken::new(Arc::clone(&staged), flaw)),
            None => Arc::clone(&staged) as _,
        };
        Self { staged, scheduler, next: AtomicU32::new(1) }
    }

    /// Runs the contract, which takes no real time.
    pub(crate) fn keeps_the_contract(flaw: Option<Flaw>) -> Vec<&'static str> {
        scheduler_contract(&Self::new(flaw)).now_or_never().expect("a simulated world never waits")
    }
}

#[async_trait]
impl SchedulerBench for WorldBench {
    fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::clone(&self.scheduler)
    }

    fn clock(&self) -> &dyn Clock {
        &*self.staged.world
    }

    fn new_id(&self) -> ServiceId {
        sample_service(self.next.fetch_add(1, Ordering::Relaxed), "contract").id
    }

    fn spec(&self, work: Work) -> Option<ServiceSpec> {
        let word = match work {
            Work::Serve => "serve".to_owned(),
            Work::Idle => "idle".to_owned(),
            Work::Wait => "wait".to_owned(),
            Work::Refused => "refused".to_owned(),
            Work::Exit(code) => code.to_string(),
        };
        Some(ServiceSpec { command: vec![word], ..(*sample_service(1, "contract").spec).clone() })
    }

    async fn live_jobs(&self, id: ServiceId) -> usize {
        self.staged.world.live_jobs(id)
    }

    async fn answers(&self, place: &Place) -> bool {
        let world = &self.staged.world;
        let tunnel = world.open(self.new_id(), place, None, None).await.unwrap();
        let echo = world.ping(&tunnel, "/", &Ready::default()).await;
        world.close(&tunnel).await.unwrap();
        echo == Echo::Answered
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(600)
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(500)
    }

    async fn start(&self, trouble: Trouble) -> bool {
        let faults = match trouble {
            Trouble::Unreachable => Faults { network_down: true, ..Faults::default() },
            Trouble::SchedulerDown => Faults { scheduler_down: true, ..Faults::default() },
            Trouble::AnswersLost => Faults::default(),
        };
        self.staged.world.break_down(faults);
        self.staged.loses_answers.store(trouble == Trouble::AnswersLost, Ordering::Relaxed);
        true
    }

    async fn stop(&self, _trouble: Trouble) {
        self.staged.world.break_down(Faults::default());
        self.staged.loses_answers.store(false, Ordering::Relaxed);
    }

    async fn requeue(&self, id: ServiceId, _job: &JobId) -> bool {
        self.staged.world.requeue(id);
        true
    }
}

#[test]
fn the_simulated_world_keeps_the_contract() {
    assert_eq!(WorldBench::keeps_the_contract(None), Vec::<&str>::new());
}
