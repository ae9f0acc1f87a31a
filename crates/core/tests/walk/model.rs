//! The walk as a model for a model checker: which steps there are from a state, and where each leads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use stateright::{Model, Property};
use towline_core::lifecycle::{Action, Cause, Life, Phase};

use crate::ages::NOW;
use crate::coverage::Coverage;
use crate::errand::{Stage, Verb};
use crate::flaws::Flaw;
use crate::kept::Kept;
use crate::promises::Wrong;
use crate::state::{PROCESSES, State};
use crate::step::Step;
use crate::turn::{Around, Turn};
use crate::world::{Books, Cluster, World};

/// What is walked over.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) flaw: Flaw,
    clusters: &'static [Cluster],
    processes: usize,
    /// How many rare things may happen on one history.
    rare: u8,
    /// Whether each state is asked what would come of it in the end.
    looks_ahead: bool,
    pub(crate) coverage: Arc<Coverage>,
    /// States from which all is known to settle.
    calm: Mutex<HashSet<(u64, bool)>>,
}

/// How many steps of time may pass while a process is in the middle of a verb.
const STALL: u8 = 1;

const VERBS: [Verb; 5] = [Verb::Look, Verb::StopNow, Verb::StopLater, Verb::OpenTunnel, Verb::CloseTunnel];

impl Walk {
    pub(crate) fn new(
        flaw: Flaw,
        clusters: &'static [Cluster],
        processes: usize,
        rare: u8,
        coverage: &Arc<Coverage>,
    ) -> Self {
        let (coverage, calm) = (Arc::clone(coverage), Mutex::default());
        Self { flaw, clusters, processes: processes.min(PROCESSES), rare, looks_ahead: true, coverage, calm }
    }

    /// Asks no state what would come of it in the end.
    pub(crate) fn without_looking_ahead(self) -> Self {
        Self { looks_ahead: false, ..self }
    }

    fn steps_of(&self, state: &State, process: usize, steps: &mut Vec<Step>) {
        let Some(turn) = &state.processes[process] else {
            // Who of two idle ones acts is all the same.
            if state.processes[..process].iter().all(Option::is_some) {
                let wishes = VERBS.into_iter().filter(|verb| verb.is_news(&state.row));
                steps.extend(wishes.map(|verb| Step::Begin(process, verb)));
            }
            return;
        };
        match &turn.stage {
            Stage::Announce => steps.push(Step::Announce(process)),
            Stage::Save(_) => steps.push(Step::Save(process)),
            Stage::Act { todo, .. } if todo.is_empty() => steps.push(Step::Fold(process)),
            Stage::Act { todo, .. } => {
                for (index, action) in todo.iter().enumerate() {
                    let outcomes = state.world.outcomes(action);
                    steps.extend(outcomes.into_iter().map(|outcome| Step::Act(process, index, outcome)));
                }
            }
        }
        steps.push(Step::Kill(process));
    }

    /// Whether time may pass: a submission that was announced reaches the scheduler before the settling time is over,
    /// or never; and nobody is held up for ever.
    fn may_pass(&self, state: &State) -> bool {
        state.processes.iter().flatten().all(|turn| {
            let sends = matches!(&turn.stage, Stage::Act { todo, .. } if todo.contains(&Action::Submit));
            !sends && turn.steps < STALL
        })
    }

    fn act(
        &self,
        state: &mut State,
        process: usize,
        act: impl FnOnce(Option<Turn>, &mut Around<'_>) -> Option<Turn>,
    ) {
        let mut row = state.row.clone();
        let before = state.processes[process].take().map(|turn| Turn::clone(&turn));
        let mut around = Around {
            row: &mut row,
            world: &mut state.world,
            flaw: self.flaw,
            coverage: &self.coverage,
            wrong: &mut state.wrong,
            wrote: false,
        };
        let after = act(before, &mut around);
        let wrote = around.wrote;
        state.replace(process, after, row, wrote);
    }

    /// Takes that step, but leaves the state as it comes; `None` if there is nothing to it.
    pub(crate) fn take(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Begin(process, verb) => {
                if verb != Verb::Look {
                    state.tick();
                }
                self.act(&mut state, process, |_, around| Turn::begin(verb, around))
            }
            Step::Announce(process) => {
                let stamp = state.free_name();
                self.act(&mut state, process, |turn, around| turn?.announce(stamp, around));
            }
            Step::Act(process, index, outcome) => {
                self.act(&mut state, process, |turn, around| Some(turn?.act(index, outcome, around)));
                if is_unasked_cancel(before, process, index) {
                    state.wrong = state.wrong.or(Some(Wrong::UnaskedCancel));
                }
            }
            Step::Fold(process) => {
                state.tick();
                self.act(&mut state, process, |turn, around| turn?.fold(around));
            }
            Step::Save(process) => self.act(&mut state, process, |turn, around| turn?.save(around)),
            Step::Kill(process) => state.processes[process] = None,
            Step::Happen(job, event) => state.world.happen(job, event),
            Step::Pass => state.pass(),
        }
        if state.world.live_jobs() > 1 {
            state.wrong = state.wrong.or(Some(Wrong::TwoJobs));
        }
        (state != *before).then_some(state)
    }

