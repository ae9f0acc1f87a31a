//! Ten thousand stories: several services, two processes, and everything that can go wrong, drawn from a seed. When the
//! faults stop, every story must settle.
//!
//! `TOWLINE_SEED=n` plays story n alone; `TOWLINE_SEEDS=n` plays the first n. A story that breaks a rule is printed as
//! the steps of it that matter.

mod draw;
mod found;
mod records;
mod settle;
mod shrink;
mod stage;
mod step;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use shrink::{play, shrink};

/// How many stories are played if nothing else is asked for.
const SEEDS: u64 = 10_000;
/// How many broken stories are told before the rest is left alone.
const TOLD: usize = 5;

#[derive(Default)]
struct Summary {
    steps: usize,
    misled: usize,
    strays: usize,
    tally: BTreeMap<&'static str, u64>,
    broken: Vec<u64>,
}

#[test]
fn every_story_settles() {
    let (first, last) = match (number("TOWLINE_SEED"), number("TOWLINE_SEEDS")) {
        (Some(seed), _) => (seed, seed + 1),
        (None, seeds) => (0, seeds.unwrap_or(SEEDS)),
    };
    let (next, summary) = (AtomicU64::new(first), Mutex::new(Summary::default()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < last)
                {
                    note(&summary, seed);
                }
            });
        }
    });
    let mut summary = summary.into_inner().expect("no thread has panicked");
    println!("{} stories, {} steps", last - first, summary.steps);
    println!("{:>9}  stories were misled for the settling time", summary.misled);
    println!("{:>9}  stories left a tunnel open that nobody had recorded", summary.strays);
    for (fault, count) in &summary.tally {
        println!("{count:>9}  {fault}");
    }
    summary.broken.sort_unstable();
    for seed in summary.broken.iter().take(TOLD) {
        println!("{}", told(*seed));
    }
    let some: Vec<_> = summary.broken.iter().take(50).collect();
    assert!(some.is_empty(), "{} stories break a rule: {some:?}", summary.broken.len());
}

fn number(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test is asked by its environment")]
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Plays one story and notes what came of it.
fn note(summary: &Mutex<Summary>, seed: u64) {
    let steps = draw::story(seed);
    let played = play(&steps);
    let is_broken = played.is_err();
    let stage = match played {
        Ok(stage) => stage,
        Err(broken) => broken.0,
    };
    let mut summary = summary.lock().expect("no thread has panicked");
    summary.steps += steps.len();
    summary.strays += usize::from(stage.strays > 0);
    summary.misled += usize::from(stage::Stage::ids().any(|id| stage.is_misled(id)));
    for (fault, count) in stage.world.tally() {
        *summary.tally.entry(fault).or_default() += count;
    }
    if is_broken {
        summary.broken.push(seed);
    }
}

/// A broken story in words: the steps that matter, the rule, and what was recorded.
fn told(seed: u64) -> String {
    let steps = draw::story(seed);
    let Err(broken) = play(&steps) else { return format!("story {seed} is not always broken") };
    let shortest = shrink(&steps, broken.1.rule);
    let Err(broken) = play(&shortest) else { return format!("story {seed} is not always broken") };
    let (stage, violation) = *broken;
    let mut lines = vec![
        String::new(),
        format!("story {seed} breaks a rule: {}", violation.rule),
        format!("  TOWLINE_SEED={seed} cargo test -p towline-core --test seeds"),
        format!("{} of its {} steps matter:", shortest.len(), steps.len()),
    ];
    lines.extend(shortest.iter().enumerate().map(|(n, step)| format!("{:>4}. {step}", n + 1)));
    lines.push(format!("  then: {}", violation.how));
    for id in stage::Stage::ids() {
        for event in stage.history(id) {
            let from = event.from.map_or("", towline_core::lifecycle::Status::as_str);
            lines.push(format!("        {} {from:>9} -> {:<9} {}", event.at, event.to.as_str(), event.why));
        }
    }
    lines.join("\n")
}
