//! Verdicts that must not be wrong: late answers, stale words, stops at bad moments, and clocks that jump.

#![expect(clippy::unwrap_used, reason = "a wish that is refused has failed the test")]

use std::time::Duration;

use towline_core::id::JobId;
use towline_core::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Place, Sight, Sighting};
use towline_core::lifecycle::{
    Action, CancelFact, Cause, Echo, EndStatus, Fact, Life, Ping, Request, Status, Submission, Terms, Tunnel,
    TunnelFact,
};
use towline_core::time::Timestamp;

const GRACE: u64 = 600;

/// Seconds after the beginning of the story.
fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn place() -> Place {
    Place { host: "c1".into(), port: 20_000, pid: 1, listening: true, loopback: false }
}

fn seen(state: JobState) -> Fact {
    let running = state == JobState::Running;
    let report = JobReport {
        id: JobId::new("1"),
        word: String::new(),
        node: None,
        reason: None,
        running_for: None,
        time_left: None,
        run: running.then_some(1),
        state,
    };
    Fact::Job(Sighting { sight: Sight::Seen(report), place: running.then(place), exit: None, at: None })
}

/// The job runs for the `mark`th time, and has done so for `secs` by the scheduler's own count.
fn running(mark: u64, secs: Option<u64>) -> Fact {
    let Fact::Job(mut sighting) = seen(JobState::Running) else { panic!("a look is a look") };
    if let Sight::Seen(report) = &mut sighting.sight {
        (report.run, report.running_for) = (Some(mark), secs.map(Duration::from_secs));
    }
    Fact::Job(sighting)
}

/// The `mark`th run of the job has ended.
fn ended(mark: u64, outcome: Outcome) -> Fact {
    let Fact::Job(mut sighting) = seen(JobState::Ended(JobEnd { outcome, exit: None, reason: None })) else {
        panic!("a look is a look")
    };
    if let Sight::Seen(report) = &mut sighting.sight {
        report.run = Some(mark);
    }
    Fact::Job(sighting)
}

fn absent() -> Fact {
    Fact::Job(Sighting::absent(None))
}

fn ping(echo: Echo) -> Fact {
    Fact::Ping(Ping { place: place(), echo })
}

fn silence() -> Fact {
    ping(Echo::Silent("refused".into()))
}

fn sending() -> Life {
    Life::new(Terms::with_grace(Duration::from_secs(GRACE)), at(0)).observe(&Fact::Submitting, at(0))
}

fn starting() -> Life {
    let accepted = sending().observe(&Fact::Submission(Submission::Accepted(JobId::new("1"))), at(0));
    accepted.observe(&seen(JobState::Running), at(0))
}

fn healthy() -> Life {
    starting().observe(&ping(Echo::Answered), at(0))
}

fn stop(life: &Life, delay: u64, now: Timestamp) -> Life {
    let delay = Duration::from_secs(delay);
    life.request(&Request::Stop { delay, status: EndStatus::Stopped }, now).unwrap()
}

fn cancels(life: &Life, now: Timestamp) -> bool {
    life.plan(now).actions.contains(&Action::Cancel { job: JobId::new("1") })
}

#[test]
fn an_answer_after_the_grace_period_is_no_silence() {
    // The scheduler was last heard after the grace period; the way to the server came back before it did.
    let late = starting().observe(&seen(JobState::Running), at(700)).observe(&ping(Echo::Answered), at(800));
    assert_eq!(late.status(), Status::Starting);
    let verified = late.observe(&seen(JobState::Running), at(801));
    assert_eq!(verified.status(), Status::Starting);
    assert_eq!(verified.observe(&ping(Echo::Answered), at(801)).status(), Status::Healthy);
    let silent = verified.observe(&silence(), at(801)).observe(&seen(JobState::Running), at(802));
    assert_eq!(silent.status(), Status::Timeout);
}

#[test]
fn silence_of_a_run_that_was_over_by_then_is_no_verdict() {
    let late = starting().observe(&seen(JobState::Running), at(700));
    let silent = late.observe(&silence(), at(701));
    assert_eq!(silent.status(), Status::Starting, "it may have been requeued since the last look");
    assert_eq!(silent.observe(&seen(JobState::Queued), at(702)).status(), Status::Pending);
    assert_eq!(silent.observe(&seen(JobState::Running), at(702)).status(), Status::Timeout);
}

