//! Which statuses follow which, and on what evidence.

use proptest::prelude::*;
use towline_core::job::{ExitStatus, JobEnd, JobState, Outcome, Sight, Sighting};
use towline_core::lifecycle::{
    Action, Cause, Echo, EndStatus, Fact, Life, Phase, Ping, Refusal, Request, Status, StopWish, Submission,
    TunnelFact,
};
use towline_core::testing::strategies::{Moment, News, Step, doubt, pause, steps};
use towline_core::time::Timestamp;

use crate::support::{GRACE, TERMS, Turn, config, ended, more, report_in, told, trail, turns, without_jumps};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_terminal_status_never_moves_and_nothing_restarts_it(ended in ended(), after in steps(&TERMS)) {
        let Moment { life: end, .. } = ended.clone();
        let Phase::Ended(ending) = &end.phase else { panic!("{end:?}") };
        let mut moment = ended;
        for step in &after {
            if let News::Request(request) = &step.news {
                let refusal = Refusal::Ended { status: end.status(), at: ending.at };
                let looks = matches!(request, Request::Look | Request::LookNow);
                let expected = if looks { Ok(()) } else { Err(refusal) };
                prop_assert_eq!(moment.life.request(request, moment.now).map(|_| ()), expected);
            }
            moment = moment.after(step);
            let Moment { life, now } = &moment;
            prop_assert_eq!((life.status(), life.cause(), life.since), (end.status(), end.cause(), end.since));
            let job = |life: &Life| life.phase.job().map(|job| job.id.clone());
            prop_assert!(job(&end).is_none() || job(life) == job(&end));
            for action in life.plan(*now).actions {
                prop_assert!(matches!(action, Action::Cancel { .. } | Action::Close { .. }), "{action:?}");
            }
        }
    }

    #[test]
    fn only_an_answered_ping_makes_healthy(steps in steps(&TERMS), more in more()) {
        for Turn { before, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            if after.status() == Status::Healthy && before.status() != Status::Healthy {
                let News::Fact(Fact::Ping(ping)) = news else { panic!("{news:?} made {after:?}") };
                prop_assert!(counts(&before, ping, now), "{ping:?} at {now} made {after:?} of {before:?}");
                prop_assert!(after.ping.as_ref().is_some_and(|ping| ping.counted && ping.at == now));
            }
        }
    }

    #[test]
    fn a_ping_that_counts_makes_healthy(steps in steps(&TERMS), more in more()) {
        for Turn { before, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            if let News::Fact(Fact::Ping(ping)) = news && counts(&before, ping, now) {
                prop_assert_eq!(after.status(), Status::Healthy);
                prop_assert_eq!((after.observed_at, &after.doubt, after.absence), (Some(now), &None, None));
            }
        }
    }

    #[test]
    fn starting_never_becomes_unhealthy(steps in steps(&TERMS), more in more()) {
        for Turn { before, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            let starting = before.status() == Status::Starting;
            prop_assert!(!starting || after.status() != Status::Unhealthy, "{news:?} at {now} on {before:?}");
        }
    }

    #[test]
    fn unhealthy_only_after_healthy(steps in steps(&TERMS), more in more()) {
        for Turn { before, news, after, .. } in turns(&steps, &trail(&steps), &more) {
            let was = matches!(before.status(), Status::Healthy | Status::Unhealthy);
            prop_assert!(was || after.status() != Status::Unhealthy, "{news:?} on {before:?}");
            let answers = after.ping.as_ref().is_some_and(|ping| ping.counted);
            prop_assert!(after.status() != Status::Unhealthy || !answers, "{after:?}");
        }
    }

    #[test]
    fn failed_and_job_caused_timeout_only_on_evidence_that_the_job_ended_so_never_on_doubt(
        steps in steps(&TERMS),
        more in more(),
        doubts in prop::collection::vec((pause(), doubt()), 1..6),
    ) {
        let trail = trail(&steps);
        let told = told(&steps, &trail);
        for turn in turns(&steps, &trail, &more) {
            if let Phase::Ended(ending) = &turn.after.phase && !turn.before.status().is_terminal() {
                prop_assert_eq!((ending.at, turn.after.since), (turn.now, turn.now));
                let founded = is_founded(&turn, ending.status, &ending.cause, &turn.told_before(&told));
                prop_assert!(founded, "{:?} at {} ended {:?}", turn.news, turn.now, turn.before);
            }
        }
        for Moment { life, now } in trail.iter().filter(|moment| !moment.life.status().is_terminal()) {
            let mut now = *now;
            for (wait, fact) in &doubts {
                now = now.plus(*wait);
                let doubted = life.observe(fact, now);
                let (from, to) = (life.status(), doubted.status());
                // Of a stopped service whose submission was not sent, there is no job to wait for.
                let no_job = matches!(fact, Fact::Submission(Submission::NotSent(_))) && life.stop.is_some();
                let silent = from == Status::Healthy && to == Status::Unhealthy;
                prop_assert!(from == to || silent || no_job, "{fact:?} moved {from} to {to}");
            }
        }
    }

    #[test]
    fn a_grace_timeout_only_after_a_ping_through_a_working_tunnel_and_a_full_grace_period_of_running(
        steps in steps(&TERMS),
        more in more(),
    ) {
        // The scheduler's own count of a run's time and clocks that jump are a law of their own.
        let steps = uncounted(without_jumps(steps));
        let more: Vec<_> = more.into_iter().map(|(wait, news)| (wait, uncounted_news(news))).collect();
        let trail = trail(&steps);
        let told = told(&steps, &trail);
        for turn in turns(&steps, &trail, &more) {
            let (Some(Cause::GraceSpent { grace }), None) = (turn.after.cause(), turn.before.cause()) else {
                continue;
            };
            prop_assert_eq!((turn.before.status(), turn.after.status()), (Status::Starting, Status::Timeout));
            prop_assert_eq!(*grace, GRACE);
            let mut past = turn.told_before(&told);
            past.push((turn.now, turn.news));
            let (began, verified) = unbroken_run(&past, &turn.after).unwrap();
            prop_assert!(verified >= began.plus(GRACE) && turn.now.since(verified) <= TERMS.verify);
            let (pinged, silent) = last_ping(&past, &turn.after).unwrap();
            prop_assert!(silent && pinged >= began.plus(GRACE), "pinged at {pinged}, ran since {began}");
            prop_assert!(verified >= pinged, "pinged at {pinged}, last known to run at {verified}");
        }
    }

    #[test]
    fn a_submission_is_made_again_only_if_it_was_not_sent_or_missed_for_the_settling_time(
        steps in steps(&TERMS),
        more in more(),
    ) {
        let trail = trail(&steps);
        let told = told(&steps, &trail);
        for turn in turns(&steps, &trail, &more) {
            let sent = matches!(turn.before.phase, Phase::Sending { .. });
            match turn.news {
                _ if !sent || turn.after.phase != Phase::Intent => {}
                News::Fact(Fact::Submission(Submission::NotSent(_))) => {}
                News::Fact(Fact::Job(Sighting { sight: Sight::Absent, at, .. })) => {
                    let past = turn.told_before(&told);
                    let sends = |news: &News| {
                        let unclear = matches!(news, News::Fact(Fact::Submission(Submission::Unclear(_))));
                        unclear || matches!(news, News::Fact(Fact::Submitting))
                    };
                    let is_answer = |news: &News| matches!(news, News::Fact(Fact::Submission(Submission::NotSent(_))));
                    let failed = past.iter().rposition(|(_, news)| is_answer(news)).unwrap_or(0);
                    let sent = failed + past[failed..].iter().position(|(_, news)| sends(news)).unwrap();
                    prop_assert!(was_missed(&past[sent..], &turn.before, turn.now, *at), "{:?}", turn.before);
                }
                news => prop_assert!(false, "{news:?} brought it about"),
            }
        }
    }

    #[test]
    fn every_change_of_status_is_one_of_the_contract(steps in steps(&TERMS), more in more()) {
        for Turn { before, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            let (from, to) = (before.status(), after.status());
            let allowed = match to {
                Status::Submitted => false,
                Status::Pending | Status::Starting => {
                    matches!(from, Status::Submitted | Status::Pending | Status::Starting)
                }
                Status::Unhealthy => from == Status::Healthy,
                Status::Healthy | Status::Stopped | Status::Timeout | Status::Failed => !from.is_terminal(),
            };
            prop_assert!(from == to || allowed, "{news:?} moved {from} to {to}");
            prop_assert_eq!(after.since, if from == to { before.since } else { now });
        }
    }
}

