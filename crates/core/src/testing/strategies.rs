//! Strategies for property tests: random facts and wishes, and the random lives that come of them.
//!
//! Single values ([`fact`], [`sighting`], [`request`], ...) are drawn one by one and may contradict each other, since
//! folding is never illegal. Most of them speak of one job at one place, so that they meet in one life.
//!
//! A life is drawn as the [`Step`]s that build it. [`steps`] strings together scenes that do happen (a submission, an
//! answer, a requeue, a spent grace period, ...) and noise, under a clock that jumps, so that every phase and every end
//! is reached often. [`moment`] is the life at the end of such steps.
//!
//! ```
//! use std::time::Duration;
//!
//! use proptest::prelude::*;
//! use towline_core::lifecycle::Terms;
//! use towline_core::testing::strategies;
//!
//! let terms = Terms::with_grace(Duration::from_secs(120));
//! proptest!(|(moment in strategies::moment(&terms), fact in strategies::doubt())| {
//!     let doubted = moment.life.observe(&fact, moment.now);
//!     prop_assert!(doubted.status().is_terminal() <= (moment.life.status().is_terminal() || moment.life.stop.is_some()));
//! });
//! ```

use std::time::Duration;

use proptest::prelude::*;

pub use super::samples::OUTCOMES;
pub use super::scenes::{Moment, News, Step, clock_jump, moment, moments, pause, steps};
use crate::id::JobId;
use crate::job::{ExitStatus, JobEnd, JobReport, JobState, Place, Sight, Sighting};
use crate::lifecycle::{CancelFact, Echo, EndStatus, Fact, Ping, Request, Submission, Tunnel, TunnelFact};
use crate::time::Timestamp;

/// Any time at all, those that no calendar holds included.
pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros)
}

/// What a person may read: words with whatever a log, a locale or a terminal put into them.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just("no route to host".to_owned()),
        2 => Just("slurm_load_jobs error: Unable to contact slurm controller".to_owned()),
        1 => "\\PC{0,12}",
    ]
}

/// A job's id: mostly that of the one job, at times another's.
pub fn job_id() -> impl Strategy<Value = JobId> {
    prop_oneof![12 => Just("1"), 1 => Just("2")].prop_map(JobId::new)
}

/// The mark of a run: mostly the first, at times another, or untold. In [`steps`] it is told from the present run of
/// the job instead, which is the first: a later one follows it, and one that is marked 0 is over.
pub fn run_mark() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![16 => Just(Some(1)), 2 => Just(Some(2)), 2 => Just(Some(0)), 1 => Just(None)]
}

/// Where a server listens, or (more rarely) where it only means to.
pub fn place() -> BoxedStrategy<Place> {
    let host = prop_oneof![8 => Just("c1"), 1 => Just("c2")];
    let port = prop_oneof![8 => Just(20_000), 1 => Just(20_001)];
    (host, port, 0..3_u32, prop::bool::weighted(0.85), prop::bool::weighted(0.1))
        .prop_map(|(host, port, pid, listening, loopback)| Place {
            host: host.into(),
            port,
            pid,
            listening,
            loopback,
        })
        .boxed()
}

/// An end in any way, with or without an exit status and a reason.
pub fn job_end() -> BoxedStrategy<JobEnd> {
    (prop::sample::select(&OUTCOMES[..]), prop::option::of(exit_status()), prop::option::of(words()))
        .prop_map(|(outcome, exit, reason)| JobEnd { outcome, exit, reason })
        .boxed()
}

/// How a process ended: well, with a code, or by a signal.
pub fn exit_status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        2 => Just(ExitStatus { code: 0, signal: None }),
        1 => (1..=255_u8).prop_map(|code| ExitStatus { code, signal: None }),
        1 => (1..32_u8).prop_map(|signal| ExitStatus { code: 0, signal: Some(signal) }),
    ]
}

/// Any state of a job; mostly it runs.
pub fn job_state() -> BoxedStrategy<JobState> {
    prop_oneof![
        3 => Just(JobState::Queued),
        1 => Just(JobState::Configuring),
        12 => Just(JobState::Running),
        1 => Just(JobState::Suspended),
        1 => Just(JobState::Leaving),
        1 => job_end().prop_map(JobState::Ended),
    ]
    .boxed()
}

/// What a scheduler says of a job. Times are told or not, and need not agree with those of other reports.
pub fn job_report() -> BoxedStrategy<JobReport> {
    let secs = |limit: u64| prop::option::of((0..limit).prop_map(Duration::from_secs));
    let told = (prop::option::of(Just("c1".to_owned())), prop::option::of(words()));
    (job_id(), job_state(), run_mark(), told, secs(900), secs(900))
        .prop_map(|(id, state, run, (node, reason), running_for, time_left)| {
            let word = word_of(&state).to_owned();
            JobReport { id, state, word, node, reason, running_for, time_left, run }
        })
        .boxed()
}

