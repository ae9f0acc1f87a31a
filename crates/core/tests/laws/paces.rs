//! How long plans wait: for the next ping, the next look, and before what failed is tried again.

use std::time::Duration;

use towline_core::id::JobId;
use towline_core::job::{JobReport, JobState, Place, Sight, Sighting};
use towline_core::lifecycle::{
    Action, CancelFact, Echo, EndStatus, Fact, Life, Ping, Request, Status, Submission, Terms, Tunnel,
    TunnelFact,
};
use towline_core::time::Timestamp;

/// Milliseconds after the beginning.
const fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + millis * 1_000)
}

fn seen(state: JobState, listening: bool) -> Fact {
    let begun = state != JobState::Queued;
    let place = Place { host: "c1".into(), port: 20_000, pid: 1, listening, loopback: false };
    let report = JobReport {
        id: JobId::new("1"),
        state,
        word: String::new(),
        node: None,
        reason: None,
        running_for: None,
        time_left: None,
        run: begun.then_some(1),
    };
    let sight = Sight::Seen(report);
    Fact::Job(Sighting { sight, place: begun.then_some(place), exit: None, at: None })
}

fn pinged(echo: Echo) -> Fact {
    let place = Place { host: "c1".into(), port: 20_000, pid: 1, listening: true, loopback: false };
    Fact::Ping(Ping { place, echo })
}

fn silence() -> Fact {
    pinged(Echo::Silent("refused".into()))
}

fn unseen() -> Fact {
    Fact::Job(Sighting::unseen("no route"))
}

fn accepted() -> Life {
    let born = Life::new(Terms::with_grace(Duration::from_secs(86_400)), at(0));
    born.observe(&Fact::Submitting, at(0))
        .observe(&Fact::Submission(Submission::Accepted(JobId::new("1"))), at(0))
}

fn starting() -> Life {
    accepted().observe(&seen(JobState::Running, true), at(0))
}

fn healthy() -> Life {
    starting().observe(&pinged(Echo::Answered), at(0))
}

/// In how many milliseconds after `from` a life that waits then does something next, and what.
fn next(life: &Life, from: i64) -> (i64, Vec<Action>) {
    let mut now = at(from);
    for _ in 0..100 {
        let plan = life.plan(now);
        if !plan.actions.is_empty() {
            return ((now.as_micros() - at(from).as_micros()) / 1_000, plan.actions);
        }
        now = plan.wake_at.unwrap();
    }
    panic!("nothing is ever due: {life:?}");
}

/// In how many milliseconds after `from` the scheduler is asked next, if all pings until then come to the same.
fn next_survey(life: &Life, from: i64, echo: &Echo) -> i64 {
    let (mut life, mut now) = (life.clone(), from);
    for _ in 0..1_000 {
        let (wait, actions) = next(&life, now);
        now += wait;
        for action in actions {
            let fact = match action {
                Action::Survey => return now - from,
                Action::Open { place, .. } => Fact::Tunnel(TunnelFact::Open(Tunnel {
                    host: "127.0.0.1".into(),
                    port: 40_000,
                    place,
                    handle: None,
                })),
                Action::Ping { .. } => pinged(echo.clone()),
                other => panic!("{other:?} is not asked for"),
            };
            life = life.observe(&fact, at(now));
        }
    }
    panic!("the scheduler is never asked: {life:?}");
}

fn is_ping(actions: &[Action]) -> bool {
    matches!(actions, [Action::Open { .. }])
}

#[test]
fn a_server_is_pinged_as_often_as_its_status_asks_for() {
    let waits = [
        (starting().observe(&silence(), at(0)), 500),
        (healthy(), 5_000),
        (healthy().observe(&silence(), at(0)), 2_000),
    ];
    for (life, millis) in waits {
        let (waited, actions) = next(&life, 0);
        assert_eq!(waited, millis, "{:?}", life.status());
        assert!(is_ping(&actions), "{actions:?}");
    }
}

#[test]
fn the_scheduler_is_asked_the_less_often_the_longer_nothing_changes() {
    let no_answer = Echo::Silent("refused".into());
    assert_eq!(next(&accepted(), 0), (1_000, vec![Action::Survey]), "it was heard of just now");
    let queued = |millis| {
        accepted()
            .observe(&seen(JobState::Queued, false), at(0))
            .observe(&seen(JobState::Queued, false), at(millis))
    };
    for (since, wait) in [(0, 1_000), (10_000, 1_000), (35_000, 3_500), (100_000, 10_000), (900_000, 10_000)]
    {
        assert_eq!(next_survey(&queued(since), since, &no_answer), wait, "PENDING for {since} ms");
    }
    let silent = |millis| {
        starting().observe(&seen(JobState::Running, true), at(millis)).observe(&silence(), at(millis))
    };
    for (since, wait) in [(0, 1_000), (35_000, 3_500), (900_000, 10_000)] {
        assert_eq!(next_survey(&silent(since), since, &no_answer), wait, "STARTING for {since} ms");
    }
    let sick = healthy().observe(&silence(), at(0));
    for (since, wait) in [(0, 2_000), (100_000, 10_000), (900_000, 30_000)] {
        let seen = sick.observe(&seen(JobState::Running, true), at(since));
        let wait = (wait + 1_999) / 2_000 * 2_000;
        assert_eq!(next_survey(&seen, since, &no_answer), wait, "UNHEALTHY for {since} ms");
    }
}

