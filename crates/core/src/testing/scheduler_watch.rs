//! One service in the contract of a scheduler: submitted, watched, ended. What holds at every look is checked here.

use std::sync::Arc;

use super::scheduler_bench::{SchedulerBench, Work};
use crate::id::{JobId, ServiceId};
use crate::job::{JobEnd, JobReport, JobState, Sight, Sighting};
use crate::ports::{Scheduler, Subject, SubmitError};
use crate::spec::ServiceSpec;
use crate::time::Timestamp;

/// A service of the contract.
pub(super) struct Case<'a> {
    pub(super) bench: &'a dyn SchedulerBench,
    pub(super) scheduler: Arc<dyn Scheduler>,
    pub(super) id: ServiceId,
    created_at: Timestamp,
}

impl<'a> Case<'a> {
    /// A service that is not submitted yet.
    pub(super) fn new(bench: &'a dyn SchedulerBench) -> Self {
        let created_at = bench.clock().now();
        Self { bench, scheduler: bench.scheduler(), id: bench.new_id(), created_at }
    }

    /// A service whose job was accepted.
    pub(super) async fn submitted(bench: &'a dyn SchedulerBench, work: Work) -> Watch<'a> {
        let case = Self::new(bench);
        let job = case.scheduler.submit(case.id, &spec(bench, work)).await;
        let job = job.unwrap_or_else(|error| panic!("a job that does {work:?} is accepted, not {error:?}"));
        case.watch(job)
    }

    pub(super) const fn watch(self, job: JobId) -> Watch<'a> {
        Watch { case: self, job, last: None, comes_back: None, looks: 0, looked_at: None }
    }

    pub(super) fn subject(&self, job: Option<&JobId>) -> Subject {
        Subject { id: self.id, job: job.cloned(), created_at: self.created_at }
    }

    /// One look at this service alone; `None` if the scheduler tells nothing of it.
    pub(super) async fn look(&self, job: Option<&JobId>) -> Option<Sighting> {
        let mut survey = self.scheduler.survey(&[self.subject(job)]).await.ok()?;
        let sighting = survey.sightings.remove(&self.id);
        assert!(survey.sightings.is_empty(), "a survey tells only of whom it was asked: {survey:?}");
        sighting
    }

    /// Submits until it is clear what became of it.
    pub(super) async fn settle(&self, work: Work) -> JobId {
        let spec = spec(self.bench, work);
        let mut deadline = Deadline::new(self.bench);
        loop {
            match self.scheduler.submit(self.id, &spec).await {
                Ok(job) => return job,
                Err(error @ (SubmitError::Unclear(_) | SubmitError::NotSent(_))) => {
                    deadline.wait(&format!("a submission is settled: {error:?}")).await;
                }
                Err(error) => panic!("a submission that was begun is settled, not refused: {error:?}"),
            }
        }
    }

    /// Waits until what runs the jobs itself has that many of this service.
    pub(super) async fn has_jobs(&self, count: usize) {
        let mut deadline = Deadline::new(self.bench);
        loop {
            let found = self.bench.live_jobs(self.id).await;
            assert!(found <= 1, "a service has one job at most, not {found}");
            if found == count {
                return;
            }
            deadline.wait(&format!("a service has {count} jobs, not {found}")).await;
        }
    }
}

/// A spec that every scheduler must have.
pub(super) fn spec(bench: &dyn SchedulerBench, work: Work) -> ServiceSpec {
    bench.spec(work).unwrap_or_else(|| panic!("the bench has a spec for {work:?}"))
}

/// How long the contract waits for what must happen.
pub(super) struct Deadline<'a> {
    bench: &'a dyn SchedulerBench,
    at: Timestamp,
}

impl<'a> Deadline<'a> {
    pub(super) fn new(bench: &'a dyn SchedulerBench) -> Self {
        Self { bench, at: bench.clock().now().plus(bench.patience()) }
    }

    /// Waits a little; panics once all patience is spent on `what`.
    pub(super) async fn wait(&mut self, what: &str) {
        let clock = self.bench.clock();
        assert!(clock.now() < self.at, "not within {:?}: {what}", self.bench.patience());
        clock.sleep_until(clock.now().plus(self.bench.pause())).await;
    }
}

/// A job that is looked at again and again.
pub(super) struct Watch<'a> {
    pub(super) case: Case<'a>,
    pub(super) job: JobId,
    last: Option<JobReport>,
    comes_back: Option<ComesBack>,
    looks: u32,
    /// When the last look was, by the scheduler's own clock.
    looked_at: Option<Timestamp>,
}

/// A job that was put back into the queue, until it runs again.
#[derive(Clone, Copy)]
struct ComesBack {
    earlier_run: u64,
    queued: bool,
}

/// Looks that find nothing new before it is believed that nothing comes.
const STEADY: u32 = 3;