#[test]
fn grace_counts_from_the_moment_the_job_began_to_run() {
    // Nobody looked until it had run for all but ten seconds of its grace period.
    let first = sending().observe(&running(1, Some(GRACE - 10)), at(1_000));
    let verdict = |secs: u64| {
        let now = at(1_000).plus(Duration::from_secs(secs));
        first.observe(&silence(), now).observe(&running(1, Some(GRACE - 10 + secs)), now).status()
    };
    assert_eq!((verdict(9), verdict(10)), (Status::Starting, Status::Timeout));
}

#[test]
fn a_ping_and_a_look_of_two_processes_spend_no_grace_together() {
    let late = starting().observe(&seen(JobState::Running), at(700)).observe(&silence(), at(701));
    let looked = late.observe_late(&seen(JobState::Running), at(700), at(702), at(703));
    assert_eq!(looked, late, "the job may have ended after that look, and the server with it");
    assert_eq!(late.observe(&seen(JobState::Running), at(704)).status(), Status::Timeout);
}

#[test]
fn an_answer_that_nobody_has_claimed_yet_is_neither_health_nor_silence() {
    let told = |listening| {
        let Fact::Job(sighting) = seen(JobState::Running) else { unreachable!() };
        Fact::Job(Sighting { place: Some(Place { listening, ..place() }), ..sighting })
    };
    let late = sending().observe(&told(false), at(0)).observe(&told(false), at(700));
    let answered = late.observe(&ping(Echo::Answered), at(701));
    assert_eq!(answered.status(), Status::Starting, "it may be the server, come up since the last look");
    let published = answered.observe(&told(true), at(702)).observe(&ping(Echo::Answered), at(702));
    assert_eq!(published.status(), Status::Healthy);
    assert_eq!(answered.observe(&told(false), at(702)).status(), Status::Timeout, "a stranger has the port");
}

#[test]
fn silence_times_out_only_on_a_fresh_word_that_the_job_runs() {
    let stale = starting().observe(&seen(JobState::Running), at(700)).observe(&silence(), at(4_000));
    assert_eq!(stale.status(), Status::Starting, "it may be suspended or back in the queue by now");
    assert_eq!(stale.observe(&seen(JobState::Queued), at(4_001)).status(), Status::Pending);
    assert_eq!(stale.observe(&seen(JobState::Running), at(4_001)).status(), Status::Timeout);
}

#[test]
fn a_stop_that_was_heard_is_not_overtaken_by_the_grace_period() {
    let stopping = stop(&starting(), 0, at(1)).observe(&Fact::Cancel(CancelFact::Accepted), at(1));
    let waited = stopping.observe(&seen(JobState::Running), at(700)).observe(&silence(), at(700));
    assert_eq!(waited.status(), Status::Starting);
    let cancelled = JobState::Ended(JobEnd { outcome: Outcome::Cancelled, exit: None, reason: None });
    assert_eq!(waited.observe(&seen(cancelled), at(701)).cause(), Some(&Cause::Requested));
    let silent = starting().observe(&silence(), at(700));
    let after = |delay| stop(&silent, delay, at(700)).observe(&seen(JobState::Running), at(701)).status();
    assert_eq!((after(0), after(60)), (Status::Starting, Status::Timeout), "nor one that is due");
}

#[test]
fn a_stopped_submission_is_not_made_again() {
    let not_sent = Fact::Submission(Submission::NotSent("no route".into()));
    let stopped = stop(&sending(), 3_600, at(1)).observe(&not_sent, at(2));
    assert_eq!((stopped.status(), stopped.cause()), (Status::Stopped, Some(&Cause::Requested)));
    let unstopped = sending().observe(&not_sent, at(2));
    assert_eq!(unstopped.plan(at(10)).actions, [Action::Submit]);
}

#[test]
fn a_job_that_is_accepted_after_the_end_is_cancelled() {
    let stopped = stop(&sending(), 0, at(1)).observe(&absent(), at(2)).observe(&absent(), at(302));
    assert_eq!((stopped.status(), cancels(&stopped, at(302))), (Status::Stopped, false));
    let accepted = stopped.observe(&Fact::Submission(Submission::Accepted(JobId::new("1"))), at(303));
    assert_eq!((accepted.status(), cancels(&accepted, at(303))), (Status::Stopped, true));
}

