//! Plays many stories on all cores, and tells of those that break a rule.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use towline_core::lifecycle::Status;

use super::shrink::{play, shrink};
use super::stage::Stage;
use super::step::Step;

/// How many broken stories are told before the rest is left alone.
const TOLD: usize = 5;

#[derive(Default)]
struct Summary {
    steps: usize,
    misled: usize,
    strays: usize,
    lost_ports: usize,
    tally: BTreeMap<&'static str, u64>,
    broken: Vec<usize>,
}

/// Plays those stories, each with its name.
///
/// # Panics
/// If one of them breaks a rule; told in words.
pub(crate) fn play_all(stories: Vec<(String, Vec<Step>)>) {
    play_drawn(stories.len(), |index| stories[index].clone());
}

/// Plays so many stories, each drawn when it is its turn.
///
/// # Panics
/// If one of them breaks a rule; told in words.
pub(crate) fn play_drawn(count: usize, story: impl Fn(usize) -> (String, Vec<Step>) + Sync) {
    let (next, summary) = (AtomicUsize::new(0), Mutex::new(Summary::default()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(index) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count)
                {
                    note(&summary, index, &story(index).1);
                }
            });
        }
    });
    let mut summary = summary.into_inner().expect("no thread has panicked");
    print(&format!("{count} stories, {} steps", summary.steps));
    print(&format!("{:>9}  stories were misled for the settling time", summary.misled));
    print(&format!("{:>9}  stories left a tunnel open that nobody had recorded", summary.strays));
    print(&format!("{:>9}  stories lost a local port to such a tunnel", summary.lost_ports));
    for (fault, count) in &summary.tally {
        print(&format!("{count:>9}  {fault}"));
    }
    summary.broken.sort_unstable();
    for index in summary.broken.iter().take(TOLD) {
        let (name, steps) = story(*index);
        print(&told(&name, &steps));
    }
    let names: Vec<_> = summary.broken.iter().take(50).map(|index| story(*index).0).collect();
    assert!(names.is_empty(), "{} stories break a rule: {names:#?}", summary.broken.len());
}

#[expect(clippy::print_stdout, reason = "a broken story is told, and with --nocapture what was met")]
fn print(text: &str) {
    println!("{text}");
}

/// Plays one story and notes what came of it.
fn note(summary: &Mutex<Summary>, index: usize, steps: &[Step]) {
    let played = play(steps);
    let is_broken = played.is_err();
    let stage = played.unwrap_or_else(|broken| broken.0);
    let mut summary = summary.lock().expect("no thread has panicked");
    summary.steps += steps.len();
    summary.strays += usize::from(stage.strays > 0);
    summary.lost_ports += usize::from(stage.records.lost_ports() > 0);
    summary.misled += usize::from(Stage::ids().any(|id| stage.is_misled(id)));
    for (fault, count) in stage.world.tally() {
        *summary.tally.entry(fault).or_default() += count;
    }
    if is_broken {
        summary.broken.push(index);
    }
}

/// A broken story in words: the steps that matter, the rule, and what was recorded.
fn told(name: &str, steps: &[Step]) -> String {
    let Err(broken) = play(steps) else { return format!("{name}: not always broken") };
    let shortest = shrink(steps, broken.1.rule);
    let Err(broken) = play(&shortest) else { return format!("{name}: not always broken") };
    let (stage, violation) = *broken;
    let mut lines = vec![
        format!("\n{name}"),
        format!("breaks a rule: {}", violation.rule),
        format!("{} of its {} steps matter:", shortest.len(), steps.len()),
    ];
    lines.extend(shortest.iter().enumerate().map(|(n, step)| format!("{:>4}. {step}", n + 1)));
    lines.push(format!("  then: {}", violation.how));
    for id in Stage::ids() {
        for event in stage.history(id) {
            let from = event.from.map_or("", Status::as_str);
            lines.push(format!("        {} {from:>9} -> {:<9} {}", event.at, event.to.as_str(), event.why));
        }
    }
    lines.join("\n")
}
