//! What every scheduler must keep, as a test that any implementation can run.

use futures_util::future::{join, join_all};

use super::scheduler_bench::{SchedulerBench, Trouble, Work};
use super::scheduler_doubt::{
    a_half_submission_is_settled, an_acceptance_that_was_not_heard_is_found, doubt_ends_nothing,
};
use super::scheduler_watch::{Case, Deadline, Watch, end, spec};
use crate::id::JobId;
use crate::job::{ExitStatus, JobState, Outcome, Place, Sight, Sighting};
use crate::ports::{Subject, SubmitError};
use crate::spec::ServiceSpec;

/// Runs the contract of [`Scheduler`](crate::ports::Scheduler) on the one that `bench` has. Needs no runtime of its
/// own; whatever the scheduler needs (a reactor, say) is the caller's.
///
/// Returns the promises that the bench had no means to test. An adapter's own test says which these may be.
///
/// # Panics
/// At the first promise that is not kept.
#[must_use = "what could not be tested is not promised"]
pub async fn scheduler_contract(bench: &dyn SchedulerBench) -> Vec<&'static str> {
    who_has_no_job_is_absent(bench).await;
    a_bad_spec_makes_no_job(bench).await;
    a_service_has_one_job(bench).await;
    many_submissions_at_once_make_one_job(bench).await;
    a_half_submission_is_settled(bench).await;
    jobs_are_not_mistaken_for_one_another(bench).await;
    many_are_told_at_once(bench).await;
    a_job_ends_as_its_command_did(bench).await;
    a_cancel_ends_its_own_job_alone(bench).await;
    a_place_is_where_the_server_listens(bench).await;
    let tested = [
        ("a refused job is none", a_refused_job_is_none(bench).await),
        ("a waiting job is cancelled", a_waiting_job_is_cancelled(bench).await),
        ("a requeued job comes back as another run", a_requeued_job_comes_back(bench).await),
        ("who cannot be reached ends nothing", doubt_ends_nothing(bench, Trouble::Unreachable).await),
        ("a scheduler that is down ends nothing", doubt_ends_nothing(bench, Trouble::SchedulerDown).await),
        (
            "a job whose acceptance was not heard is found",
            an_acceptance_that_was_not_heard_is_found(bench).await,
        ),
    ];
    tested.into_iter().filter(|(_, tested)| !tested).map(|(promise, _)| promise).collect()
}

/// Waits until the scheduler says for certain that there is no job.
async fn is_absent(case: &Case<'_>) {
    let mut deadline = Deadline::new(case.bench);
    loop {
        let sight = case.look(None).await.map(|sighting| sighting.sight);
        match sight {
            Some(Sight::Absent) => return,
            Some(Sight::Seen(report)) => panic!("a service without a job is not seen: {report:?}"),
            Some(Sight::Unseen(_)) | None => deadline.wait("a service without a job is absent").await,
        }
    }
}

async fn who_has_no_job_is_absent(bench: &dyn SchedulerBench) {
    let case = Case::new(bench);
    let nobody = case.scheduler.survey(&[]).await.expect("nothing can fail where nothing is asked");
    assert!(nobody.sightings.is_empty(), "a survey tells only of whom it was asked: {nobody:?}");
    is_absent(&case).await;
}

/// Specs that nothing can run.
pub(super) fn bad_specs(bench: &dyn SchedulerBench) -> Vec<ServiceSpec> {
    let good = spec(bench, Work::Idle);
    let bad = |change: fn(&mut ServiceSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        assert!(spec.check().is_err(), "{spec:?}");
        spec
    };
    vec![
        bad(|spec| spec.command.clear()),
        bad(|spec| spec.command[0].clear()),
        bad(|spec| spec.command.push("\0".into())),
        bad(|spec| drop(spec.env.insert("A B".into(), "x".into()))),
        bad(|spec| spec.health = "no path".into()),
    ]
}

async fn a_bad_spec_makes_no_job(bench: &dyn SchedulerBench) {
    let case = Case::new(bench);
    for work in [Work::Serve, Work::Idle, Work::Exit(0)] {
        assert_eq!(case.scheduler.check(&spec(bench, work)), Ok(()), "{work:?}");
    }
    for bad in bad_specs(bench) {
        let error = case.scheduler.check(&bad).expect_err("a spec that nothing can run is refused");
        match case.scheduler.submit(case.id, &bad).await {
            Err(SubmitError::Spec(same)) => assert_eq!(same, error, "submit says what check says"),
            other => panic!("a bad spec is not sent: {other:?}"),
        }
    }
    case.has_jobs(0).await;
    is_absent(&case).await;
}

