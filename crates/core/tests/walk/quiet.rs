//! The quiet: what follows from a state once nothing breaks any more.
//!
//! A model checker's own "eventually" is blind to cycles and to paths that join, and a service that runs on is a cycle.
//! So what must come in the end is an invariant here: from every reachable state in which no process is under way, the
//! one quiet continuation is followed until it repeats itself, and what repeats must be settled. In it every call gets
//! through, jobs go their way, one process looks again after each step, and the server answers every ping or none.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use towline_core::lifecycle::{Action, Phase, Stage};

use crate::calls::Outcome;
use crate::errand::{Stage as At, Verb};
use crate::model::Walk;
use crate::state::State;
use crate::step::Step;
use crate::world::index_of;

/// Steps of time after which the quiet must have settled.
const STEPS: usize = 12;
/// Steps of a process after which its turn must be over.
const TURN: usize = 64;

impl Walk {
    /// Whether all settles from here.
    pub(crate) fn settles(&self, state: &State) -> bool {
        [true, false].into_iter().all(|answers| self.settles_if(state, answers))
    }

    fn settles_if(&self, state: &State, answers: bool) -> bool {
        let mut seen: Vec<(u64, State)> = Vec::new();
        let mut state = state.clone();
        while seen.len() < STEPS {
            let mark = mark(&state);
            let known = self.is_known_calm((mark, answers));
            let repeats = seen.iter().position(|(seen, _)| *seen == mark);
            let calm = |from: usize| seen[from..].iter().all(|(_, state)| is_settled(state, answers));
            if known || repeats.is_some_and(calm) {
                self.know_calm(seen.iter().map(|(mark, _)| (*mark, answers)));
                return true;
            }
            if repeats.is_some() {
                return false;
            }
            let Some(rested) = self.look_again(&state, answers) else { return false };
            seen.push((mark, rested.clone()));
            state = rested;
            state.pass();
            state.settle(true);
        }
        false
    }

    /// Lets the jobs go their way and a process look, until it is done; `None` if it never is, or breaks a promise.
    fn look_again(&self, state: &State, answers: bool) -> Option<State> {
        let mut state = state.clone();
        while state.world.calm_down() {}
        if !state.row.is_unfinished() {
            return Some(state);
        }
        let mut next = Some(Step::Begin(0, Verb::Look));
        for _ in 0..TURN {
            let Some(step) = next else { return Some(state) };
            state = self.next(&state, step);
            if state.wrong.is_some() {
                return None;
            }
            while state.world.calm_down() {}
            next = state.processes[0].as_ref().map(|turn| match &turn.stage {
                At::Announce => Step::Announce(0),
                At::Save(_) => Step::Save(0),
                At::Act { todo, .. } => match todo.first() {
                    None => Step::Fold(0),
                    Some(action) => Step::Act(0, 0, quiet_outcome(&state, action, answers)),
                },
            });
        }
        None
    }

    fn next(&self, state: &State, step: Step) -> State {
        stateright::Model::next_state(self, state, step).unwrap_or_else(|| state.clone())
    }
}

fn mark(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

fn quiet_outcome(state: &State, action: &Action, answers: bool) -> Outcome {
    match action {
        Action::Ping { tunnel } => {
            let possible = state.world.outcomes(action);
            let wanted = if answers { Outcome::Done } else { Outcome::Refused };
            let here = state.world.running_at(index_of(&tunnel.place)).is_some();
            [wanted, Outcome::Refused]
                .into_iter()
                .find(|o| possible.contains(o) && (here || *o != Outcome::Done))
                .unwrap_or(Outcome::NotDone)
        }
        Action::Submit if !state.world.outcomes(action).contains(&Outcome::Done) => Outcome::Refused,
        _ => Outcome::Done,
    }
}

/// Whether a state that comes again and again is one that may.
fn is_settled(state: &State, answers: bool) -> bool {
    let State { row, world, .. } = state;
    let live = world.jobs().map(|(_, job)| job).find(|job| job.is_live());
    match &row.phase {
        Phase::Intent | Phase::Sending { .. } => false,
        Phase::Ended(_) => live.is_none() && world.tunnels == world.unrecorded && !row.is_unfinished(),
        Phase::Live { stage, job } => {
            let expected = match (row.tunnel_unwanted, answers) {
                (true, _) => true,
                (false, true) => *stage == Stage::Healthy,
                (false, false) => *stage == Stage::Unhealthy,
            };
            let known_tunnel = row.open_tunnel().map_or(0, |tunnel| 1 << index_of(&tunnel.place));
            live.is_some_and(|live| live.job_id() == job.id)
                && row.stop.is_none()
                && world.tunnels & !world.unrecorded == known_tunnel
                && expected
        }
    }
}