/// Whether a ping counts by the contract: an answer from the place that the present run has published, while the
/// scheduler's word that the job runs is good and its time limit is not over.
fn counts(life: &Life, ping: &Ping, now: Timestamp) -> bool {
    let Phase::Live { job, .. } = &life.phase else { return false };
    let Some(run) = &job.run else { return false };
    let here = run.place.as_ref().is_some_and(|place| {
        place.listening && (&place.host, place.port) == (&ping.place.host, ping.place.port)
    });
    // A word from the near future comes from a clock that was set back a little.
    let fresh = run.verified_at.is_some_and(|at| at <= now.plus(TERMS.fresh) && now <= at.plus(TERMS.verify));
    let in_time = run.ends_at.is_none_or(|ends_at| now < ends_at);
    ping.echo == Echo::Answered && here && fresh && in_time
}

/// Whether what was told bears out that the service ended so; `past` is what was told before.
fn is_founded(turn: &Turn<'_>, status: EndStatus, cause: &Cause, past: &[(Timestamp, &News)]) -> bool {
    let Turn { before, news, .. } = turn;
    match (cause, news) {
        (Cause::Requested, News::Request(Request::Stop { status: wished, .. })) => {
            before.phase == Phase::Intent && *wished == status
        }
        (Cause::Requested, News::Fact(fact)) => {
            let wished = before.stop.as_ref().filter(|stop| stop.status == status);
            wished.is_some_and(|stop| match fact {
                Fact::Submission(Submission::NotSent(_)) => before.phase.job().is_none(),
                Fact::Job(sighting) => bears_out(stop, sighting, turn, past),
                _ => false,
            })
        }
        (Cause::Job(end), News::Fact(Fact::Job(sighting))) => {
            let missed = was_missed(past, before, turn.now, sighting.at);
            status == status_of(end.outcome) && tells_end(sighting, before, end, missed)
        }
        (Cause::GraceSpent { .. }, News::Fact(Fact::Job(_) | Fact::Ping(_))) => status == EndStatus::Timeout,
        (Cause::Refused(words), News::Fact(Fact::Submission(Submission::Refused(told)))) => {
            status == EndStatus::Failed && words == told && before.phase.job().is_none()
        }
        (Cause::NotSent(words), News::Request(Request::Abandon { why })) => {
            status == EndStatus::Failed && words == why && before.phase == Phase::Intent
        }
        (Cause::Vanished, News::Fact(Fact::Job(Sighting { sight: Sight::Absent, at, exit: None, .. }))) => {
            let live = matches!(before.phase, Phase::Live { .. }) && !before.is_cancelled();
            status == EndStatus::Failed && live && was_missed(past, before, turn.now, *at)
        }
        (_, News::Fact(_) | News::Request(_)) => false,
    }
}