#[test]
fn a_job_that_vanished_after_its_cancel_was_heard_ends_as_wished() {
    let wished = stop(&healthy(), 0, at(1));
    let gone = |life: &Life| life.observe(&absent(), at(2)).observe(&absent(), at(302));
    let heard = gone(&wished.observe(&Fact::Cancel(CancelFact::Accepted), at(1)));
    assert_eq!((heard.status(), heard.cause()), (Status::Stopped, Some(&Cause::Requested)));
    let unheard = gone(&wished.observe(&Fact::Cancel(CancelFact::Failed("no route".into())), at(1)));
    assert_eq!((unheard.status(), unheard.cause()), (Status::Failed, Some(&Cause::Vanished)));
}

#[test]
fn a_later_wish_does_not_forget_that_a_cancel_was_heard() {
    let heard = stop(&healthy(), 0, at(1)).observe(&Fact::Cancel(CancelFact::Accepted), at(1));
    let delay = Duration::from_secs(3_600);
    let changed = heard.request(&Request::Stop { delay, status: EndStatus::Failed }, at(2)).unwrap();
    let cancelled = JobState::Ended(JobEnd { outcome: Outcome::Cancelled, exit: None, reason: None });
    let ended = changed.observe(&seen(cancelled), at(3));
    assert_eq!((ended.status(), ended.cause()), (Status::Failed, Some(&Cause::Requested)));
}

#[test]
fn an_answer_that_outlived_the_schedulers_word_is_had_again_at_once() {
    let late = healthy().observe(&ping(Echo::Answered), at(61));
    assert_eq!(late.status(), Status::Unhealthy);
    let tunnel = Tunnel { host: "127.0.0.1".into(), port: 40_000, place: place(), handle: Some("h".into()) };
    let verified = late.observe(&seen(JobState::Running), at(61));
    let open = verified.observe(&Fact::Tunnel(TunnelFact::Open(tunnel.clone())), at(61));
    assert_eq!(open.plan(at(61)).actions, [Action::Ping { tunnel }]);
}

#[test]
fn a_cancel_that_keeps_failing_is_not_repeated_at_once() {
    let failed = Fact::Cancel(CancelFact::Failed("no route".into()));
    let unheard = stop(&healthy(), 0, at(0)).observe(&failed, at(0));
    assert!(!cancels(&unheard, at(0)) && cancels(&unheard, at(1)));
    let heard = stop(&healthy(), 0, at(0)).observe(&Fact::Cancel(CancelFact::Accepted), at(0));
    assert!(!cancels(&heard, at(59)) && cancels(&heard, at(60)), "it shows no effect");
    let again = heard.observe(&failed, at(60));
    assert!(!cancels(&again, at(60)) && cancels(&again, at(61)));
}

#[test]
fn a_tunnel_that_cannot_be_closed_is_not_tried_again_at_once() {
    let tunnel = Tunnel { host: "127.0.0.1".into(), port: 40_000, place: place(), handle: Some("h".into()) };
    let open = healthy().observe(&Fact::Tunnel(TunnelFact::Open(tunnel.clone())), at(0));
    let unwanted = open.request(&Request::CloseTunnel, at(0)).unwrap();
    assert_eq!(unwanted.plan(at(0)).actions, [Action::Close { tunnel }]);
    let unclosed = unwanted.observe(&Fact::Tunnel(TunnelFact::Unclosed("stuck".into())), at(0));
    assert_eq!(unclosed.plan(at(0)).actions, []);
    assert_eq!(unclosed.plan(at(1)).actions.len(), 1);
}

#[test]
fn a_clock_that_was_ahead_holds_up_nothing() {
    let ahead = at(1_000_000);
    let asked = healthy().request(&Request::Look, ahead).unwrap();
    assert_eq!(asked.plan(at(1)).actions, [], "nobody has asked yet, and all is known");

    assert!(cancels(&stop(&healthy(), 0, ahead), at(1)));
    assert!(cancels(&stop(&healthy(), 60, ahead), at(1)));
    assert!(
        !cancels(&stop(&healthy(), 60, at(61)), at(1)),
        "a step back of no more than the delay is no reason to hurry"
    );
    let failed = Fact::Cancel(CancelFact::Failed("no route".into()));
    assert!(cancels(&stop(&healthy(), 0, ahead).observe(&failed, ahead), at(1)));
    let heard = stop(&healthy(), 0, ahead).observe(&Fact::Cancel(CancelFact::Accepted), ahead);
    assert!(cancels(&heard, at(1)), "whenever it was heard, it shows no effect");

    let missed = healthy().observe(&absent(), ahead).observe(&absent(), at(1)).observe(&absent(), at(301));
    assert_eq!(missed.cause(), Some(&Cause::Vanished));

    let began = sending().observe(&seen(JobState::Running), ahead);
    let back = began.observe(&seen(JobState::Running), at(1)).observe(&silence(), at(601));
    assert_eq!(back.observe(&seen(JobState::Running), at(601)).status(), Status::Timeout);
}