    /// Whether all settles once nothing breaks any more; asked where no process is in the middle of anything, since
    /// each that is will be done, or killed, by then.
    fn is_calm(&self, state: &State) -> bool {
        !self.looks_ahead || state.processes.iter().any(Option::is_some) || self.settles(state)
    }

    pub(crate) fn is_known_calm(&self, mark: (u64, bool)) -> bool {
        self.calm.lock().unwrap_or_else(PoisonError::into_inner).contains(&mark)
    }

    pub(crate) fn know_calm(&self, marks: impl IntoIterator<Item = (u64, bool)>) {
        self.calm.lock().unwrap_or_else(PoisonError::into_inner).extend(marks);
    }
}

/// Whether it matters that something happens to a job now: to record and to fold is the same before it and after it, so
/// that a process that is about to do one of these, and is alone, does it first. An answer may have to wait for a step,
/// and what happens before that step may matter.
fn may_happen(state: &State) -> bool {
    let mut busy = state.processes.iter().flatten();
    let (Some(turn), None) = (busy.next(), busy.next()) else { return true };
    match &turn.stage {
        Stage::Announce | Stage::Save(_) => false,
        Stage::Act { todo, .. } => !todo.is_empty() || turn.steps == 0,
    }
}

/// Whether the call that the process is about to make cancels a job although nobody asked for that and no grace period
/// was spent.
fn is_unasked_cancel(state: &State, process: usize, index: usize) -> bool {
    let Some(turn) = &state.processes[process] else { return false };
    let Stage::Act { todo, .. } = &turn.stage else { return false };
    let spent = |life: &Life| match &life.phase {
        Phase::Ended(ending) => matches!(ending.cause, Cause::GraceSpent { .. }),
        _ => false,
    };
    matches!(todo[index], Action::Cancel { .. }) && !state.world.stop_asked && !spent(&turn.life)
}

impl Model for Walk {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let row = Kept::new(Life::new(self.flaw.terms(), NOW));
        let start = Kept::new(Turn::start(&row, self.flaw));
        let begin = |cluster: &Cluster| {
            let processes = std::array::from_fn(|index| (index == 0).then(|| start.clone()));
            let left = self.rare;
            State { row: row.clone(), processes, world: World::new(*cluster), left, wrong: None }
        };
        self.clusters.iter().map(begin).collect()
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.wrong.is_some() {
            return;
        }
        for process in 0..self.processes {
            self.steps_of(state, process, steps);
        }
        let jobs = state.world.jobs().filter(|_| may_happen(state));
        for (index, job) in jobs {
            let mut events = Vec::new();
            job.events(state.world.cluster.books, &mut events);
            steps.extend(events.into_iter().map(|event| Step::Happen(index, event)));
        }
        if self.may_pass(state) {
            steps.push(Step::Pass);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = self.take(before, step)?;
        state.left = before.left.checked_sub(u8::from(step.is_rare(before)))?;
        state.settle(!matches!(step, Step::Act(..) | Step::Happen(..)));
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_JOB, is_not::<{ Wrong::TwoJobs as u8 }>),
            Property::always(RIGHT_VERDICTS, is_not::<{ Wrong::Verdict as u8 }>),
            Property::always(
                "only a request or a spent grace period cancels",
                is_not::<{ Wrong::UnaskedCancel as u8 }>,
            ),
            Property::always(OWN_SERVER, is_not::<{ Wrong::StrangerIsHealthy as u8 }>),
            Property::always(FINAL_ENDS, is_not::<{ Wrong::EndMoved as u8 }>),
            Property::always(
                "every change of status is one of the contract",
                is_not::<{ Wrong::Change as u8 }>,
            ),
            Property::always("a turn ends with nothing left to do", is_not::<{ Wrong::NeverDone as u8 }>),
            Property::always(SETTLES, Self::is_calm),
        ]
    }
}

/// Whether the way to a state has not broken that promise.
fn is_not<const WRONG: u8>(_: &Walk, state: &State) -> bool {
    state.wrong.is_none_or(|wrong| wrong as u8 != WRONG)
}

pub(crate) const ONE_JOB: &str = "there are never two live jobs";
pub(crate) const RIGHT_VERDICTS: &str = "no verdict is wrong";
pub(crate) const OWN_SERVER: &str = "only the service's own server makes it healthy";
pub(crate) const FINAL_ENDS: &str = "nothing moves an end";
pub(crate) const SETTLES: &str = "once nothing breaks any more, all settles";

/// Every kind of cluster.
pub(crate) const CLUSTERS: [Cluster; 6] = [
    Cluster { remembers: false, books: Books::Accounting },
    Cluster { remembers: true, books: Books::ExitRecord },
    Cluster { remembers: true, books: Books::None },
    Cluster { remembers: true, books: Books::Accounting },
    Cluster { remembers: false, books: Books::ExitRecord },
    Cluster { remembers: false, books: Books::None },
];