/// Whether a look tells that a wish to stop is fulfilled: the job has ended and the scheduler has heard the cancel (or
/// somebody else's, once it was due), or there is none.
fn bears_out(stop: &StopWish, sighting: &Sighting, turn: &Turn<'_>, past: &[(Timestamp, &News)]) -> bool {
    let Turn { before, now, .. } = turn;
    let heard = stop.cancelled_at.is_some();
    match &sighting.sight {
        Sight::Seen(report) => {
            let JobState::Ended(end) = &report.state else { return false };
            let ours = before.phase.job().is_none_or(|job| job.id == report.id);
            // A wish from the future is due: the clock was set back.
            let due = stop.due <= *now || stop.asked_at > *now;
            ours && (heard || end.outcome == Outcome::Cancelled && due)
        }
        Sight::Absent => {
            let has_job = before.phase.job().is_some();
            was_missed(past, before, *now, sighting.at) && (heard || !has_job)
        }
        Sight::Unseen(_) => false,
    }
}

/// The status that each way of ending leads to, by the contract.
fn status_of(outcome: Outcome) -> EndStatus {
    match outcome {
        Outcome::Completed | Outcome::Cancelled => EndStatus::Stopped,
        Outcome::TimeLimit | Outcome::Deadline => EndStatus::Timeout,
        Outcome::Failed
        | Outcome::NodeFail
        | Outcome::BootFail
        | Outcome::OutOfMemory
        | Outcome::Preempted => EndStatus::Failed,
    }
}