async fn a_refused_job_is_none(bench: &dyn SchedulerBench) -> bool {
    let case = Case::new(bench);
    let Some(refused) = bench.spec(Work::Refused) else { return false };
    assert_eq!(case.scheduler.check(&refused), Ok(()), "what only the scheduler can know");
    match case.scheduler.submit(case.id, &refused).await {
        Err(SubmitError::Refused { words }) => assert!(!words.is_empty(), "a refusal has words"),
        other => panic!("a job is refused, not {other:?}"),
    }
    case.has_jobs(0).await;
    is_absent(&case).await;
    true
}

/// Submits a service that has a job, through two programs at once.
async fn submitting_again_gives_the_same_job(watch: &Watch<'_>) {
    let bench = watch.case.bench;
    let (other, idle) = (bench.scheduler(), spec(bench, Work::Idle));
    let id = watch.case.id;
    let (one, two) = join(watch.case.scheduler.submit(id, &idle), other.submit(id, &idle)).await;
    for answer in [one, two] {
        match answer {
            Ok(job) => assert_eq!(job, watch.job, "the job that there is"),
            Err(SubmitError::Unclear(_)) => {}
            Err(error) => panic!("there is a job already, whatever {error:?} says"),
        }
    }
}

async fn a_service_has_one_job(bench: &dyn SchedulerBench) {
    let mut watch = Case::submitted(bench, Work::Idle).await;
    watch.until_running().await;
    submitting_again_gives_the_same_job(&watch).await;
    watch.case.has_jobs(1).await;
    watch.stays().await;
    watch.cancel().await;
    watch.until_ended().await;
    submitting_again_gives_the_same_job(&watch).await;
    watch.case.has_jobs(0).await;
    watch.stays().await;
}

async fn many_submissions_at_once_make_one_job(bench: &dyn SchedulerBench) {
    let idle = spec(bench, Work::Idle);
    let case = Case::new(bench);
    let others: Vec<_> = (0..4).map(|_| bench.scheduler()).collect();
    let submissions = others.iter().map(|scheduler| scheduler.submit(case.id, &idle));
    let accepted: Vec<JobId> = join_all(submissions)
        .await
        .into_iter()
        .filter_map(|answer| match answer {
            Ok(job) => Some(job),
            Err(SubmitError::Unclear(_)) => None,
            Err(error) => panic!("of many submissions at once all find the job, or cannot tell: {error:?}"),
        })
        .collect();
    let job = case.settle(Work::Idle).await;
    assert!(accepted.iter().all(|accepted| *accepted == job), "one job, not {accepted:?} and {job}");
    case.has_jobs(1).await;
    end([case.watch(job)]).await;
}

async fn jobs_are_not_mistaken_for_one_another(bench: &dyn SchedulerBench) {
    let mut one = Case::submitted(bench, Work::Idle).await;
    let mut two = Case::submitted(bench, Work::Idle).await;
    assert_ne!(one.job, two.job, "two services have two jobs");
    one.until_running().await;
    two.until_running().await;
    // The id of one was recycled, and is another's now: the token decides.
    match one.case.look(Some(&two.job)).await.map(|sighting| sighting.sight) {
        Some(Sight::Seen(report)) => {
            assert_eq!(report.id, one.job, "a job is found by its token, whatever its id says");
            assert_eq!(report.state, JobState::Running, "and told as it is");
        }
        None | Some(Sight::Unseen(_)) => {}
        Some(Sight::Absent) => panic!("a job that runs is not absent, whatever its id says"),
    }
    let stranger = Case::new(bench);
    let sighting = stranger.look(Some(&two.job)).await;
    let sight = sighting.as_ref().map(|sighting| &sighting.sight);
    assert!(!matches!(sight, Some(Sight::Seen(_))), "another's job is nobody else's: {sight:?}");
    assert_eq!(sighting.and_then(|sighting| sighting.place), None, "another's place is nobody else's");
    end([one, two]).await;
}

async fn many_are_told_at_once(bench: &dyn SchedulerBench) {
    const MANY: usize = 50;
    let mut idle = Case::submitted(bench, Work::Idle).await;
    let mut over = Case::submitted(bench, Work::Exit(0)).await;
    over.until_ended().await;
    idle.until_running().await;
    let nobody: Vec<_> = (0..MANY).map(|_| Case::new(bench)).collect();
    let mut subjects: Vec<Subject> = nobody.iter().map(|case| case.subject(None)).collect();
    subjects.insert(MANY / 3, idle.case.subject(Some(&idle.job)));
    subjects.insert(MANY / 2, over.case.subject(None));
    let survey = bench.scheduler().survey(&subjects).await.expect("many are looked at");
    for (id, sighting) in survey.sightings {
        match sighting.sight {
            Sight::Seen(report) if id == idle.case.id => {
                assert_eq!((report.id, report.state), (idle.job.clone(), JobState::Running));
            }
            Sight::Seen(report) if id == over.case.id => {
                assert_eq!(report.id, over.job);
                assert!(matches!(report.state, JobState::Ended(_)), "{:?}", report.state);
            }
            Sight::Seen(report) => panic!("a service without a job is not seen: {report:?}"),
            sight if id == idle.case.id || id == over.case.id => {
                panic!("a job is told however many others are asked for, not {sight:?}")
            }
            Sight::Absent | Sight::Unseen(_) => assert!(nobody.iter().any(|case| case.id == id)),
        }
    }
    end([idle]).await;
}

