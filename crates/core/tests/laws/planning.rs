//! What plans promise, and what comes of carrying them out.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use towline_core::lifecycle::{Action, Fact, Job, Life, Phase, Request, TunnelFact};
use towline_core::testing::strategies::{Moment, clock_jump, moment, pause, steps, tunnel};
use towline_core::time::Timestamp;

use crate::answers::{answers, observe_all};
use crate::support::{TERMS, config, trail, without_jumps};

/// Turns within which whatever was planned is done: to open, to ping, to ask the scheduler; to open and ping elsewhere,
/// since the job has moved; and to cancel or close.
const TURNS: usize = 6;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn plan_is_a_function_same_state_same_plan(steps in steps(&TERMS), pauses in prop::collection::vec(pause(), 1..4)) {
        for Moment { life, now } in &trail(&steps) {
            let kept: Life = serde_json::from_str(&serde_json::to_string(life).unwrap()).unwrap();
            prop_assert_eq!(&kept, life);
            for pause in &pauses {
                let now = now.plus(*pause);
                prop_assert_eq!(kept.plan(now), life.plan(now));
            }
        }
    }

    #[test]
    fn a_plan_that_is_carried_out_reaches_a_fixpoint_in_a_bounded_number_of_turns(
        Moment { life, now } in moment(&TERMS),
        (pause, jump) in (pause(), clock_jump()),
        luck in prop::collection::vec(any::<Index>(), 16),
    ) {
        let now = jumped(now.plus(pause), jump);
        let fortunate = |_: usize| 0;
        let unfortunate = |answers: usize| answers - 1;
        let mut luck = luck.iter().cycle();
        let mixed = |answers: usize| luck.next().unwrap().index(answers);
        prop_assert!(carry_out(&life, now, fortunate) <= TURNS, "by good fortune: {life:?}");
        prop_assert!(carry_out(&life, now, unfortunate) <= TURNS, "by misfortune: {life:?}");
        prop_assert!(carry_out(&life, now, mixed) <= TURNS, "by chance: {life:?}");
    }

    #[test]
    fn wake_at_is_never_in_the_past_and_never_missing_while_something_is_awaited(
        steps in steps(&TERMS),
        (pause, jump) in (pause(), clock_jump()),
    ) {
        for Moment { life, now } in &trail(&steps) {
            for now in [*now, now.plus(pause), jumped(*now, jump)] {
                let plan = life.plan(now);
                prop_assert!(plan.wake_at.is_none_or(|at| at >= now), "{:?} is before {}", plan.wake_at, now);
                prop_assert_eq!(plan.wake_at.is_some(), is_awaited(life), "{:?} of {:?}", plan, life);
                // Who is told to wait is not asked again at once, and who is told to act is not told to wait.
                prop_assert_eq!(plan.actions.is_empty(), plan.wake_at != Some(now), "{:?} of {:?}", plan, life);
            }
        }
    }

    #[test]
    fn nothing_falls_due_before_wake_at(steps in steps(&TERMS), pause in pause(), part in 0..1_000_u64) {
        // Under a clock that jumps, a time in the future may be reached before whoever waits wakes up.
        let steps = without_jumps(steps);
        for Moment { life, now } in &trail(&steps) {
            let now = now.plus(pause);
            let plan = life.plan(now);
            let Some(wake_at) = plan.wake_at.filter(|_| plan.actions.is_empty()) else { continue };
            let left = wake_at.since(now).as_micros() as u64 - 1;
            for wait in [left, left * part / 1_000] {
                let early = now.plus(Duration::from_micros(wait));
                prop_assert_eq!(life.plan(early).actions, vec![], "due at {} and not at {}", early, wake_at);
            }
        }
    }

    #[test]
    fn waiting_ends(steps in steps(&TERMS), (pause, jump) in (pause(), clock_jump())) {
        for Moment { life, now } in &trail(&steps) {
            let mut now = jumped(now.plus(pause), jump);
            let latest = now.plus(longest_wait(life));
            while let Some(wake_at) = life.plan(now).wake_at.filter(|at| *at > now) {
                prop_assert!(now <= latest, "nothing is ever due: {life:?}");
                now = wake_at;
            }
        }
    }

    #[test]
    fn every_action_that_a_plan_asks_for_has_all_its_answers_accepted_in_the_phase_that_asked(
        steps in steps(&TERMS),
        (pause, jump) in (pause(), clock_jump()),
    ) {
        for Moment { life, now } in &trail(&steps) {
            let now = jumped(now.plus(pause), jump);
            for action in life.plan(now).actions {
                for facts in answers(life, &action) {
                    let answered = observe_all(life, &facts, now);
                    prop_assert!(answered != *life, "{action:?} is not answered by {facts:?} in {life:?}");
                    let again = answered.plan(now).actions.contains(&action);
                    prop_assert!(!again, "{action:?} is asked again after {facts:?} in {life:?}");
                }
            }
        }
    }

    #[test]
    fn a_tunnel_that_is_unwanted_is_closed_until_it_is_wanted_again(
        steps in steps(&TERMS),
        (pause, tunnel) in (pause(), tunnel()),
    ) {
        for Moment { life, now } in &without_doubt(&trail(&steps)) {
            let now = now.plus(pause);
            let Ok(unwanted) = life.request(&Request::CloseTunnel, now) else { continue };
            let open = unwanted.observe(&Fact::Tunnel(TunnelFact::Open(tunnel.clone())), now);
            let closed = open.observe(&Fact::Tunnel(TunnelFact::Closed), now);
            let ways = |life: &Life| {
                let is_way = |action: &Action| matches!(action, Action::Open { .. } | Action::Ping { .. });
                life.plan(now).actions.iter().any(is_way)
            };
            let closes = |life: &Life| life.plan(now).actions.contains(&Action::Close { tunnel: tunnel.clone() });
            prop_assert!(!ways(&unwanted) && !ways(&open) && !ways(&closed));
            prop_assert_eq!((closes(&open), closes(&closed)), (matches!(life.phase, Phase::Live { .. }), false));
            let wanted = open.request(&Request::OpenTunnel, now).unwrap();
            let has_place = life.phase.job().and_then(Job::place).is_some();
            let stale = life.ping.as_ref().is_none_or(|ping| now.since(ping.at) >= TERMS.fresh || ping.at > now);
            prop_assert!(!closes(&wanted));
            prop_assert!(ways(&wanted) || !has_place || !stale || life.is_cancelled() || asks_first(&wanted, now));
        }
    }
}