#[test]
fn a_server_that_answers_needs_the_scheduler_once_a_verification_interval() {
    assert_eq!(next_survey(&healthy(), 0, &Echo::Answered), 60_000);
}

#[test]
fn the_scheduler_is_asked_often_while_a_server_answers_that_it_has_not_published_yet() {
    let unpublished = accepted().observe(&seen(JobState::Running, false), at(0));
    let late = unpublished
        .observe(&seen(JobState::Running, false), at(900_000))
        .observe(&pinged(Echo::Answered), at(900_000));
    assert_eq!(next_survey(&late, 900_000, &Echo::Answered), 1_000);
    // One that has published it and answers after its time limit is awaited to end.
    let Fact::Job(mut sighting) = seen(JobState::Running, true) else { panic!("a look is a look") };
    if let Sight::Seen(report) = &mut sighting.sight {
        report.time_left = Some(Duration::ZERO);
    }
    let over =
        accepted().observe(&seen(JobState::Running, true), at(0)).observe(&Fact::Job(sighting), at(900_000));
    let answered = over.observe(&pinged(Echo::Answered), at(900_000));
    assert_eq!(next_survey(&answered, 900_000, &Echo::Answered), 10_000);
}

#[test]
fn a_job_that_was_cancelled_is_looked_at_the_less_often_the_longer_that_takes() {
    let stop = Request::Stop { delay: Duration::ZERO, status: EndStatus::Stopped };
    let cancelled =
        healthy().request(&stop, at(0)).unwrap().observe(&Fact::Cancel(CancelFact::Accepted), at(0));
    for (since, wait) in [(0, 500), (2_500, 500), (20_000, 4_000), (45_000, 9_000), (58_000, 2_000)] {
        let leaving = cancelled.observe(&seen(JobState::Leaving, true), at(since));
        let (waited, actions) = next(&leaving, since);
        assert_eq!(waited, wait, "cancelled {since} ms ago");
        let again = vec![Action::Cancel { job: JobId::new("1") }];
        assert_eq!(actions, if since + wait < 60_000 { vec![Action::Survey] } else { again });
    }
}

#[test]
fn what_failed_is_tried_again_after_ever_longer_times() {
    let mut life = Life::new(Terms::with_grace(Duration::from_secs(600)), at(0));
    let mut now = 0;
    for secs in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        life = life.observe(&Fact::Submitting, at(now));
        life = life.observe(&Fact::Submission(Submission::NotSent("no route".into())), at(now));
        let (waited, actions) = next(&life, now);
        assert!((secs * 750..=secs * 1_000).contains(&waited), "{waited} ms");
        assert_eq!(actions, [Action::Submit]);
        assert_eq!(life.doubt.as_ref().map(|doubt| doubt.since), Some(at(0)), "the first failure was then");
        let early = life.observe(&Fact::Submitting, at(now + waited / 2));
        let early =
            early.observe(&Fact::Submission(Submission::NotSent("nor here".into())), at(now + waited / 2));
        assert_eq!(next(&early, now).0, waited, "what others tried before it was due puts nothing off");
        assert_eq!(early.doubt.unwrap().why, "nor here");
        // What was rounded down.
        now += waited + 1;
    }
    let failed =
        accepted().observe(&unseen(), at(0)).observe(&unseen(), at(10_000)).observe(&unseen(), at(20_000));
    let (waited, actions) = next(&failed, 20_000);
    assert!((3_000..=4_000).contains(&waited), "{waited} ms");
    assert_eq!(actions, [Action::Survey]);
    let answered = failed.observe(&seen(JobState::Queued, false), at(20_000));
    assert_eq!(next(&answered, 20_000), (1_000, vec![Action::Survey]), "it is heard again");
}

