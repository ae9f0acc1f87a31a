//! Services as tests need them: small ones, and lives in every phase.

use std::time::Duration;

use uuid::Uuid;

use crate::id::{JobId, ServiceId};
use crate::job::{ExitStatus, JobEnd, JobState, Outcome, Place};
use crate::lifecycle::{
    Absence, Cause, Doubt, Echo, EndStatus, Ending, Job, Life, Phase, PingRecord, Run, Stage, Status,
    StopWish, Terms, Tunnel, TunnelRecord,
};
use crate::ready::Ready;
use crate::resources::Resources;
use crate::service::{Event, Service};
use crate::spec::{Bind, ServiceSpec};
use crate::time::Timestamp;

/// All ways in which a job ends.
pub const OUTCOMES: [Outcome; 9] = [
    Outcome::Completed,
    Outcome::Cancelled,
    Outcome::TimeLimit,
    Outcome::Deadline,
    Outcome::Failed,
    Outcome::NodeFail,
    Outcome::BootFail,
    Outcome::OutOfMemory,
    Outcome::Preempted,
];

/// A service that was just asked for. Its id and its time are made from `n`: a greater `n` is a younger service.
///
/// # Panics
/// If `name` is no service's name.
pub fn sample_service(n: u32, name: &str) -> Service {
    let spec = ServiceSpec {
        name: name.parse().expect("a sample has a good name"),
        profile: "lab".to_owned(),
        command: vec!["serve".to_owned(), "--port".to_owned(), "{port}".to_owned()],
        setup: vec!["module load cuda".to_owned()],
        env: [("TOKEN".to_owned(), "it's \"secret\"\n\u{1f41f}".to_owned())].into(),
        secret: None,
        chdir: Some("/scratch/alice".to_owned()),
        container: None,
        bind: Bind::All,
        health: "/health".to_owned(),
        ready: Ready::default(),
        grace: Duration::from_millis(1500),
        resources: Resources {
            time: Some("1-00:00:00".to_owned()),
            cpus: Some(4),
            requeue: Some(false),
            submit_args: vec!["--nice=10".to_owned()],
            ..Resources::default()
        },
    };
    let terms = Terms::with_grace(spec.grace);
    let id = ServiceId::new(Uuid::from_u128(u128::from(n)));
    Service::new(id, spec, terms, Timestamp::from_secs(i64::from(n)))
}

/// A row of history at `secs` seconds.
pub fn sample_event(secs: i64, from: Option<Status>, to: Status) -> Event {
    Event { at: Timestamp::from_secs(secs), from, to, why: format!("it's {to} (\u{2192} \"why\")") }
}

/// Lives in every phase, with every cause of an end; in some of them everything is known that can be.
pub fn sample_lives() -> Vec<Life> {
    let start = Life::new(Terms::with_grace(Duration::from_secs(600)), at(1));
    let with = |phase: Phase| Life { phase, ..start.clone() };
    let mut lives = vec![
        start.clone(),
        with(Phase::Sending { since: at(2) }),
        with(Phase::Live { stage: Stage::Accepted, job: Job::accepted(JobId::new("4711")) }),
        with(Phase::Live { stage: Stage::Pending, job: queued_job() }),
        with(Phase::Live {
            stage: Stage::Starting,
            job: Job { state: Some(JobState::Configuring), ..running_job() },
        }),
        with(Phase::Live {
            stage: Stage::Starting,
            job: Job { state: Some(JobState::Suspended), ..running_job() },
        }),
        healthy(&start),
        with(Phase::Live {
            stage: Stage::Unhealthy,
            job: Job { state: Some(JobState::Leaving), ..running_job() },
        }),
    ];
    lives.extend(causes().into_iter().map(|(status, cause)| {
        with(Phase::Ended(Ending { status, cause, at: at(9), job: Some(running_job()), owes_cancel: false }))
    }));
    lives.extend([
        never_sent(&start),
        owing(&start),
        seen_to_end(&start),
        pinged(&start, Stage::Starting, Echo::NoRoute("forwarding is prohibited".to_owned())),
        pinged(&start, Stage::Healthy, Echo::Answered),
        requeued(&start),
        set_back(&start),
    ]);
    lives
}

const fn at(secs: i64) -> Timestamp {
    Timestamp::from_micros(secs * 1_000_000 + 1)
}

fn queued_job() -> Job {
    Job {
        state: Some(JobState::Queued),
        word: Some("PENDING".to_owned()),
        reason: Some("Resources".to_owned()),
        ..Job::accepted(JobId::new("4711"))
    }
}

fn place() -> Place {
    Place { host: "c1".to_owned(), port: 8000, pid: 99, listening: true, loopback: false }
}

