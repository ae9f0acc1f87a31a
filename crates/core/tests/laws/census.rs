//! How often random lives reach what the laws speak of, so that none of them is empty.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use towline_core::lifecycle::{Cause, Phase};
use towline_core::testing::strategies::steps;

use crate::support::{TERMS, trail, turns};

const LIVES: usize = 2_000;

#[test]
fn random_lives_reach_every_phase_and_every_end() {
    let (mut runner, strategy) = (TestRunner::deterministic(), steps(&TERMS));
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    let mut moves: BTreeMap<String, usize> = BTreeMap::new();
    let mut len = 0;
    for _ in 0..LIVES {
        let steps = strategy.new_tree(&mut runner).unwrap().current();
        let trail = trail(&steps);
        len += steps.len();
        let life = &trail.last().unwrap().life;
        *last.entry(phase(&life.phase)).or_default() += 1;
        for turn in turns(&steps, &trail, &[]) {
            if turn.before.status() != turn.after.status() {
                *moves.entry(format!("{} -> {}", turn.before.status(), turn.after.status())).or_default() +=
                    1;
            }
        }
    }
    println!("{len} steps\n{last:#?}\n{moves:#?}");
}

fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Intent => "intent".into(),
        Phase::Sending { .. } => "sending".into(),
        Phase::Live { stage, .. } => format!("{stage:?}"),
        Phase::Ended(ending) => match &ending.cause {
            Cause::Job(end) => format!("{:?}", end.outcome),
            Cause::Requested => "requested".into(),
            Cause::GraceSpent { .. } => "grace".into(),
            Cause::Refused(_) => "refused".into(),
            Cause::NotSent(_) => "notsent".into(),
            Cause::Vanished => "vanished".into(),
        },
    }
}
