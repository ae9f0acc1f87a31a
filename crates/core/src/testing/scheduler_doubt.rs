//! The contract of a scheduler where nothing can be known: answers that do not come, and questions that are dropped.

use super::break_off::break_off;
use super::scheduler_bench::{SchedulerBench, Trouble, Work};
use super::scheduler_contract::bad_specs;
use super::scheduler_watch::{Case, Deadline, Watch, end, spec};
use crate::job::{JobState, Outcome, Sight};
use crate::ports::SubmitError;

/// How often a submission is polled before it is dropped.
const POLLS: [u32; 6] = [1, 2, 3, 5, 8, 13];

pub(super) async fn a_half_submission_is_settled(bench: &dyn SchedulerBench) {
    let mut watches = Vec::new();
    for polls in POLLS {
        let case = Case::new(bench);
        let finished = break_off(case.scheduler.submit(case.id, &spec(bench, Work::Idle)), polls).await;
        let job = case.settle(Work::Idle).await;
        case.has_jobs(1).await;
        let is_finished = finished.is_some();
        if let Some(Ok(first)) = finished {
            assert_eq!(first, job, "the job that there is");
        }
        let mut watch = case.watch(job);
        watch.until_running().await;
        watches.push(watch);
        if is_finished {
            break;
        }
    }
    for watch in &mut watches {
        watch.stays().await;
        watch.case.has_jobs(1).await;
    }
    // A cancel that was broken off may have been heard; asked again it is.
    for watch in &watches {
        drop(break_off(watch.case.scheduler.cancel(watch.case.id, &watch.job), 1).await);
    }
    end(watches).await;
}

/// Looks at services of which nothing can be known: nobody is absent, and nobody has ended who lives.
async fn nothing_is_concluded(live: &Watch<'_>, new: &Case<'_>) {
    let scheduler = &live.case.scheduler;
    let nobody = scheduler.survey(&[]).await.expect("nothing can fail where nothing is asked");
    assert!(nobody.sightings.is_empty(), "a survey tells only of whom it was asked: {nobody:?}");
    let subjects = [live.case.subject(Some(&live.job)), new.subject(None)];
    let Ok(survey) = scheduler.survey(&subjects).await else { return };
    for (id, sighting) in survey.sightings {
        match sighting.sight {
            Sight::Unseen(_) => {}
            Sight::Absent => panic!("who cannot be seen is not absent"),
            Sight::Seen(report) => {
                assert_eq!(id, live.case.id, "who has no job is not seen: {report:?}");
                assert_eq!(report.state, JobState::Running, "at most it is told as it was");
            }
        }
    }
}

pub(super) async fn doubt_ends_nothing(bench: &dyn SchedulerBench, trouble: Trouble) -> bool {
    let mut live = Case::submitted(bench, Work::Idle).await;
    live.until_running().await;
    let new = Case::new(bench);
    let idle = spec(bench, Work::Idle);
    if !bench.start(trouble).await {
        end([live]).await;
        return false;
    }
    assert_eq!(new.scheduler.check(&idle), Ok(()), "a check sends nothing");
    for bad in bad_specs(bench) {
        assert!(new.scheduler.check(&bad).is_err(), "a check sends nothing");
    }
    nothing_is_concluded(&live, &new).await;
    match new.scheduler.submit(new.id, &idle).await {
        Err(SubmitError::NotSent(_) | SubmitError::Unclear(_)) => {}
        other => panic!("a submission that nobody hears is neither accepted nor refused: {other:?}"),
    }
    let cancelled = live.case.scheduler.cancel(live.case.id, &live.job).await;
    assert!(cancelled.is_err(), "a cancel that nobody hears is no success");
    bench.stop(trouble).await;

    live.until("it runs as before", |report, _| report.state == JobState::Running).await;
    live.stays().await;
    live.case.has_jobs(1).await;
    let job = new.settle(Work::Idle).await;
    new.has_jobs(1).await;
    let mut new = new.watch(job);
    new.until_running().await;
    end([live, new]).await;
    true
}

pub(super) async fn an_acceptance_that_was_not_heard_is_found(bench: &dyn SchedulerBench) -> bool {
    let mut live = Case::submitted(bench, Work::Idle).await;
    live.until_running().await;
    let new = Case::new(bench);
    if !bench.start(Trouble::AnswersLost).await {
        end([live]).await;
        return false;
    }
    match new.scheduler.submit(new.id, &spec(bench, Work::Idle)).await {
        Err(SubmitError::Unclear(_)) => {}
        other => panic!("a submission whose answer is lost may have made a job: {other:?}"),
    }
    nothing_is_concluded(&live, &new).await;
    let cancelled = live.case.scheduler.cancel(live.case.id, &live.job).await;
    assert!(cancelled.is_err(), "a cancel whose answer is lost is no success");
    bench.stop(Trouble::AnswersLost).await;

    new.has_jobs(1).await;
    let mut deadline = Deadline::new(bench);
    let found = loop {
        match new.look(None).await.map(|sighting| sighting.sight) {
            Some(Sight::Seen(report)) => break report.id,
            _ => deadline.wait("a job is found by its token alone").await,
        }
    };
    assert_eq!(new.settle(Work::Idle).await, found, "the job that there is");
    new.has_jobs(1).await;
    live.cancel().await;
    assert_eq!(live.until_ended().await.outcome, Outcome::Cancelled);
    end([new.watch(found)]).await;
    true
}
