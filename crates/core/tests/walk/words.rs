//! Histories in words, one line a step.

use std::fmt::Write as _;

use stateright::Path;
use towline_core::lifecycle::{Action, Life, Phase};

use crate::calls::Outcome;
use crate::errand::{Stage, Verb};
use crate::state::State;
use crate::step::Step;
use crate::turn::Turn;
use crate::world::{End, Event, Listed};

/// A history and how the row stands after each step.
pub(crate) fn history(path: Path<State, Step>) -> String {
    let steps = path.into_vec();
    let mut text = String::new();
    let mut row = String::new();
    for (number, pair) in steps.windows(2).enumerate() {
        let ((before, step), (after, _)) = (&pair[0], &pair[1]);
        let Some(step) = step else { continue };
        write!(text, "{:>3}. {}", number + 1, line(before, *step)).unwrap_or_default();
        let now = stands(&after.row);
        if now != row {
            write!(text, " [{now}]").unwrap_or_default();
            row = now;
        }
        text.push('\n');
    }
    text
}

/// The row in a few words.
pub(crate) fn stands(row: &Life) -> String {
    let phase = match &row.phase {
        Phase::Intent => "SUBMITTED, nothing is sent".to_owned(),
        Phase::Sending { .. } => "SUBMITTED, its submission may be sent".to_owned(),
        Phase::Live { stage, job } => format!("{}, job {}", stage.status(), job.id),
        Phase::Ended(ending) => {
            let owes = if ending.owes_cancel { ", owes a cancel" } else { "" };
            format!("{}: {}{owes}", row.status(), ending.cause)
        }
    };
    let stop = if row.stop.is_some() { ", to be stopped" } else { "" };
    let tunnel = if row.tunnel.is_some() { ", with a tunnel" } else { "" };
    format!("{phase}{stop}{tunnel}")
}

fn name(process: usize) -> char {
    ['A', 'B'][process]
}

/// One step in words.
pub(crate) fn line(before: &State, step: Step) -> String {
    match step {
        Step::Pass => "a step of time passes, longer than every interval".into(),
        Step::Happen(job, event) => happens(before, job, event),
        Step::Kill(process) => format!("process {} is killed", name(process)),
        Step::Begin(process, verb) => format!("process {} reads the row, {}", name(process), wish(verb)),
        Step::Announce(process) | Step::Save(process) | Step::Fold(process) | Step::Act(process, ..) => {
            let deed = match before.processes[process].as_ref() {
                Some(turn) => deed(turn, step),
                None => "does nothing".into(),
            };
            format!("process {} {deed}", name(process))
        }
    }
}

const fn wish(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "to start the service",
        Verb::Look => "to look again",
        Verb::StopNow => "to stop the service at once, as FAILED",
        Verb::StopLater => "to stop the service after a delay, as STOPPED",
        Verb::OpenTunnel => "to open its tunnel",
        Verb::CloseTunnel => "to close its tunnel",
    }
}

fn deed(turn: &Turn, step: Step) -> String {
    let conflict = turn.read.is_some();
    match (step, &turn.stage) {
        (Step::Announce(_), _) if conflict => {
            "is too late to announce a submission, and reads the row again".into()
        }
        (Step::Announce(_), _) => "records that it is about to submit".into(),
        (Step::Save(_), _) if conflict => {
            "is too late to record what it knows, and adds it to the row as it is now".into()
        }
        (Step::Save(_), _) => "records what it knows".into(),
        (Step::Fold(_), _) => "gets its answers".into(),
        (Step::Act(_, index, outcome), Stage::Act { todo, .. }) => {
            format!("{}: {}", call(&todo[index]), comes_to(&todo[index], outcome))
        }
        _ => "goes on".into(),
    }
}

fn call(action: &Action) -> String {
    match action {
        Action::Submit => "submits".into(),
        Action::Survey => "asks the scheduler".into(),
        Action::Open { place, .. } => format!("opens a tunnel to place {}", place.host),
        Action::Ping { tunnel } => format!("pings place {}", tunnel.place.host),
        Action::Cancel { job } => format!("cancels job {job}"),
        Action::Close { tunnel } => format!("closes the tunnel to place {}", tunnel.place.host),
    }
}

const fn comes_to(action: &Action, outcome: Outcome) -> &'static str {
    match (action, outcome) {
        (Action::Ping { .. }, Outcome::Done) => "the server answers",
        (Action::Ping { .. }, Outcome::Refused) => "nothing answers there",
        (Action::Ping { .. }, Outcome::Stranger) => "a stranger's server answers there",
        (Action::Ping { .. }, _) => "there is no way to it",
        (Action::Survey, Outcome::Done) => "it answers",
        (Action::Survey, _) => "it tells nothing",
        (_, Outcome::Done) => "done",
        (_, Outcome::AnswerLost) => "done, but the answer is lost",
        (_, Outcome::Lost) => "it does not get through, and nobody can tell",
        (_, Outcome::NotDone) => "nothing is sent",
        (_, Outcome::Refused) => "refused",
        (_, Outcome::Recycled) => "done, under the number of a job long gone",
        (_, Outcome::Stranger) => "a stranger is in the way",
    }
}

fn happens(before: &State, index: usize, event: Event) -> String {
    let id = before.world.jobs[index].map(|job| job.job_id().to_string()).unwrap_or_default();
    let what = match event {
        Event::List => "is listed",
        Event::Configure => "gets its allocation, whose nodes are not ready",
        Event::Run => "runs",
        Event::Intend => "publishes a port that it will try",
        Event::Listen => "publishes the port on which its server listens",
        Event::Suspend => "is suspended",
        Event::Resume => "runs on",
        Event::Leave => "is completing",
        Event::End(End::Completed) => "ends: completed",
        Event::End(End::Cancelled) => "ends: cancelled",
        Event::End(End::TimeLimit) => "ends: time limit reached",
        Event::End(End::Failed) => "ends: failed",
        Event::Requeue => "is requeued",
        Event::Forget(Listed::Late) => "is forgotten by the queue, and accounting is late",
        Event::Forget(Listed::Accounting) => "is forgotten by the queue, and accounting has it",
        Event::Forget(_) => "is forgotten by the queue, and nothing else tells of it",
        Event::CatchUp => "is in accounting now as it ended",
    };
    format!("job {id} {what}")
}
