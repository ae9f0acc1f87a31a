//! Makes a story that breaks a rule as short as it can be while it still breaks that rule.

use super::records::Violation;
use super::settle::settle;
use super::stage::Stage;
use super::step::Step;

/// Plays a story and lets it settle; the rule that it breaks, if it breaks one.
pub(crate) fn play(steps: &[Step]) -> Result<Stage, Box<(Stage, Violation)>> {
    let mut stage = Stage::new();
    match stage.play(steps).and_then(|()| settle(&mut stage)) {
        Ok(()) => Ok(stage),
        Err(violation) => Err(Box::new((stage, violation))),
    }
}

fn breaks(steps: &[Step], rule: &str) -> bool {
    play(steps).is_err_and(|broken| broken.1.rule == rule)
}

/// The story without the steps, and the parts of steps, that do not matter. Steps are left out in ever smaller groups
/// (Zeller and Hildebrandt: Simplifying and isolating failure-inducing input, TSE 2002).
pub(crate) fn shrink(steps: &[Step], rule: &str) -> Vec<Step> {
    let mut shortest = steps.to_vec();
    loop {
        let before = shortest.clone();
        shortest = without_groups(shortest, rule);
        shortest = with_simpler_steps(shortest, rule);
        if shortest == before {
            return shortest;
        }
    }
}

fn without_groups(mut steps: Vec<Step>, rule: &str) -> Vec<Step> {
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < steps.len() {
            let to = (from + size).min(steps.len());
            let rest = [&steps[..from], &steps[to..]].concat();
            if breaks(&rest, rule) {
                steps = rest;
            } else {
                from = to;
            }
        }
        size /= 2;
    }
    steps
}

fn with_simpler_steps(mut steps: Vec<Step>, rule: &str) -> Vec<Step> {
    for index in 0..steps.len() {
        for simpler in steps[index].simpler() {
            let mut tried = steps.clone();
            tried[index] = simpler;
            if breaks(&tried, rule) {
                steps = tried;
                break;
            }
        }
    }
    steps
}