#[test]
fn a_clock_that_jumps_forward_spends_no_grace() {
    let day = 86_400;
    let after_jump = |secs| running(1, Some(secs));
    let jumped = starting().observe(&silence(), at(day)).observe(&after_jump(5), at(day));
    let silent = jumped.observe(&silence(), at(day));
    assert_eq!(silent.status(), Status::Starting, "it has run for 5 s");
    let spent = silent.observe(&silence(), at(day + 600)).observe(&after_jump(605), at(day + 600));
    assert_eq!(spent.status(), Status::Timeout);
}

#[test]
fn a_clock_that_jumps_forward_settles_no_absence() {
    let missed = |secs| Fact::Job(Sighting::absent(Some(Timestamp::from_secs(secs))));
    let sent = sending().observe(&missed(7_000), at(1));
    let jumped = sent.observe(&missed(7_002), at(86_400));
    assert_eq!((jumped.status(), jumped.plan(at(86_400)).actions), (Status::Submitted, vec![]));
    let settled = jumped.observe(&missed(7_300), at(86_700));
    assert_eq!(settled.plan(at(86_700)).actions, [Action::Submit]);

    let lost = healthy().observe(&missed(7_000), at(1)).observe(&missed(7_002), at(86_400));
    assert!(!lost.status().is_terminal(), "the cluster has missed it for 2 s");
    assert_eq!(lost.observe(&missed(7_300), at(86_700)).cause(), Some(&Cause::Vanished));
    let restarted = lost.observe(&missed(100), at(86_700));
    assert!(!restarted.status().is_terminal(), "a cluster whose clock went back is asked again");
    assert_eq!(restarted.observe(&missed(400), at(87_000)).cause(), Some(&Cause::Vanished));
}

#[test]
fn a_ping_of_before_the_clock_went_back_says_nothing_of_what_comes_after() {
    let pinged = starting().observe(&silence(), at(700));
    let back = pinged.observe(&running(1, Some(10)), at(10));
    let over = back.observe(&running(1, Some(700)), at(700));
    assert_eq!(over.status(), Status::Starting, "the server was not pinged since it has run for 10 s");
    assert_eq!(over.observe(&silence(), at(700)).status(), Status::Timeout);
}

#[test]
fn a_word_of_before_the_clock_went_back_is_not_fresh_once_more() {
    let no_route = || ping(Echo::NoRoute("no route".into()));
    // Five minutes later, our clock shows the time of the last look again.
    let back = healthy().observe(&no_route(), at(-300)).observe(&ping(Echo::Answered), at(10));
    assert_eq!(back.status(), Status::Unhealthy, "by now, somebody else may answer there");
    let verified = back.observe(&seen(JobState::Running), at(10)).observe(&ping(Echo::Answered), at(10));
    assert_eq!(verified.status(), Status::Healthy);

    let twice = healthy().observe(&no_route(), at(-300)).observe(&no_route(), at(-600));
    assert_eq!(twice.observe(&ping(Echo::Answered), at(-280)).status(), Status::Unhealthy);
    let a_little = healthy().observe(&ping(Echo::Answered), at(-2));
    assert_eq!(a_little.status(), Status::Healthy, "two machines' clocks differ by more");
}

#[test]
fn grace_begins_anew_when_a_job_runs_again_after_a_suspension() {
    let Fact::Job(mut sighting) = running(1, None) else { panic!("a look is a look") };
    if let Sight::Seen(report) = &mut sighting.sight {
        report.state = JobState::Suspended;
    }
    for count in [None, Some(900)] {
        let suspended = starting().observe(&Fact::Job(sighting.clone()), at(300));
        let resumed = suspended.observe(&running(1, count), at(1_000)).observe(&silence(), at(1_000));
        assert_eq!(resumed.status(), Status::Starting, "it may run again since a second");
        let jumped = resumed.observe(&silence(), at(90_000));
        let counted = jumped.observe(&running(1, count.map(|secs| secs + 5)), at(90_000));
        assert!(count.is_none() || counted.status() == Status::Starting, "it has run for 5 s since");
        let count = count.map(|secs| secs + 600);
        let spent = resumed.observe(&running(1, count), at(1_600)).observe(&silence(), at(1_600));
        assert_eq!(spent.status(), Status::Timeout);
    }
}