#[test]
fn who_asks_is_told_what_is_not_older_than_the_freshness_interval() {
    let asked =
        |life: &Life, millis| life.request(&Request::Look, at(millis)).unwrap().plan(at(millis)).actions;
    let checked = healthy().observe(&seen(JobState::Running, true), at(0));
    assert_eq!(asked(&checked, 1_999), []);
    assert!(is_ping(&asked(&checked, 2_000)));
    let queued = accepted().observe(&seen(JobState::Queued, false), at(100_000));
    let long = queued.observe(&seen(JobState::Queued, false), at(900_000));
    assert_eq!((asked(&long, 901_999), asked(&long, 902_000)), (vec![], vec![Action::Survey]));
    let stop = Request::Stop { delay: Duration::from_secs(60), status: EndStatus::Stopped };
    let stopped = |millis| long.request(&stop, at(millis)).unwrap().plan(at(millis)).actions;
    assert_eq!((stopped(901_999), stopped(902_000)), (vec![], vec![Action::Survey]), "so is who stops");
    let failed =
        accepted().observe(&unseen(), at(0)).observe(&unseen(), at(1_000)).observe(&unseen(), at(3_000));
    let (waited, _) = next(&failed, 3_000);
    assert!(waited > 2_000, "what failed is waited for longer");
    let due = 3_000 + waited;
    assert_eq!((asked(&failed, due - 1), asked(&failed, due + 1)), (vec![], vec![Action::Survey]));
    for millis in [3_001, 4_000] {
        let urgent = failed.request(&Request::LookNow, at(millis)).unwrap();
        let planned = urgent.plan(at(millis)).actions;
        assert_eq!((asked(&failed, millis), planned), (vec![], vec![Action::Survey]), "at once");
    }
}

#[test]
fn where_there_is_no_way_the_way_is_left_alone_as_long_as_the_scheduler() {
    let lost = Fact::Tunnel(TunnelFact::Unopened("no route".into()));
    let look = |life: Life, millis| life.observe(&lost, at(millis)).observe(&unseen(), at(millis));
    let cut_off = look(look(look(healthy(), 10_000), 12_000), 15_000);
    let (waited, actions) = next(&cut_off, 15_000);
    assert!((3_000..=4_000).contains(&waited), "{waited} ms");
    let asked =
        |life: &Life, millis| life.request(&Request::Look, at(millis)).unwrap().plan(at(millis)).actions;
    assert_eq!(asked(&cut_off, 15_000 + waited - 1), []);
    assert!(matches!(actions[..], [Action::Open { .. }]), "{actions:?}");
    let heard = cut_off.observe(&seen(JobState::Running, true), at(16_000));
    assert!(matches!(asked(&heard, 17_000)[..], [Action::Open { .. }]), "the scheduler answers again");
}

#[test]
fn failures_of_long_ago_say_nothing_of_the_next_one() {
    let failed = (0..8).fold(accepted(), |life, n| life.observe(&unseen(), at(n * 60_000)));
    assert_eq!(failed.doubt.as_ref().map(|doubt| doubt.count), Some(8));
    let late = failed.observe(&unseen(), at(7 * 60_000 + 600_000)).doubt.unwrap();
    assert_eq!((late.count, late.since), (1, at(0)));
    let soon = failed.observe(&unseen(), at(7 * 60_000 + 599_999)).doubt.unwrap();
    assert_eq!(soon.count, 9);
}

#[test]
fn a_server_that_answers_who_asks_needs_no_word_of_the_scheduler() {
    let asked = healthy().request(&Request::Look, at(30_000)).unwrap();
    assert!(is_ping(&asked.plan(at(30_000)).actions));
    let answered = asked.observe(&pinged(Echo::Answered), at(30_000));
    assert_eq!(answered.plan(at(30_000)).actions, []);
    let silent = asked.observe(&silence(), at(30_000));
    assert_eq!(silent.plan(at(30_000)).actions, [Action::Survey]);
}

#[test]
fn a_tunnel_is_made_sure_of_before_a_ping_goes_through_it() {
    let place = starting().phase.job().and_then(|job| job.place()).unwrap().clone();
    let tunnel = Tunnel { host: "127.0.0.1".into(), port: 40_000, place, handle: Some("h".into()) };
    let open = starting().observe(&Fact::Tunnel(TunnelFact::Open(tunnel.clone())), at(0));
    let ping = vec![Action::Ping { tunnel: tunnel.clone() }];
    assert_eq!((open.plan(at(0)).actions, open.plan(at(1_999)).actions), (ping.clone(), ping));
    let later = open.observe(&seen(JobState::Running, true), at(2_000)).plan(at(2_000)).actions;
    let Action::Open { place, local_port, before } = &later[0] else { panic!("{later:?}") };
    assert_eq!((place, *local_port, before), (&tunnel.place, Some(40_000), &Some(tunnel.clone())));
}

#[test]
fn the_schedulers_word_counts_to_the_end_of_the_verification_interval() {
    assert_eq!(healthy().observe(&pinged(Echo::Answered), at(60_000)).status(), Status::Healthy);
    assert_eq!(healthy().observe(&pinged(Echo::Answered), at(60_001)).status(), Status::Unhealthy);
}
