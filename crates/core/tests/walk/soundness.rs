//! Canonical states lose nothing: what can happen in one is what can happen in full time, in which nothing is forgotten.
//!
//! Both are led along the same histories, drawn by chance, and must agree after each step in what they look like from
//! outside: the row in words, the world, what each process is about to do, and which steps there are.
//!
//! One thing is lost: how much longer than a step a job had run when it was suspended. If nobody looks before it runs on,
//! a ping from before may then spend the grace period that would take another ping here. So no job is suspended in these.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use stateright::Model as _;

use crate::ages::settle;
use crate::coverage::Coverage;
use crate::flaws::Flaw;
use crate::model::{CLUSTERS, Walk};
use crate::state::State;
use crate::step::Step;
use crate::words::{line, stands};
use crate::world::Event;

const HISTORIES: u64 = 20_000;
const STEPS: u64 = 120;

/// A number that follows from three others as if by chance.
fn draw(history: u64, step: u64, attempt: u64, below: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    (history, step, attempt).hash(&mut hasher);
    (hasher.finish() % below.max(1) as u64) as usize
}

/// One of the steps; what is rare, or an end, is drawn rarely, so that histories come far.
fn pick(state: &State, steps: &[Step], history: u64, number: u64) -> Option<Step> {
    let drawn = |attempt| steps.get(draw(history, number, attempt, steps.len())).copied();
    let is_welcome = |step: &Step| !step.is_rare(state) && !matches!(step, Step::Happen(_, Event::End(_)));
    let welcome = (0..6).filter_map(drawn).find(is_welcome);
    if draw(history, number, 6, 24) > 0 { welcome.or(drawn(7)) } else { drawn(7) }
}

/// What a state looks like from outside.
fn looks(walk: &Walk, state: &State) -> Vec<String> {
    let mut steps = Vec::new();
    walk.actions(state, &mut steps);
    let listed = steps.into_iter().map(|step| line(state, step));
    let jobs = state.world.jobs.map(|job| job.map(|job| (job.id, job.state, job.listed, job.published)));
    let world = format!("{jobs:?} {} {:?}", state.world.tunnels, state.wrong);
    let mut row = state.row.clone();
    row.change(|row| settle(row, true));
    [stands(&row), world].into_iter().chain(listed).collect()
}

/// Follows histories that are drawn by chance, with any number of rare things, and says how many steps they had.
pub(crate) fn follow(coverage: &Arc<Coverage>) -> u64 {
    let walk = Walk::new(Flaw::None, &CLUSTERS, 2, u8::MAX, coverage);
    let begins = walk.init_states();
    let mut taken = 0;
    for history in 0..HISTORIES {
        let mut canonical = begins[draw(history, 0, 0, begins.len())].clone();
        let mut full = canonical.clone();
        let mut lines = String::new();
        for number in 1..=STEPS {
            let mut steps = Vec::new();
            walk.actions(&canonical, &mut steps);
            steps.retain(|step| !matches!(step, Step::Happen(_, Event::Suspend)));
            let Some(step) = pick(&canonical, &steps, history, number) else { break };
            lines.push_str(&line(&canonical, step));
            lines.push('\n');
            let (next, later) = (walk.next_state(&canonical, step), walk.take(&full, step));
            assert!(later.is_some() || next.is_none(), "history {history}:\n{lines}");
            (canonical, full) = (next.unwrap_or(canonical), later.unwrap_or(full));
            full.left = canonical.left;
            assert_eq!(looks(&walk, &canonical), looks(&walk, &full), "history {history}:\n{lines}");
            assert_eq!(canonical.wrong, None, "history {history}:\n{lines}");
            taken += 1;
        }
    }
    taken
}
