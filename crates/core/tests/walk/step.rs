//! The steps of a history, and which of them go out of the way.

use towline_core::lifecycle::Action;

use crate::calls::Outcome;
use crate::errand::Verb;
use crate::state::State;
use crate::world::Event;

/// One step of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// A process is called.
    Begin(usize, Verb),
    /// It records that it is about to submit.
    Announce(usize),
    /// It makes one of the calls that it planned, and that comes to this.
    Act(usize, usize, Outcome),
    /// It folds the answers.
    Fold(usize),
    /// It records what has changed.
    Save(usize),
    /// It is killed.
    Kill(usize),
    /// Something happens to a job.
    Happen(usize, Event),
    /// Time passes.
    Pass,
}

impl Step {
    /// Whether it goes out of the way. Of what is smooth there is no end: processes look, one at a time, their calls get
    /// through, the server answers or does not, a job is listed, runs, publishes its place and ends in any way. All
    /// else is what a walk counts.
    pub(crate) fn is_rare(self, state: &State) -> bool {
        let is_anybody_busy = || state.processes.iter().any(Option::is_some);
        match self {
            Self::Begin(_, Verb::Look) | Self::Pass => is_anybody_busy(),
            Self::Begin(..) | Self::Kill(_) => true,
            Self::Announce(_) | Self::Fold(_) | Self::Save(_) => false,
            Self::Act(_, _, Outcome::Done) => false,
            Self::Act(process, index, outcome) => {
                let todo = state.processes[process].as_ref().map(|turn| turn.stage.todo());
                let is_ping = todo.is_some_and(|todo| matches!(todo[index], Action::Ping { .. }));
                !(is_ping && outcome == Outcome::Refused)
            }
            Self::Happen(_, event) => match event {
                Event::List | Event::Run | Event::Listen | Event::Resume | Event::End(_) | Event::CatchUp => {
                    false
                }
                Event::Configure
                | Event::Intend
                | Event::Suspend
                | Event::Leave
                | Event::Requeue
                | Event::Forget(_) => true,
            },
        }
    }
}