async fn a_job_ends_as_its_command_did(bench: &dyn SchedulerBench) {
    for code in [0, 3] {
        let mut watch = Case::submitted(bench, Work::Exit(code)).await;
        let end = watch.until_ended().await;
        let exit = Some(ExitStatus { code, signal: None });
        if code == 0 {
            assert_eq!(end.outcome, Outcome::Completed);
            assert!(end.exit.is_none() || end.exit == exit, "{end:?}");
        } else {
            assert_eq!((end.outcome, end.exit), (Outcome::Failed, exit), "a failure has its exit code");
        }
        watch.cancel().await;
        watch.stays().await;
        watch.case.has_jobs(0).await;
    }
}

async fn a_cancel_ends_its_own_job_alone(bench: &dyn SchedulerBench) {
    let mut one = Case::submitted(bench, Work::Idle).await;
    let mut two = Case::submitted(bench, Work::Idle).await;
    one.until_running().await;
    two.until_running().await;
    // The id of a job that ended long ago, and is another's now. Whatever is answered: that one lives.
    drop(one.case.scheduler.cancel(one.case.id, &two.job).await);
    one.stays().await;
    two.stays().await;

    one.cancel().await;
    bench.scheduler().cancel(one.case.id, &one.job).await.expect("done twice is done once");
    let end_of_one = one.until_ended().await;
    assert_eq!(end_of_one.outcome, Outcome::Cancelled);
    one.case.has_jobs(0).await;
    one.cancel().await;
    one.stays().await;
    two.stays().await;
    two.case.has_jobs(1).await;
    end([two]).await;
}

async fn a_waiting_job_is_cancelled(bench: &dyn SchedulerBench) -> bool {
    if bench.spec(Work::Wait).is_none() {
        return false;
    }
    let mut watch = Case::submitted(bench, Work::Wait).await;
    watch.until("a job waits", |report, _| report.state == JobState::Queued).await;
    watch.stays().await;
    watch.cancel().await;
    assert_eq!(watch.until_ended().await.outcome, Outcome::Cancelled);
    watch.case.has_jobs(0).await;
    true
}

/// Waits until a server's place is told as one where it listens, and makes sure that it does. A place that is only
/// intended may be told before.
async fn until_it_serves(watch: &mut Watch<'_>) -> Place {
    let told = |_: &_, sighting: &Sighting| sighting.place.as_ref().is_some_and(|place| place.listening);
    let sighting = watch.until("a server's place is told", told).await;
    let place = sighting.place.expect("it was waited for");
    assert!(watch.case.bench.answers(&place).await, "a server listens at {place:?}");
    place
}

async fn a_place_is_where_the_server_listens(bench: &dyn SchedulerBench) {
    let mut idle = Case::submitted(bench, Work::Idle).await;
    let mut one = Case::submitted(bench, Work::Serve).await;
    let mut two = Case::submitted(bench, Work::Serve).await;
    let (first, second) = (until_it_serves(&mut one).await, until_it_serves(&mut two).await);
    assert!(!first.is_same_address(&second), "two servers have two places");
    for _ in ["by its id", "by its token"] {
        let told = one.until("a place stays told", |_, sighting| sighting.place.is_some()).await;
        assert_eq!(told.place.as_ref(), Some(&first), "a server stays where it listens");
    }

    idle.until_running().await;
    for _ in 0..3 {
        let place = idle.look().await.and_then(|sighting| sighting.place);
        assert!(!place.as_ref().is_some_and(|place| place.listening), "nobody listens at {place:?}");
    }
    one.cancel().await;
    one.until_ended().await;
    one.case.has_jobs(0).await;
    assert!(!bench.answers(&first).await, "a server ends with its job");
    assert!(bench.answers(&second).await, "another server stays");
    end([two, idle]).await;
}

async fn a_requeued_job_comes_back(bench: &dyn SchedulerBench) -> bool {
    let mut watch = Case::submitted(bench, Work::Serve).await;
    until_it_serves(&mut watch).await;
    let can_be = watch.requeue().await;
    let mut deadline = Deadline::new(bench);
    while watch.comes_back() {
        watch.look().await;
        deadline.wait("a requeued job runs again").await;
    }
    until_it_serves(&mut watch).await;
    watch.case.has_jobs(1).await;
    end([watch]).await;
    can_be
}
