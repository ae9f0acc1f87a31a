//! How often random lives come to what the laws speak of, so that none of them is empty.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use towline_core::lifecycle::{Action, Cause, Life, Phase};
use towline_core::testing::strategies::{News, steps};

use crate::clocks::Teller;
use crate::support::{GRACE, TERMS, Turn, report_in, trail, turns};
use crate::truth::moves;

const LIVES: u32 = 1_000;

#[test]
fn random_lives_come_to_every_phase_and_every_end() {
    let least = [
        ("Accepted", 40),
        ("Healthy", 50),
        ("Pending", 11),
        ("Starting", 30),
        ("Unhealthy", 60),
        ("ended: BootFail", 14),
        ("ended: Cancelled", 13),
        ("ended: Completed", 20),
        ("ended: Deadline", 15),
        ("ended: Failed", 15),
        ("ended: NodeFail", 12),
        ("ended: OutOfMemory", 3),
        ("ended: Preempted", 10),
        ("ended: TimeLimit", 11),
        ("ended: grace spent", 30),
        ("ended: not sent", 17),
        ("ended: refused", 10),
        ("ended: requested", 40),
        ("ended: vanished", 30),
        ("intent", 12),
        ("sending", 12),
    ];
    let mut census = Census::default();
    census.take(steps(&TERMS), |census, steps| {
        let ends = trail(&steps);
        census.count(stand(&ends[ends.len() - 1].life));
    });
    census.has_at_least(&least);
}

#[test]
fn random_lives_come_to_what_the_laws_speak_of() {
    let least = [
        ("HEALTHY to FAILED", 20),
        ("HEALTHY to STOPPED", 5),
        ("HEALTHY to TIMEOUT", 6),
        ("HEALTHY to UNHEALTHY", 230),
        ("PENDING to FAILED", 5),
        ("PENDING to STARTING", 150),
        ("PENDING to STOPPED", 2),
        ("PENDING to TIMEOUT", 2),
        ("STARTING to FAILED", 16),
        ("STARTING to HEALTHY", 210),
        ("STARTING to PENDING", 80),
        ("STARTING to STOPPED", 10),
        ("STARTING to TIMEOUT", 40),
        ("SUBMITTED to FAILED", 50),
        ("SUBMITTED to PENDING", 90),
        ("SUBMITTED to STARTING", 240),
        ("SUBMITTED to STOPPED", 14),
        ("SUBMITTED to TIMEOUT", 13),
        ("UNHEALTHY to FAILED", 20),
        ("UNHEALTHY to HEALTHY", 110),
        ("UNHEALTHY to STOPPED", 14),
        ("UNHEALTHY to TIMEOUT", 5),
        ("cancel after grace", 170),
        ("cancel on request", 550),
        ("clock set back", 90),
        ("clock set forth", 100),
        ("end with a tunnel", 100),
        ("report of a run that is over", 90),
        ("submission to be made again", 30),
        ("wish refused", 40),
    ];
    let mut census = Census::default();
    census.take(steps(&TERMS), |census, steps| {
        let trail = trail(&steps);
        for turn in turns(&steps, &trail, &[]) {
            let (from, to) = (turn.before.status(), turn.after.status());
            if from != to {
                census.count(format!("{from} to {to}"));
            }
            for premise in premises(&turn) {
                census.count(premise);
            }
        }
        for step in steps.iter().filter(|step| step.jumps != 0) {
            census.count(if step.jumps < 0 { "clock set back" } else { "clock set forth" });
        }
    });
    census.has_at_least(&least);
}

#[test]
fn true_stories_come_to_every_verdict() {
    let least = [
        ("HEALTHY", 90),
        ("PENDING", 220),
        ("STARTING", 200),
        ("UNHEALTHY", 70),
        ("ended by the job", 140),
        ("ended: grace spent", 50),
        ("ended: vanished", 30),
        ("submission to be made again", 160),
    ];
    let mut census = Census::default();
    let stories = (proptest::bool::ANY, moves(GRACE, TERMS.settle));
    census.take(stories, |census, (answer_lost, moves)| {
        let mut teller = Teller::new(answer_lost);
        for deed in &moves {
            let before = teller.life.clone();
            teller.make(deed).unwrap();
            let (from, to) = (before.status(), teller.life.status());
            let resubmits = teller.life.phase == Phase::Intent && before.phase != Phase::Intent;
            match teller.life.cause() {
                _ if resubmits => census.count("submission to be made again"),
                _ if from == to => {}
                None => census.count(to.to_string()),
                Some(Cause::Job(_)) => census.count("ended by the job"),
                Some(_) => census.count(stand(&teller.life)),
            }
        }
    });
    census.has_at_least(&least);
}

/// What else a turn shows of which a law speaks.
fn premises(turn: &Turn<'_>) -> Vec<&'static str> {
    let Turn { before, news, now, after, .. } = turn;
    let ends = !before.status().is_terminal() && after.status().is_terminal();
    let cancels = after.plan(*now).actions.iter().any(|action| matches!(action, Action::Cancel { .. }));
    let spent = matches!(after.cause(), Some(Cause::GraceSpent { .. }));
    let changed = before.phase != after.phase;
    let over = before.phase.job().and_then(|job| job.over);
    let stale = report_in(news).is_some_and(|report| report.run.is_some() && report.run <= over);
    let refused = matches!(news, News::Request(request) if before.request(request, *now).is_err());
    [
        (cancels && !spent, "cancel on request"),
        (cancels && spent, "cancel after grace"),
        (ends && after.tunnel.is_some(), "end with a tunnel"),
        (stale, "report of a run that is over"),
        (after.phase == Phase::Intent && changed, "submission to be made again"),
        (refused, "wish refused"),
    ]
    .into_iter()
    .filter_map(|(holds, premise)| holds.then_some(premise))
    .collect()
}

/// Where a life stands, with the cause of its end.
fn stand(life: &Life) -> String {
    match &life.phase {
        Phase::Intent => "intent".into(),
        Phase::Sending { .. } => "sending".into(),
        Phase::Live { stage, .. } => format!("{stage:?}"),
        Phase::Ended(ending) => match &ending.cause {
            Cause::Job(end) => format!("ended: {:?}", end.outcome),
            Cause::Requested => "ended: requested".into(),
            Cause::GraceSpent { .. } => "ended: grace spent".into(),
            Cause::Refused(_) => "ended: refused".into(),
            Cause::NotSent(_) => "ended: not sent".into(),
            Cause::Vanished => "ended: vanished".into(),
        },
    }
}

/// Counts what happens in lives that are always the same.
#[derive(Default)]
struct Census(BTreeMap<String, u32>);

impl Census {
    fn take<S: Strategy>(&mut self, lives: S, mut look: impl FnMut(&mut Self, S::Value)) {
        let mut runner = TestRunner::deterministic();
        for _ in 0..LIVES {
            look(self, lives.new_tree(&mut runner).unwrap().current());
        }
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    /// Prints how often each was counted, and holds that against the least.
    #[expect(clippy::print_stdout, reason = "shown with --nocapture, or after a failure")]
    fn has_at_least(&self, least: &[(&str, u32)]) {
        for (what, count) in &self.0 {
            println!("{count:4} times in {LIVES} lives: {what}");
        }
        let count = |what: &str| self.0.get(what).copied().unwrap_or_default();
        let rare: Vec<_> = least.iter().filter(|(what, least)| count(what) < *least).collect();
        assert!(rare.is_empty(), "less often than they should: {rare:?}");
    }
}