fn running_job() -> Job {
    let run = Run {
        mark: Some(u64::MAX),
        since: at(3),
        before: Duration::from_secs(2),
        verified_at: Some(at(4)),
        ends_at: Some(at(3600)),
        place: Some(place()),
    };
    Job {
        state: Some(JobState::Running),
        word: Some("RUNNING".to_owned()),
        node: Some("c1".to_owned()),
        reason: None,
        run: Some(run),
        ..Job::accepted(JobId::new("4711"))
    }
}

fn healthy(start: &Life) -> Life {
    let handle = Some("/run/towline/ctl 127.0.0.1:40000".to_owned());
    let tunnel = Tunnel { host: "127.0.0.1".to_owned(), port: 40000, place: place(), handle };
    Life {
        phase: Phase::Live { stage: Stage::Healthy, job: running_job() },
        since: at(5),
        stop: Some(StopWish {
            asked_at: at(6),
            due: at(66),
            status: EndStatus::Timeout,
            cancelled_at: Some(at(67)),
            failed: Some(Doubt { since: at(68), last: at(69), count: 1, why: "busy".to_owned() }),
        }),
        tunnel: Some(TunnelRecord { tunnel, checked_at: at(5) }),
        local_port: Some(40000),
        tunnel_unwanted: true,
        ping: Some(PingRecord { at: at(5), echo: Echo::Silent("503".to_owned()), counted: true }),
        asked_at: Some(at(4)),
        looked_at: Some(at(4)),
        observed_at: Some(at(5)),
        absence: Some(Absence { since: at(6), told_since: Some(at(7)) }),
        doubt: Some(Doubt { since: at(6), last: at(8), count: 3, why: "no route to \"login\"".to_owned() }),
        ..start.clone()
    }
}

/// Stopped before anything was sent.
fn never_sent(start: &Life) -> Life {
    let (status, cause, at) = (EndStatus::Stopped, Cause::Requested, at(9));
    Life { phase: Phase::Ended(Ending { status, cause, at, job: None, owes_cancel: false }), ..start.clone() }
}

/// Ended, with a cancel and a tunnel that are still to be settled.
fn owing(start: &Life) -> Life {
    let (status, cause) = (EndStatus::Timeout, Cause::GraceSpent { grace: Duration::from_secs(600) });
    let ending = Ending { status, cause, at: at(9), job: Some(running_job()), owes_cancel: true };
    let tunnel = Tunnel { host: "c1".to_owned(), port: 8000, place: place(), handle: None };
    let tunnel = Some(TunnelRecord { tunnel, checked_at: at(5) });
    Life { phase: Phase::Ended(ending), tunnel, ..start.clone() }
}

/// Ended with its job, of whose end the scheduler told no more than that.
fn seen_to_end(start: &Life) -> Life {
    let end = JobEnd { outcome: Outcome::Completed, exit: None, reason: None };
    let job = Job { state: Some(JobState::Ended(end.clone())), run: None, ..running_job() };
    let (status, cause, at) = (end.status(), Cause::Job(end), at(9));
    let ending = Ending { status, cause, at, job: Some(job), owes_cancel: false };
    Life { phase: Phase::Ended(ending), ..start.clone() }
}

fn pinged(start: &Life, stage: Stage, echo: Echo) -> Life {
    let ping = PingRecord { at: at(5), counted: echo == Echo::Answered, echo };
    Life { phase: Phase::Live { stage, job: running_job() }, ping: Some(ping), ..start.clone() }
}

/// Back in the queue after its second run.
fn requeued(start: &Life) -> Life {
    let job = Job { over: Some(2), ..queued_job() };
    Life { phase: Phase::Live { stage: Stage::Pending, job }, ..start.clone() }
}

/// Verified at a time that has not come yet: the clock was set back.
fn set_back(start: &Life) -> Life {
    let run = running_job().run.map(|run| Run { verified_at: None, ..run });
    let job = Job { run, ..running_job() };
    Life { phase: Phase::Live { stage: Stage::Unhealthy, job }, ..start.clone() }
}

fn causes() -> Vec<(EndStatus, Cause)> {
    let mut causes = vec![
        (EndStatus::Stopped, Cause::Requested),
        (EndStatus::Timeout, Cause::GraceSpent { grace: Duration::from_millis(1500) }),
        (EndStatus::Failed, Cause::Refused("invalid partition 'x'".to_owned())),
        (EndStatus::Failed, Cause::NotSent("no route".to_owned())),
        (EndStatus::Failed, Cause::Vanished),
    ];
    causes.extend(OUTCOMES.into_iter().map(|outcome| {
        let exit = Some(ExitStatus { code: 137, signal: Some(9) });
        let end = JobEnd { outcome, exit, reason: Some("by 1000".to_owned()) };
        (end.status(), Cause::Job(end))
    }));
    causes
}