/// Whether the scheduler has to be asked before anything else.
fn asks_first(life: &Life, now: Timestamp) -> bool {
    life.plan(now).actions.contains(&Action::Survey)
}

/// The moments at which nothing has failed just now.
fn without_doubt(trail: &[Moment]) -> Vec<Moment> {
    let calm = |moment: &&Moment| moment.life.doubt.is_none();
    trail.iter().filter(calm).cloned().collect()
}

fn jumped(now: Timestamp, millis: i64) -> Timestamp {
    let jump = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { now.minus(jump) } else { now.plus(jump) }
}

/// Whether anything is still to come: an end, a cancel that is owed, or a tunnel that is to be closed.
fn is_awaited(life: &Life) -> bool {
    match &life.phase {
        Phase::Intent | Phase::Sending { .. } | Phase::Live { .. } => true,
        Phase::Ended(ending) => ending.owes_cancel || life.tunnel.is_some(),
    }
}

/// The longest that one may wait until something is to be done: a ping or a look at a quiet service, or what failed
/// often; and a stop only for as long as its user said.
fn longest_wait(_life: &Life) -> Duration {
    Duration::from_secs(120)
}

/// In how many turns, each at `now`, the plans of a life and of what becomes of it are done; `pick` picks one of so
/// many answers.
fn carry_out(life: &Life, now: Timestamp, mut pick: impl FnMut(usize) -> usize) -> usize {
    let mut life = life.clone();
    for turn in 0..=TURNS {
        let actions: Vec<Action> = life.plan(now).actions;
        if actions.is_empty() {
            return turn;
        }
        for action in actions {
            let answers = answers(&life, &action);
            life = observe_all(&life, &answers[pick(answers.len())], now);
        }
    }
    TURNS + 1
}
