//! How services are stopped, and what an end still owes.

use std::time::Duration;

use proptest::prelude::*;
use towline_core::id::JobId;
use towline_core::job::{JobEnd, JobReport, JobState, Outcome, Sight, Sighting};
use towline_core::lifecycle::{
    Action, CancelFact, Cause, Echo, EndStatus, Fact, Life, Phase, Ping, Request, Run, Status, Submission,
    TunnelFact,
};
use towline_core::testing::strategies::{
    Moment, News, doubt, end_status, job_end, job_report, moment, pause, steps, tunnel,
};
use towline_core::time::Timestamp;

use crate::support::{TERMS, Turn, config, ended, more, trail, turns};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn from_every_phase_a_stop_that_the_scheduler_hears_ends_in_the_asked_terminal_status(
        Moment { life, now } in moment(&TERMS),
        status in end_status(),
        delay in prop_oneof![Just(0), 1..100_u64, Just(3_600)].prop_map(Duration::from_secs),
        cluster in cluster(),
    ) {
        let Ok(mut life) = life.request(&Request::Stop { delay, status }, now) else {
            prop_assert!(life.status().is_terminal());
            return Ok(());
        };
        let (mut cluster, mut now, asked_at, mut rounds) = (cluster, now, now, 0);
        while !life.status().is_terminal() {
            rounds += 1;
            let in_time = now.since(asked_at) <= delay + Duration::from_secs(1_000) && rounds < 20_000;
            prop_assert!(in_time, "never stopped: {life:?}");
            let plan = life.plan(now);
            for action in &plan.actions {
                let due = now >= asked_at.plus(delay) || life.is_cancelled();
                prop_assert!(due || !matches!(action, Action::Cancel { .. }), "cancelled {delay:?} too early");
                life = life.observe(&cluster.answer(action, &life, now), now);
            }
            now = if plan.actions.is_empty() { plan.wake_at.unwrap() } else { now };
        }
        let is_due = now >= asked_at.plus(delay);
        if is_due || !matches!(life.cause(), Some(Cause::GraceSpent { .. })) {
            prop_assert_eq!((life.status(), life.cause()), (Status::from(status), Some(&Cause::Requested)));
        }
        prop_assert_eq!(life.stop, None);
    }

    #[test]
    fn a_job_that_ends_before_a_stop_is_heard_ends_its_service_as_it_did(
        Moment { life, now } in moment(&TERMS),
        status in end_status(),
        (delay, early) in (1..100_000_u64, 1..100_000_u64),
        end in job_end(),
    ) {
        let delay = Duration::from_millis(delay);
        let Ok(wished) = life.request(&Request::Stop { delay, status }, now) else { return Ok(()) };
        let told = |by: Duration, end: &JobEnd| {
            let now = now.plus(delay).minus(by);
            wished.observe(&Fact::Job(tells(&wished, JobState::Ended(end.clone()))), now)
        };
        if wished.status().is_terminal() {
            return Ok(());
        }
        let by_itself = Some(Cause::Job(end.clone()));
        let cause = if wished.is_cancelled() { Some(Cause::Requested) } else { by_itself };
        let early = told(Duration::from_millis(early).min(delay), &end);
        prop_assert_eq!(early.cause(), cause.as_ref());
        // From then on, a cancel that somebody sent is ours as far as anybody can tell.
        let ours = end.outcome == Outcome::Cancelled || wished.is_cancelled();
        let due = told(Duration::ZERO, &end);
        prop_assert_eq!(due.cause(), if ours { Some(&Cause::Requested) } else { cause.as_ref() });
        prop_assert_eq!(due.status(), if ours { status.into() } else { Status::from(end.status()) });
    }

    #[test]
    fn a_cancel_is_planned_only_for_a_request_or_a_spent_grace_period(
        steps in steps(&TERMS),
        more in more(),
        pause in pause(),
    ) {
        for Turn { past, aside, news, now, after, .. } in turns(&steps, &trail(&steps), &more) {
            let asks = |news: &News| matches!(news, News::Request(Request::Stop { .. } | Request::Abandon { .. }));
            let asked = asks(news)
                || steps[..past].iter().any(|step| asks(&step.news))
                || aside.iter().any(|(_, news)| asks(news));
            let spent = matches!(after.cause(), Some(Cause::GraceSpent { .. }));
            // No scheduler both refuses a job and has it; if one does, see the next law.
            let refused = matches!(after.cause(), Some(Cause::Refused(_)));
            for now in [now, now.plus(pause)] {
                let Some(job) = cancelled_job(&after, now) else { continue };
                prop_assert_eq!(Some(&job), after.phase.job().map(|job| &job.id));
                prop_assert!(asked || spent || refused, "{job} is cancelled in {after:?}");
                prop_assert!(after.status().is_terminal() || after.stop.is_some(), "{after:?}");
            }
        }
    }

    #[test]
    fn a_job_that_turns_up_after_its_service_has_ended_is_cancelled_once(
        Moment { life, now } in ended(),
        told in prop_oneof![
            Just(Fact::Submission(Submission::Accepted(JobId::new("late")))),
            job_report().prop_map(|report| {
                let sight = Sight::Seen(JobReport { id: JobId::new("late"), ..report });
                Fact::Job(Sighting { sight, ..Sighting::unseen("") })
            }),
        ],
        wait in pause(),
    ) {
        let lives = !matches!(&told, Fact::Job(Sighting { sight: Sight::Seen(report), .. }) if report.state.has_ended());
        let owed = cancelled_job(&life, now.plus(wait));
        let after = life.observe(&told, now.plus(wait));
        let expected = if life.phase.job().is_none() && lives { Some(JobId::new("late")) } else { owed };
        prop_assert_eq!(cancelled_job(&after, now.plus(wait)), expected.clone());
        let heard = after.observe(&Fact::Cancel(CancelFact::Accepted), now.plus(wait));
        prop_assert!(cancelled_job(&heard, now.plus(wait)).is_none() && !owes_cancel(&heard));
        prop_assert_eq!(owes_cancel(&after), expected.is_some() || owes_cancel(&life));
    }

    #[test]
    fn entering_a_terminal_status_plans_the_closing_of_the_tunnel(
        steps in steps(&TERMS),
        more in more(),
        pauses in prop::collection::vec(pause(), 1..4),
        (tunnel, doubt) in (tunnel(), doubt()),
    ) {
        let trail = trail(&steps);
        for Turn { before, now, after, .. } in turns(&steps, &trail, &more) {
            if before.status().is_terminal() || !after.status().is_terminal() {
                continue;
            }
            prop_assert_eq!(after.open_tunnel(), before.open_tunnel());
            assert_closes(&after, now, &pauses)?;
        }
        // Nor does it matter that something else has failed just now.
        let not_sent = Fact::Submission(Submission::NotSent("no route".into()));
        let stop = Request::Stop { delay: Duration::ZERO, status: EndStatus::Stopped };
        for Moment { life, now } in &trail {
            let open = life.observe(&Fact::Tunnel(TunnelFact::Open(tunnel.clone())), *now);
            let failed = open.observe(&doubt, *now);
            let Ok(stopped) = failed.request(&stop, *now) else { continue };
            let ended = stopped.observe(&not_sent, *now);
            if ended.status().is_terminal() {
                assert_closes(&ended, *now, &pauses)?;
            }
        }
    }

    #[test]
    fn a_tunnel_that_turns_up_after_the_end_is_closed_as_well(
        Moment { life, now } in ended(),
        tunnel in tunnel(),
        pauses in prop::collection::vec(pause(), 1..4),
    ) {
        let life = life.observe(&Fact::Tunnel(TunnelFact::Open(tunnel)), now);
        let later = now.plus(Duration::from_secs(60));
        assert_closes(&life, later, &pauses)?;
    }
}

