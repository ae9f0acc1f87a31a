//! Clocks that jump forwards by days or backwards by minutes, at any moment.

use std::time::Duration;

use proptest::prelude::*;
use towline_core::id::JobId;
use towline_core::job::{Sight, Sighting};
use towline_core::lifecycle::{Action, Cause, Echo, Fact, Life, Phase, Status, Submission};
use towline_core::time::Timestamp;

use crate::support::{GRACE, TERMS, config};
use crate::truth::{Deed, Stand, Truth, known_place, moves};

/// What a life was told, by the true time.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Since when each look has missed the job.
    missed_since: Option<Timestamp>,
    /// The last look that saw the job on its nodes.
    seen: Option<Seen>,
    /// How long the run of that mark had lasted when a look last saw it suspended.
    suspended: Option<(u64, Duration)>,
    /// Whether our clock has gone back behind that look, and was looked at then.
    noticed: bool,
    /// How far our clock was set back since that look.
    set_back: Duration,
    /// The last ping.
    ping: Option<(Timestamp, Echo)>,
}

/// A look that saw the job on its nodes.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When that was.
    at: Timestamp,
    /// When that was by our clock.
    ours: Timestamp,
    /// How long the job had run by then, since it was last seen suspended if it was.
    ran: Duration,
}

impl Told {
    fn hears(&mut self, fact: &Fact, truth: &Truth) {
        self.noticed |= self.seen.is_some_and(|seen| truth.ours.plus(TERMS.fresh) < seen.ours);
        match fact {
            Fact::Job(Sighting { sight: Sight::Absent, .. }) => {
                self.missed_since = self.missed_since.or(Some(truth.time));
            }
            Fact::Job(Sighting { sight: Sight::Unseen(_), .. }) => self.missed_since = None,
            Fact::Job(Sighting { sight: Sight::Seen(_), .. }) => {
                self.missed_since = None;
                self.sees(truth);
            }
            Fact::Ping(ping) => self.ping = Some((truth.time, ping.echo.clone())),
            Fact::Submitting | Fact::Submission(_) | Fact::Tunnel(_) | Fact::Cancel(_) => {}
        }
    }

    fn sees(&mut self, truth: &Truth) {
        match truth.stand {
            Stand::Running { .. } => {}
            Stand::Suspended => self.suspended = Some((truth.mark, truth.ran())),
            Stand::Queued | Stand::Ended(_) => return,
        }
        let idle =
            self.suspended.filter(|(mark, _)| *mark == truth.mark).map_or(Duration::ZERO, |(_, ran)| ran);
        self.seen = Some(Seen { at: truth.time, ours: truth.ours, ran: truth.ran() - idle });
        (self.noticed, self.set_back) = (false, Duration::ZERO);
    }
}

/// A service whose life is told the truth.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    truth: Truth,
    pub(crate) life: Life,
    told: Told,
}

impl Teller {
    pub(crate) fn new(answer_lost: bool) -> Self {
        let truth = Truth::new(!answer_lost);
        let answer = match answer_lost {
            true => Submission::Unclear("connection reset".into()),
            false => Submission::Accepted(JobId::new("1")),
        };
        let life = Life::new(TERMS, truth.ours).observe(&Fact::Submitting, truth.ours);
        let life = life.observe(&Fact::Submission(answer), truth.ours);
        Self { truth, life, told: Told::default() }
    }

    fn pass(&mut self, wait: Duration, jump: i64) {
        self.truth.pass(wait, jump);
        if jump < 0 {
            self.told.set_back += Duration::from_millis(jump.unsigned_abs());
        }
    }

    /// Makes a move, and says which fact the service learnt by it.
    pub(crate) fn make(&mut self, (wait, jump, deed): &(Duration, i64, Deed)) -> Result<(), TestCaseError> {
        self.pass(*wait, *jump);
        self.truth.happens(deed);
        match (deed, known_place(&self.life)) {
            (Deed::Look, _) => self.tell(&Fact::Job(self.truth.look())),
            (Deed::Ping, Some(place)) => self.tell(&Fact::Ping(self.truth.ping(&place))),
            (_, _) => Ok(()),
        }
    }

    /// Tells `fact`, and holds what the life makes of it against the truth.
    fn tell(&mut self, fact: &Fact) -> Result<(), TestCaseError> {
        let after = self.life.observe(fact, self.truth.ours);
        let before = std::mem::replace(&mut self.life, after);
        self.told.hears(fact, &self.truth);
        self.is_right(&before)
    }

