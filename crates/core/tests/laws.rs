//! Laws: what holds for every life, whatever is learnt in whatever order and however the clock jumps.

use std::time::Duration;

use proptest::prelude::*;
use towline_core::id::JobId;
use towline_core::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Place, Sight, Sighting};
use towline_core::lifecycle::{
    Action, CancelFact, Echo, EndStatus, Fact, Life, Ping, Request, Status, Submission, Terms, Tunnel,
    TunnelFact,
};
use towline_core::time::Timestamp;

/// One step of a life: how far the clock went (backwards too, in milliseconds), and what was learnt or wished then.
#[derive(Clone, Debug)]
struct Step {
    millis: i64,
    news: News,
}

#[derive(Clone, Debug)]
enum News {
    Fact(Fact),
    Request(Request),
}

fn place() -> impl Strategy<Value = Place> {
    (prop_oneof![4 => Just("c1"), 1 => Just("c2")], prop::bool::weighted(0.8)).prop_map(
        |(host, listening)| Place { host: host.into(), port: 20_000, pid: 1, listening, loopback: false },
    )
}

fn end() -> impl Strategy<Value = JobState> {
    let outcome = prop_oneof![
        Just(Outcome::Completed),
        Just(Outcome::Cancelled),
        Just(Outcome::TimeLimit),
        Just(Outcome::Failed)
    ];
    outcome.prop_map(|outcome| JobState::Ended(JobEnd { outcome, exit: None, reason: None }))
}

fn state() -> impl Strategy<Value = JobState> {
    prop_oneof![
        3 => Just(JobState::Queued),
        1 => Just(JobState::Configuring),
        12 => Just(JobState::Running),
        1 => Just(JobState::Suspended),
        1 => Just(JobState::Leaving),
        1 => end(),
    ]
}

fn report() -> impl Strategy<Value = Sight> {
    let id = prop_oneof![9 => Just("1"), 1 => Just("2")].prop_map(JobId::new);
    let mark = prop_oneof![1 => Just(None), 9 => (1_u64..3).prop_map(Some)];
    let secs = |limit: u64| prop::option::of((0..limit).prop_map(Duration::from_secs));
    (id, state(), mark, secs(900), secs(900)).prop_map(|(id, state, run, running_for, time_left)| {
        let (word, node, reason) = (String::new(), None, None);
        Sight::Seen(JobReport { id, state, word, node, reason, running_for, time_left, run })
    })
}

fn doubtful_sight() -> impl Strategy<Value = Fact> {
    Just(Fact::Job(Sighting::unseen("no answer")))
}

fn sighting() -> impl Strategy<Value = Fact> {
    let sight = prop_oneof![8 => report(), 1 => Just(Sight::Absent)];
    let exit = prop::option::weighted(0.1, Just(ExitStatus { code: 1, signal: None }));
    (sight, prop::option::weighted(0.8, place()), exit)
        .prop_map(|(sight, place, exit)| Fact::Job(Sighting { sight, place, exit, at: None }))
}

fn tunnel() -> impl Strategy<Value = Fact> {
    place().prop_map(|place| {
        let handle = Some("h".into());
        Fact::Tunnel(TunnelFact::Open(Tunnel { host: "127.0.0.1".into(), port: 40_000, place, handle }))
    })
}

fn ping() -> impl Strategy<Value = Fact> {
    let echo = prop_oneof![2 => Just(Echo::Answered), 1 => Just(Echo::Silent("refused".into()))];
    (place(), echo).prop_map(|(place, echo)| Fact::Ping(Ping { place, echo }))
}