#[test]
fn an_earlier_run_is_over_once_the_job_was_requeued() {
    let requeued = starting().observe(&seen(JobState::Queued), at(10));
    for stale in [running(1, None), ended(1, Outcome::NodeFail)] {
        let told = requeued.observe(&stale, at(20));
        assert_eq!(told, Life { looked_at: Some(at(20)), ..requeued.clone() }, "it was of the first run");
    }
    assert_eq!(requeued.observe(&running(2, None), at(20)).status(), Status::Starting);
    assert_eq!(requeued.observe(&seen(JobState::Queued), at(20)).status(), Status::Pending);
    // Accounting may tell the end of the first run late.
    let twice = requeued.observe(&running(2, None), at(20)).observe(&seen(JobState::Queued), at(30));
    assert_eq!(twice.observe(&ended(2, Outcome::Preempted), at(40)).status(), Status::Pending);
    assert_eq!(twice.observe(&ended(3, Outcome::Preempted), at(40)).status(), Status::Failed);
}

#[test]
fn the_end_of_an_earlier_run_pays_no_debt() {
    let again = starting().observe(&running(2, None), at(10)).observe(&running(2, None), at(620));
    let spent = again.observe(&silence(), at(620));
    assert!(cancels(&spent, at(620)));
    assert!(
        cancels(&spent.observe(&ended(1, Outcome::NodeFail), at(621)), at(621)),
        "the second run goes on"
    );
    assert!(!cancels(&spent.observe(&ended(2, Outcome::NodeFail), at(621)), at(621)));
}

#[test]
fn what_became_of_a_tunnel_earlier_is_no_news() {
    let tunnel = |port| Tunnel { host: "127.0.0.1".into(), port, place: place(), handle: Some("h".into()) };
    let open = |port| Fact::Tunnel(TunnelFact::Open(tunnel(port)));
    let known = healthy().observe(&open(40_000), at(10));
    let late = |fact: &Fact| known.observe_late(fact, at(9), at(9), at(11));
    assert_eq!(late(&Fact::Tunnel(TunnelFact::Closed)), known, "it was opened again since");
    assert_eq!(late(&open(40_001)), known);
    let closed = known.observe_late(&Fact::Tunnel(TunnelFact::Closed), at(10), at(10), at(11));
    assert_eq!(closed.open_tunnel(), None);
    let ahead = known.observe_late(&open(40_001), at(9), at(9), at(8));
    assert_eq!(ahead.open_tunnel(), Some(&tunnel(40_001)), "what is known from the future may be long ago");
}

#[test]
fn an_absence_is_timed_by_one_clock() {
    let told = |secs| Fact::Job(Sighting::absent(Some(Timestamp::from_secs(secs))));
    let mixed = healthy().observe(&told(7_000), at(1)).observe(&absent(), at(86_400));
    assert!(!mixed.status().is_terminal(), "our clock alone may have jumped");
    assert_eq!(mixed.observe(&absent(), at(86_700)).cause(), Some(&Cause::Vanished));
    let mixed = healthy().observe(&absent(), at(1)).observe(&told(7_000), at(86_400));
    assert!(!mixed.status().is_terminal());
}

#[test]
fn a_record_of_an_end_is_believed_once_the_job_was_missed_for_the_settling_time() {
    // The first run of a requeued job leaves one too, and an empty answer of the queue misses the second.
    let exit = Some(ExitStatus { code: 143, signal: Some(15) });
    let missed = |secs| Fact::Job(Sighting { exit, ..Sighting::absent(Some(at(secs))) });
    let doubted = healthy().observe(&missed(1), at(1));
    assert!(!doubted.status().is_terminal());
    assert_eq!(doubted.observe(&seen(JobState::Queued), at(2)).status(), Status::Unhealthy);
    let ended = doubted.observe(&missed(301), at(301));
    assert!(
        matches!(ended.cause(), Some(Cause::Job(JobEnd { outcome: Outcome::Failed, exit: told, .. })) if *told == exit)
    );
}