impl Watch<'_> {
    /// One look, with and without the job's id by turns; `None` if nothing was told.
    pub(super) async fn look(&mut self) -> Option<Sighting> {
        self.looks += 1;
        let known = self.looks.is_multiple_of(2).then_some(&self.job);
        let sighting = self.case.look(known).await?;
        assert!(sighting.at.is_none() || sighting.at >= self.looked_at, "the scheduler's own clock goes on");
        self.looked_at = sighting.at.or(self.looked_at);
        match &sighting.sight {
            Sight::Seen(report) => self.check(report, &sighting),
            Sight::Absent => {
                let seen = self.last.as_ref();
                assert!(seen.is_none(), "a job that was seen is not absent soon after: {seen:?}");
            }
            Sight::Unseen(_) => return None,
        }
        Some(sighting)
    }

    fn check(&mut self, report: &JobReport, sighting: &Sighting) {
        assert_eq!(report.id, self.job, "a service's job is told under its own id");
        let waits = matches!(report.state, JobState::Queued | JobState::Configuring);
        if waits || matches!(report.state, JobState::Ended(_)) {
            assert_eq!(sighting.place, None, "only a job that runs has a place: {report:?}");
        }
        assert!(!waits || report.running_for.is_none(), "a job that waits has not run: {report:?}");
        if self.comes_back.is_some() {
            self.check_return(report);
        } else if let Some(last) = &self.last {
            assert!(
                rank(&report.state) >= rank(&last.state),
                "a job goes forward, not from {last:?} to {report:?}"
            );
            if let (JobState::Ended(before), JobState::Ended(end)) = (&last.state, &report.state) {
                assert!(is_same_end(before, end), "an end is final, not {before:?} and then {end:?}");
            }
            if last.run.is_some() && rank(&report.state) == rank(&last.state) {
                assert_eq!(report.run, last.run, "a run keeps its mark");
                assert!(report.running_for >= last.running_for, "time goes on: {last:?}, then {report:?}");
            }
        }
        self.last = Some(report.clone());
    }

    fn check_return(&mut self, report: &JobReport) {
        let Some(back) = &mut self.comes_back else { return };
        match report.state {
            JobState::Queued | JobState::Configuring => back.queued = true,
            JobState::Running | JobState::Suspended => {
                let run = report.run.expect("a job that can be requeued tells its run");
                assert!(run > back.earlier_run || !back.queued, "a later run has a greater mark: {report:?}");
                if run > back.earlier_run {
                    self.comes_back = None;
                }
            }
            JobState::Leaving => {}
            JobState::Ended(_) => panic!("a job that is requeued does not end: {report:?}"),
        }
    }

    /// Waits until a look tells what is waited for.
    pub(super) async fn until(
        &mut self,
        what: &str,
        is_it: impl Fn(&JobReport, &Sighting) -> bool,
    ) -> Sighting {
        let mut deadline = Deadline::new(self.case.bench);
        loop {
            let sighting = self.look().await;
            if let Some(sighting) = sighting
                && let Sight::Seen(report) = &sighting.sight
                && is_it(report, &sighting)
            {
                return sighting;
            }
            deadline.wait(&format!("{what}; last seen: {:?}", self.last)).await;
        }
    }

    pub(super) async fn until_running(&mut self) -> Sighting {
        self.until("a job runs", |report, _| report.state == JobState::Running).await
    }

    /// Waits until the job's end is told, which then stays told.
    pub(super) async fn until_ended(&mut self) -> JobEnd {
        self.until("a job ends", |report, _| matches!(report.state, JobState::Ended(_))).await;
        self.stays().await;
        match self.last.as_ref().map(|report| &report.state) {
            Some(JobState::Ended(end)) => end.clone(),
            other => panic!("an end is final, not {other:?}"),
        }
    }

    /// Makes sure, by some more looks, that the job is where it was.
    pub(super) async fn stays(&mut self) {
        let before = self.last.as_ref().map(|report| report.state.clone());
        for _ in 0..STEADY {
            let rank = before.as_ref().map_or(0, rank);
            let what = "a job that was seen is seen again";
            let sighting = self.until(what, |_, _| true).await;
            let Sight::Seen(report) = &sighting.sight else { unreachable!("it was waited for") };
            assert_eq!(rank, self::rank(&report.state), "nothing happens to it: {before:?}, then {report:?}");
            let clock = self.case.bench.clock();
            clock.sleep_until(clock.now().plus(self.case.bench.pause())).await;
        }
    }

    /// Puts the job back into the queue; `false` if that cannot be.
    pub(super) async fn requeue(&mut self) -> bool {
        let run = self.last.as_ref().and_then(|report| report.run);
        if !self.case.bench.requeue(self.case.id, &self.job).await {
            return false;
        }
        let earlier_run = run.expect("a job that can be requeued tells its run");
        self.comes_back = Some(ComesBack { earlier_run, queued: false });
        true
    }

    /// Whether it was requeued and has not run again.
    pub(super) const fn comes_back(&self) -> bool {
        self.comes_back.is_some()
    }

    /// Cancels the job, which must be heard.
    pub(super) async fn cancel(&self) {
        let cancelled = self.case.scheduler.cancel(self.case.id, &self.job).await;
        cancelled.unwrap_or_else(|error| panic!("a cancel is heard, not {error:?}"));
    }
}

/// Ends the jobs that a clause began.
pub(super) async fn end(watches: impl IntoIterator<Item = Watch<'_>>) {
    let watches: Vec<_> = watches.into_iter().collect();
    for watch in &watches {
        watch.cancel().await;
    }
    for mut watch in watches {
        watch.until_ended().await;
        watch.case.has_jobs(0).await;
    }
}

/// How far a run has come.
const fn rank(state: &JobState) -> u8 {
    match state {
        JobState::Queued => 0,
        JobState::Configuring => 1,
        JobState::Running | JobState::Suspended => 2,
        JobState::Leaving => 3,
        JobState::Ended(_) => 4,
    }
}

/// The words of an end may become more, as where a queue and its accounting tell it.
fn is_same_end(one: &JobEnd, other: &JobEnd) -> bool {
    one.outcome == other.outcome && (one.exit.is_none() || one.exit == other.exit)
}
