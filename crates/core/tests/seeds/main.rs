//! Stories of several services and two processes, in a world in which everything goes wrong that can. When the faults
//! stop, every story must settle.
//!
//! Ten thousand are drawn from seeds: `TOWLINE_SEED=n` plays story n alone, `TOWLINE_SEEDS=n` the first n. In others
//! a process is killed or overtaken at every single step of a verb. A story that breaks a rule is printed as the steps
//! of it that matter; with `--nocapture` all tell how often each fault was met.

mod draw;
mod found;
mod records;
mod report;
mod settle;
mod shrink;
mod stage;
mod step;
mod sweep;

use report::play_drawn;

/// How many stories are played if nothing else is asked for.
const SEEDS: usize = 10_000;

#[test]
fn every_story_settles() {
    let (first, count) = match (number("TOWLINE_SEED"), number("TOWLINE_SEEDS")) {
        (Some(seed), _) => (seed, 1),
        (None, seeds) => (0, seeds.unwrap_or(SEEDS)),
    };
    play_drawn(count, |index| {
        let seed = first + index;
        let name =
            format!("story {seed} (TOWLINE_SEED={seed} cargo test -p towline-core --test seeds every_story)");
        (name, draw::story(seed as u64))
    });
}

fn number(variable: &str) -> Option<usize> {
    #[expect(clippy::disallowed_methods, reason = "a test is asked by its environment")]
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}