/// Whether a life that has ended plans to close its tunnel until that is done, at once and after each failure.
fn assert_closes(life: &Life, now: Timestamp, pauses: &[Duration]) -> Result<(), TestCaseError> {
    let close = life.open_tunnel().map(|tunnel| Action::Close { tunnel: tunnel.clone() });
    let closes = |life: &Life, now| {
        let mut actions = life.plan(now).actions.into_iter();
        actions.find(|action| matches!(action, Action::Close { .. }))
    };
    prop_assert_eq!(&closes(life, now), &close);
    let (mut life, mut now) = (life.clone(), now);
    for pause in pauses {
        life = life.observe(&Fact::Tunnel(TunnelFact::Unclosed("no answer".into())), now);
        prop_assert_eq!(life.is_unfinished(), close.is_some() || owes_cancel(&life));
        now = now.plus(*pause).plus(Duration::from_secs(60));
        prop_assert_eq!(&closes(&life, now), &close, "given up");
    }
    let closed = life.observe(&Fact::Tunnel(TunnelFact::Closed), now);
    prop_assert_eq!((closes(&closed, now), closed.is_unfinished()), (None, owes_cancel(&closed)));
    Ok(())
}

/// The job that a life plans to cancel.
fn cancelled_job(life: &Life, now: Timestamp) -> Option<JobId> {
    life.plan(now).actions.into_iter().find_map(|action| match action {
        Action::Cancel { job } => Some(job),
        Action::Submit
        | Action::Survey
        | Action::Open { .. }
        | Action::Ping { .. }
        | Action::Close { .. } => None,
    })
}