/// What tells nothing for sure.
fn doubt() -> impl Strategy<Value = Fact> {
    let why = || "no route".to_owned();
    prop_oneof![
        doubtful_sight(),
        place().prop_map(move |place| Fact::Ping(Ping { place, echo: Echo::NoRoute(why()) })),
        Just(Fact::Submission(Submission::Unclear(why()))),
        Just(Fact::Submission(Submission::NotSent(why()))),
        Just(Fact::Tunnel(TunnelFact::Unopened(why()))),
        Just(Fact::Tunnel(TunnelFact::Unclosed(why()))),
        Just(Fact::Cancel(CancelFact::Failed(why()))),
    ]
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        1 => Just(Fact::Submitting),
        2 => Just(Fact::Submission(Submission::Accepted(JobId::new("1")))),
        8 => sighting(),
        3 => tunnel(),
        6 => ping(),
        3 => doubt(),
        1 => Just(Fact::Tunnel(TunnelFact::Closed)),
        1 => Just(Fact::Cancel(CancelFact::Accepted)),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let status = prop_oneof![Just(EndStatus::Stopped), Just(EndStatus::Failed)];
    let delay = prop_oneof![Just(0_u64), Just(30), Just(3_600)].prop_map(Duration::from_secs);
    prop_oneof![
        4 => Just(Request::Look),
        1 => (delay, status).prop_map(|(delay, status)| Request::Stop { delay, status }),
        1 => Just(Request::CloseTunnel),
        1 => Just(Request::OpenTunnel),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let millis = prop_oneof![
        4 => Just(0_i64),
        8 => 0..3_000_i64,
        4 => 0..70_000_i64,
        1 => 0..1_000_000_i64,
        1 => -1_000_000..0_i64,
    ];
    let news = prop_oneof![5 => fact().prop_map(News::Fact), 1 => request().prop_map(News::Request)];
    prop::collection::vec((millis, news).prop_map(|(millis, news)| Step { millis, news }), 0..40)
}

fn later(now: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_micros(now.as_micros() + millis * 1_000)
}

fn begin() -> (Life, Timestamp) {
    let now = Timestamp::from_secs(1_800_000_000);
    (Life::new(Terms::with_grace(Duration::from_secs(120)), now), now)
}

fn step(life: &Life, news: &News, now: Timestamp) -> Life {
    match news {
        News::Fact(fact) => life.observe(fact, now),
        News::Request(request) => life.request(request, now).unwrap_or_else(|_| life.clone()),
    }
}

fn walk(steps: &[Step]) -> (Life, Timestamp) {
    steps.iter().fold(begin(), |(life, now), Step { millis, news }| {
        let now = later(now, *millis);
        (step(&life, news, now), now)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_moves_an_end(before in steps(), after in steps()) {
        let (mut life, mut now) = walk(&before);
        let Some(cause) = life.cause().cloned() else { return Ok(()) };
        let (status, since) = (life.status(), life.since);
        for Step { millis, news } in &after {
            now = later(now, *millis);
            life = step(&life, news, now);
            prop_assert_eq!((life.status(), life.cause(), life.since), (status, Some(&cause), since));
        }
    }

    #[test]
    fn every_change_of_status_is_one_of_the_contract(steps in steps()) {
        let (mut life, mut now) = begin();
        for Step { millis, news } in &steps {
            now = later(now, *millis);
            let next = step(&life, news, now);
            let answered = matches!(news, News::Fact(Fact::Ping(Ping { echo: Echo::Answered, .. })));
            match (life.status(), next.status()) {
                (before, after) if before == after => {}
                (_, Status::Healthy) => {
                    prop_assert!(answered && next.ping.as_ref().is_some_and(|ping| ping.counted));
                }
                (before, Status::Unhealthy) => prop_assert_eq!(before, Status::Healthy),
                (before, Status::Submitted | Status::Pending | Status::Starting) => prop_assert!(
                    matches!(before, Status::Submitted | Status::Pending | Status::Starting)
                ),
                (_, Status::Stopped | Status::Timeout | Status::Failed) => {
                    prop_assert_eq!(next.since, now);
                    prop_assert!(next.cause().is_some());
                }
            }
            life = next;
        }
    }

    #[test]
    fn doubt_ends_no_service_that_may_have_a_job(steps in steps(), fact in doubt(), millis in 0..10_000_000_i64) {
        let (life, now) = walk(&steps);
        if life.status().is_terminal() {
            return Ok(());
        }
        let doubted = life.observe(&fact, later(now, millis));
        if life.stop.is_none() {
            prop_assert!(!doubted.status().is_terminal(), "{fact:?} ended {life:?}");
        }
        prop_assert!(life.phase.job().is_none() || doubted.status() == life.status() || life.status() == Status::Healthy);
    }

    #[test]
    fn a_fact_told_twice_says_no_more_than_once(steps in steps(), fact in fact()) {
        let (life, now) = walk(&steps);
        let once = life.observe(&fact, now);
        prop_assert_eq!(once.observe(&fact, now), once);
    }

    #[test]
    fn waiting_ends_and_never_spins(steps in steps(), jump in -1_000_000..1_000_000_i64) {
        let (life, now) = walk(&steps);
        let mut now = later(now, jump);
        let start = now;
        // Whenever nothing is to be done, the next time is later, and within two minutes something is.
        while now.since(start) <= Duration::from_secs(120) {
            let plan = life.plan(now);
            let Some(wake_at) = plan.wake_at else {
                prop_assert!(plan.actions.is_empty() && !life.is_unfinished(), "forgotten: {life:?}");
                return Ok(());
            };
            if !plan.actions.is_empty() {
                return Ok(());
            }
            prop_assert!(wake_at > now, "asks again at once for nothing: {life:?}");
            now = wake_at;
        }
        prop_assert!(false, "nothing is ever due: {life:?}");
    }

    #[test]
    fn what_was_planned_is_done_in_a_few_rounds(steps in steps(), jump in -1_000_000..1_000_000_i64) {
        let (mut life, now) = walk(&steps);
        let now = later(now, jump);
        for _ in 0..8 {
            let actions = life.plan(now).actions;
            if actions.is_empty() {
                return Ok(());
            }
            for action in &actions {
                life = unfortunate(&life, action, now);
            }
        }
        prop_assert!(life.plan(now).actions.is_empty(), "no end of {life:?}");
    }
}

/// What an action comes to when everything goes wrong.
fn unfortunate(life: &Life, action: &Action, now: Timestamp) -> Life {
    let why = || "broken".to_owned();
    let fact = match action {
        Action::Submit => {
            return life
                .observe(&Fact::Submitting, now)
                .observe(&Fact::Submission(Submission::NotSent(why())), now);
        }
        Action::Survey => Fact::Job(Sighting::unseen(why())),
        Action::Open { .. } => Fact::Tunnel(TunnelFact::Unopened(why())),
        Action::Ping { tunnel } => {
            Fact::Ping(Ping { place: tunnel.place.clone(), echo: Echo::NoRoute(why()) })
        }
        Action::Cancel { .. } => Fact::Cancel(CancelFact::Failed(why())),
        Action::Close { .. } => Fact::Tunnel(TunnelFact::Unclosed(why())),
    };
    life.observe(&fact, now)
}
