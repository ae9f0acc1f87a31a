//! Services that stand somewhere.

use std::time::Duration;

use towline_core::id::JobId;
use towline_core::job::{ExitStatus, JobEnd, JobState, Outcome, Place};
use towline_core::lifecycle::{Cause, Doubt, Echo, EndStatus, Ending, Job, Phase, PingRecord, Run, Stage};
use towline_core::service::Service;
use towline_core::testing::sample_service;
use towline_core::time::Timestamp;
use towline_core::why::{Evidence, Explanation, Topic, explain};

/// When everything is looked at.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_000_000);

pub(crate) fn ago(secs: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(secs))
}

/// Job 7, as the scheduler tells it.
pub(crate) fn job(state: JobState, word: &str) -> Job {
    Job { state: Some(state), word: Some(word.into()), ..Job::accepted(JobId::new("7")) }
}

/// Job 7, running on c1 for 100 s, whose server listens on port 4711.
pub(crate) fn running() -> Job {
    let place = Place { host: "c1".into(), port: 4711, pid: 9, listening: true, loopback: false };
    let run = Run {
        mark: Some(1),
        since: ago(100),
        before: Duration::ZERO,
        verified_at: Some(NOW),
        ends_at: None,
        place: Some(place),
    };
    Job { node: Some("c1".into()), run: Some(run), ..job(JobState::Running, "RUNNING") }
}

/// The service `web` in a stage for 50 s.
pub(crate) fn at(stage: Stage, job: Job) -> Service {
    let mut service = sample_service(1, "web");
    service.life.phase = Phase::Live { stage, job };
    service.life.since = ago(50);
    service
}

/// `web`, whose job waits for that reason.
pub(crate) fn waiting(reason: &str) -> Service {
    let queued = job(JobState::Queued, "PENDING");
    at(Stage::Pending, Job { reason: Some(reason.into()), ..queued })
}

/// `web`, which is UNHEALTHY after a ping came back so.
pub(crate) fn unhealthy(echo: Echo) -> Service {
    let mut service = at(Stage::Unhealthy, running());
    service.life.ping = Some(PingRecord { at: ago(2), echo, counted: false });
    service
}

/// `web`, which has ended so.
pub(crate) fn ended(status: EndStatus, cause: Cause) -> Service {
    let mut service = sample_service(1, "web");
    let job = Some(running());
    service.life.phase = Phase::Ended(Ending { status, cause, at: ago(1), job, owes_cancel: false });
    service
}

/// `web`, whose job has ended so.
pub(crate) fn job_ended(outcome: Outcome, exit: Option<ExitStatus>) -> Service {
    let end = JobEnd { outcome, exit, reason: None };
    ended(end.status(), Cause::Job(end))
}

pub(crate) fn code(code: u8) -> Option<ExitStatus> {
    Some(ExitStatus { code, signal: None })
}

/// A log.
pub(crate) fn log(text: &str) -> Evidence {
    Evidence { reached: Some(true), log: Some(text.into()), ..Evidence::default() }
}

/// A doubt that has lasted for 30 s.
pub(crate) fn doubt(why: &str) -> Option<Doubt> {
    Some(Doubt { since: ago(30), last: ago(1), count: 3, why: why.into() })
}

pub(crate) fn why(service: &Service, evidence: &Evidence) -> Explanation {
    explain(service, evidence, NOW)
}

/// What was found on a topic.
pub(crate) fn on(explanation: &Explanation, topic: Topic) -> Option<&str> {
    let mut found = explanation.evidence.iter().filter(|finding| finding.topic == topic);
    let text = found.next().map(|finding| finding.text.as_str());
    assert!(found.next().is_none(), "{topic:?} twice: {explanation:?}");
    text
}

/// Makes sure that all of these are in a text.
#[track_caller]
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}