    fn is_right(&self, before: &Life) -> Result<(), TestCaseError> {
        let Self { truth, life, told } = self;
        let resubmits = life.phase == Phase::Intent && before.phase != Phase::Intent;
        let gone = resubmits || matches!(life.cause(), Some(Cause::Vanished));
        if gone && before.cause().is_none() {
            let missed = truth.time.since(told.missed_since.unwrap());
            prop_assert!(missed >= TERMS.settle, "missed for {missed:?} only: {before:?}");
        }
        if let (Some(Cause::Job(end)), None) = (life.cause(), before.cause()) {
            prop_assert_eq!(&Stand::Ended(end.clone()), &truth.stand);
        }
        if let (Some(Cause::GraceSpent { .. }), None) = (life.cause(), before.cause()) {
            let Seen { at, ran, .. } = told.seen.unwrap();
            prop_assert!(ran >= GRACE, "it has run for {ran:?} only");
            let (pinged, echo) = told.ping.clone().unwrap();
            prop_assert!(
                pinged.plus(ran) >= at.plus(GRACE),
                "pinged at {pinged}, seen at {at} after {ran:?}"
            );
            prop_assert!(matches!(echo, Echo::Silent(_)), "{echo:?}");
            // By our clock, at least: if that was set back to just then, nobody could tell.
            let unnoticed = told.set_back > Duration::ZERO && !told.noticed;
            prop_assert!(at >= pinged || unnoticed, "the scheduler was not asked since {pinged}");
            self.trusts_no_old_word()?;
        }
        if life.status() == Status::Healthy && before.status() != Status::Healthy {
            prop_assert_eq!(&told.ping.as_ref().unwrap().1, &Echo::Answered);
            self.trusts_no_old_word()?;
        }
        Ok(())
    }

    /// Whether the word that the job runs is young enough, as far as our clock could have told.
    fn trusts_no_old_word(&self) -> Result<(), TestCaseError> {
        let age = self.truth.time.since(self.told.seen.unwrap().at);
        let unknowable = if self.told.noticed { Duration::ZERO } else { self.told.set_back };
        prop_assert!(age <= TERMS.verify + unknowable, "the scheduler's word is {age:?} old");
        Ok(())
    }

    /// Carries out the plans of the service for so long.
    fn carry_on(&mut self, period: Duration) -> Result<(), TestCaseError> {
        let (end, mut rounds) = (self.truth.time.plus(period), 0);
        while self.truth.time < end {
            rounds += 1;
            prop_assert!(rounds < 20_000, "no end of {:?}", self.life.plan(self.truth.ours));
            let plan = self.life.plan(self.truth.ours);
            for action in &plan.actions {
                if *action == Action::Submit {
                    self.life = self.life.observe(&Fact::Submitting, self.truth.ours);
                }
                let fact = self.truth.answer(action);
                self.tell(&fact)?;
            }
            let Some(wake_at) = plan.wake_at else { break };
            if plan.actions.is_empty() {
                self.pass(wake_at.since(self.truth.ours), 0);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn clocks_may_jump_forwards_by_days_or_backwards_by_minutes_without_a_wrong_verdict(answer_lost: bool, moves in moves(GRACE, TERMS.settle)) {
        let mut teller = Teller::new(answer_lost);
        for deed in &moves {
            teller.make(deed)?;
        }
    }

    #[test]
    fn however_the_clock_has_jumped_the_right_verdict_comes_in_the_end(
        answer_lost: bool,
        moves in moves(GRACE, TERMS.settle),
    ) {
        let mut teller = Teller::new(answer_lost);
        for deed in &moves {
            teller.make(deed)?;
        }
        let before = teller.life.clone();
        let truth = &mut teller.truth;
        (truth.reachable, truth.listed, truth.stranger) = (true, true, false);
        teller.carry_on(GRACE + TERMS.settle + Duration::from_secs(120))?;
        if !before.status().is_terminal() {
            prop_assert_eq!(teller.life.status(), expected(&teller), "{:?}", teller.truth);
        }
    }
}

/// The status of a service that has had time to see what is true.
fn expected(teller: &Teller) -> Status {
    let was_healthy = matches!(teller.life.status(), Status::Healthy | Status::Unhealthy);
    match &teller.truth.stand {
        // Whatever came after it had run in silence for a whole grace period.
        _ if matches!(teller.life.cause(), Some(Cause::GraceSpent { .. })) => Status::Timeout,
        Stand::Running { .. } if teller.truth.listens => Status::Healthy,
        Stand::Queued | Stand::Running { .. } | Stand::Suspended if was_healthy => Status::Unhealthy,
        Stand::Queued => Status::Pending,
        Stand::Running { .. } => Status::Timeout,
        Stand::Suspended => Status::Starting,
        Stand::Ended(end) => end.status().into(),
    }
}