/// The scheduler's word for a state, as Slurm would print it.
pub(super) const fn word_of(state: &JobState) -> &'static str {
    match state {
        JobState::Queued => "PENDING",
        JobState::Configuring => "CONFIGURING",
        JobState::Running => "RUNNING",
        JobState::Suspended => "SUSPENDED",
        JobState::Leaving => "COMPLETING",
        JobState::Ended(_) => "COMPLETED",
    }
}

/// One look at the scheduler: a report mostly, at times an absence (with or without an exit status) or no answer.
/// The scheduler's clock is not told; [`steps`] let it go on as time does.
pub fn sighting() -> BoxedStrategy<Sighting> {
    let seen =
        (job_report(), prop::option::weighted(0.8, place()), prop::option::weighted(0.1, exit_status()));
    prop_oneof![
        10 => seen.prop_map(|(report, place, exit)| Sighting { sight: Sight::Seen(report), place, exit, at: None }),
        2 => prop::option::weighted(0.1, exit_status())
            .prop_map(|exit| Sighting { exit, ..Sighting::absent(None) }),
        1 => words().prop_map(Sighting::unseen),
    ].boxed()
}

/// An open way to `place`: mostly a forward, at times a direct one that nothing holds open.
pub fn tunnel_to(place: Place) -> BoxedStrategy<Tunnel> {
    let forward = |port| Tunnel {
        host: "127.0.0.1".into(),
        port,
        place: place.clone(),
        handle: Some(format!("forward {port}")),
    };
    let direct = Tunnel { host: place.host.clone(), port: place.port, place: place.clone(), handle: None };
    prop_oneof![8 => Just(forward(40_000)), 1 => Just(forward(40_001)), 1 => Just(direct)].boxed()
}

/// An open way to some place.
pub fn tunnel() -> BoxedStrategy<Tunnel> {
    place().prop_flat_map(tunnel_to).boxed()
}

/// What comes back from a ping.
pub fn echo() -> impl Strategy<Value = Echo> {
    prop_oneof![
        3 => Just(Echo::Answered),
        2 => words().prop_map(Echo::Silent),
        1 => words().prop_map(Echo::NoRoute),
    ]
}

/// A ping of some place.
pub fn ping() -> BoxedStrategy<Ping> {
    (place(), echo()).prop_map(|(place, echo)| Ping { place, echo }).boxed()
}

/// Any answer to a submission; mostly it is accepted.
pub fn submission() -> BoxedStrategy<Submission> {
    prop_oneof![
        6 => job_id().prop_map(Submission::Accepted),
        1 => words().prop_map(Submission::Refused),
        1 => words().prop_map(Submission::NotSent),
        2 => words().prop_map(Submission::Unclear),
    ]
    .boxed()
}

/// Anything that a life may be told.
pub fn fact() -> BoxedStrategy<Fact> {
    prop_oneof![
        1 => Just(Fact::Submitting),
        2 => submission().prop_map(Fact::Submission),
        8 => sighting().prop_map(Fact::Job),
        3 => tunnel().prop_map(|tunnel| Fact::Tunnel(TunnelFact::Open(tunnel))),
        6 => ping().prop_map(Fact::Ping),
        1 => Just(Fact::Cancel(CancelFact::Accepted)),
        1 => Just(Fact::Tunnel(TunnelFact::Closed)),
        2 => doubt(),
    ]
    .boxed()
}

/// Facts that tell nothing for sure: what was tried came to nothing.
pub fn doubt() -> BoxedStrategy<Fact> {
    prop_oneof![
        3 => words().prop_map(|why| Fact::Job(Sighting::unseen(why))),
        2 => (place(), words()).prop_map(|(place, why)| Fact::Ping(Ping { place, echo: Echo::NoRoute(why) })),
        1 => words().prop_map(|why| Fact::Submission(Submission::Unclear(why))),
        1 => words().prop_map(|why| Fact::Submission(Submission::NotSent(why))),
        2 => words().prop_map(|why| Fact::Tunnel(TunnelFact::Unopened(why))),
        1 => words().prop_map(|why| Fact::Tunnel(TunnelFact::Unclosed(why))),
        1 => words().prop_map(|why| Fact::Cancel(CancelFact::Failed(why))),
    ]
    .boxed()
}

/// A way in which a user may want a service to end.
pub fn end_status() -> impl Strategy<Value = EndStatus> {
    prop::sample::select(&[EndStatus::Stopped, EndStatus::Timeout, EndStatus::Failed][..])
}

/// A wish to end a service: at once, soon, or in an hour.
pub fn stop() -> impl Strategy<Value = Request> {
    let delay =
        prop_oneof![3 => Just(0_u64), 1 => 1..120_u64, 1 => Just(3_600)].prop_map(Duration::from_secs);
    (delay, end_status()).prop_map(|(delay, status)| Request::Stop { delay, status })
}

/// Any wish; mostly somebody looks.
pub fn request() -> BoxedStrategy<Request> {
    prop_oneof![
        5 => Just(Request::Look),
        1 => Just(Request::LookNow),
        1 => stop(),
        1 => words().prop_map(|why| Request::Abandon { why }),
        1 => Just(Request::CloseTunnel),
        2 => Just(Request::OpenTunnel),
    ]
    .boxed()
}