fn owes_cancel(life: &Life) -> bool {
    matches!(&life.phase, Phase::Ended(ending) if ending.owes_cancel)
}

/// A cluster whose scheduler hears what it is told in the end: it is deaf for a while, and slow to end a job.
#[derive(Clone, Debug)]
struct Cluster {
    /// Whether a submission whose answer is lost has made a job.
    has_job: bool,
    /// Questions that are not answered yet.
    deaf: u32,
    /// Where the job stands until it is cancelled.
    state: JobState,
    /// Looks that still see it leaving after that.
    leaving: u32,
    /// How it ends then; `None` if it is never heard of again.
    end: Option<JobEnd>,
    cancelled: bool,
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let state = job_report().prop_map(|report| report.state).prop_filter("alive", |state| !state.has_ended());
    let end = prop::option::weighted(0.8, job_end());
    (any::<bool>(), 0..6_u32, state, 0..3_u32, end).prop_map(|(has_job, deaf, state, leaving, end)| Cluster {
        has_job,
        deaf,
        state,
        leaving,
        end,
        cancelled: false,
    })
}

impl Cluster {
    fn answer(&mut self, action: &Action, life: &Life, now: Timestamp) -> Fact {
        let why = || "no route to host".to_owned();
        let hears = self.deaf == 0;
        match action {
            Action::Submit => panic!("a service that is stopped was submitted: {life:?}"),
            Action::Survey | Action::Cancel { .. } if !hears => {
                self.deaf -= 1;
                let unseen = Fact::Job(Sighting::unseen(why()));
                if *action == Action::Survey { unseen } else { Fact::Cancel(CancelFact::Failed(why())) }
            }
            Action::Survey => Fact::Job(Sighting { at: Some(now), ..self.look(life) }),
            Action::Cancel { .. } => {
                self.cancelled = true;
                Fact::Cancel(CancelFact::Accepted)
            }
            Action::Open { .. } => Fact::Tunnel(TunnelFact::Unopened(why())),
            Action::Ping { tunnel } => {
                Fact::Ping(Ping { place: tunnel.place.clone(), echo: Echo::NoRoute(why()) })
            }
            Action::Close { .. } => Fact::Tunnel(TunnelFact::Closed),
        }
    }

    fn look(&mut self, life: &Life) -> Sighting {
        let job = life.phase.job();
        if job.is_none() && !self.has_job {
            return Sighting::absent(None);
        }
        let state = match &self.end {
            _ if !self.cancelled => self.state.clone(),
            _ if self.leaving > 0 => {
                self.leaving -= 1;
                JobState::Leaving
            }
            Some(end) => JobState::Ended(end.clone()),
            None => return Sighting::absent(None),
        };
        tells(life, state)
    }
}

/// A look that sees the job of `life` in that state, in the run that is known.
fn tells(life: &Life, state: JobState) -> Sighting {
    let job = life.phase.job();
    let mark = job.and_then(|job| job.run.as_ref()).and_then(|run: &Run| run.mark).or(Some(99));
    let report = JobReport {
        id: job.map_or_else(|| JobId::new("1"), |job| job.id.clone()),
        word: String::new(),
        node: None,
        reason: None,
        running_for: None,
        time_left: None,
        run: mark.filter(|_| state != JobState::Queued),
        state,
    };
    Sighting { sight: Sight::Seen(report), ..Sighting::unseen("") }
}