/// Whether a look tells that the job has ended just so: the scheduler does or, if it has `missed` the job for the
/// settling time, the job's own record.
fn tells_end(sighting: &Sighting, before: &Life, end: &JobEnd, missed: bool) -> bool {
    match (&sighting.sight, sighting.exit) {
        (Sight::Seen(report), _) => {
            let ours = before.phase.job().is_none_or(|job| job.id == report.id);
            ours && report.state == JobState::Ended(end.clone())
        }
        (Sight::Absent, Some(exit)) => {
            let well = exit == ExitStatus { code: 0, signal: None };
            let outcome = if well { Outcome::Completed } else { Outcome::Failed };
            let live = matches!(before.phase, Phase::Live { .. });
            missed && live && (end.outcome, end.exit) == (outcome, Some(exit))
        }
        (Sight::Absent | Sight::Unseen(_), _) => false,
    }
}

/// Whether looks have missed the job since the settling time ago without a break, by both clocks.
fn was_missed(past: &[(Timestamp, &News)], life: &Life, now: Timestamp, told_now: Option<Timestamp>) -> bool {
    let looks = past.iter().rev().filter_map(|(at, news)| match news {
        News::Fact(Fact::Job(sighting)) => Some((*at, sighting)),
        News::Fact(_) | News::Request(_) => None,
    });
    let ours = |sighting: &Sighting| match &sighting.sight {
        Sight::Seen(report) => is_of_present_run(life, report.id.as_str(), report.run),
        Sight::Absent | Sight::Unseen(_) => true,
    };
    looks
        .filter(|(_, sighting)| ours(sighting))
        .take_while(|(_, sighting)| sighting.sight == Sight::Absent)
        .any(|(at, sighting)| {
            let theirs = match (sighting.at, told_now) {
                (Some(at), Some(now)) => at.plus(TERMS.settle) <= now,
                (at, now) => at == now,
            };
            theirs && at.plus(TERMS.settle) <= now
        })
}

/// Whether a report of that job, and of its run of that mark, is about the present run or a later one.
pub(crate) fn is_of_present_run(life: &Life, id: &str, mark: Option<u64>) -> bool {
    life.phase.job().is_some_and(|job| {
        let known = job.run.as_ref().and_then(|run| run.mark);
        let is_over = mark.is_some_and(|mark| known > Some(mark) || job.over >= Some(mark));
        job.id.as_str() == id && !is_over
    })
}

/// When looks began to say that the present run runs, without another word since, and when they said so last.
fn unbroken_run(past: &[(Timestamp, &News)], life: &Life) -> Option<(Timestamp, Timestamp)> {
    let mark = life.phase.job()?.run.as_ref()?.mark;
    let looks = past.iter().rev().filter_map(|(at, news)| Some((*at, report_in(news)?)));
    let mut running = looks
        .filter(|(_, report)| is_of_present_run(life, report.id.as_str(), report.run))
        .filter(|(_, report)| report.state != JobState::Leaving)
        .take_while(|(_, report)| report.state == JobState::Running && report.run == mark)
        .map(|(at, _)| at);
    let last = running.next()?;
    Some((running.last().unwrap_or(last), last))
}

/// When the server was last pinged where it listens, and whether that was silence over a working way.
fn last_ping(past: &[(Timestamp, &News)], life: &Life) -> Option<(Timestamp, bool)> {
    let place = life.phase.job()?.place()?;
    past.iter().rev().find_map(|(at, news)| match news {
        News::Fact(Fact::Ping(ping)) if ping.place.is_same_address(place) => {
            let unpublished = ping.echo == Echo::Answered && !place.listening;
            Some((*at, unpublished || matches!(ping.echo, Echo::Silent(_))))
        }
        News::Fact(Fact::Tunnel(TunnelFact::Unopened(_))) => Some((*at, false)),
        News::Fact(_) | News::Request(_) => None,
    })
}

/// The same news from a scheduler that does not count how long a run has lasted.
fn uncounted_news(mut news: News) -> News {
    if let News::Fact(Fact::Job(Sighting { sight: Sight::Seen(report), .. })) = &mut news {
        report.running_for = None;
    }
    news
}

fn uncounted(steps: Vec<Step>) -> Vec<Step> {
    steps.into_iter().map(|step| Step { news: uncounted_news(step.news), ..step }).collect()
}
