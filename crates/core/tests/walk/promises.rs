//! What must hold in every state.

use towline_core::job::{JobEnd, Outcome};
use towline_core::lifecycle::{Cause, EndStatus, Ending, Life, Phase, Status};

use crate::world::{Books, End, SimState, World};

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wrong {
    TwoJobs,
    Verdict,
    UnaskedCancel,
    StrangerIsHealthy,
    EndMoved,
    Change,
    NeverDone,
}

/// Whether a life that has ended on the way from `before` to `after` did so for a reason that is none.
pub(crate) fn is_unfounded(before: &Life, after: &Life, world: &World) -> bool {
    let (false, Phase::Ended(ending)) = (before.status().is_terminal(), &after.phase) else { return false };
    let Ending { status, cause, job, .. } = ending;
    let nothing_lives = world.live_jobs() == 0;
    match cause {
        Cause::Requested => !(world.stop_asked && nothing_lives),
        Cause::Refused(_) | Cause::NotSent(_) => !(*status == EndStatus::Failed && nothing_lives),
        Cause::Vanished => !(*status == EndStatus::Failed && nothing_lives),
        Cause::GraceSpent { .. } => {
            let mark = job.as_ref().and_then(|job| job.run.as_ref()).and_then(|run| run.mark);
            let silent = mark.is_some_and(|place| world.silent & (1 << place) != 0);
            !(*status == EndStatus::Timeout && silent)
        }
        Cause::Job(end) => {
            let id = job.as_ref().map(|job| &job.id);
            let mut ours = world.jobs().map(|(_, job)| job).filter(|job| Some(&job.job_id()) == id);
            !(end.status() == *status
                && ours.any(|job| matches!(job.state, SimState::Ended(really) if tells(end, really, world))))
        }
    }
}

/// Whether `end` is what is told of a job that really ended so. Of an exit code nobody can tell why it is not 0.
fn tells(end: &JobEnd, really: End, world: &World) -> bool {
    let exactly = end.outcome == really.job_end().outcome;
    let by_exit_code = world.cluster.books == Books::ExitRecord
        && (end.outcome == Outcome::Completed) == (really == End::Completed)
        && matches!(end.outcome, Outcome::Completed | Outcome::Failed);
    exactly || by_exit_code
}

/// Whether a row may be changed like that.
pub(crate) fn written(before: &Life, after: &Life) -> Option<Wrong> {
    use Status::{Failed, Healthy, Pending, Starting, Stopped, Submitted, Timeout, Unhealthy};
    if let Phase::Ended(ending) = &before.phase {
        let same = matches!(&after.phase, Phase::Ended(now) if (now.status, &now.cause) == (ending.status, &ending.cause));
        return (!same).then_some(Wrong::EndMoved);
    }
    let fine = match (before.status(), after.status()) {
        (Submitted | Pending | Starting, Unhealthy) => false,
        (Healthy | Unhealthy, Submitted | Pending | Starting) => false,
        (_, Submitted | Pending | Starting | Healthy | Unhealthy | Stopped | Timeout | Failed) => true,
    };
    (!fine).then_some(Wrong::Change)
}
