//! What is known of a service in a container: by its job, and by the engine.

use std::collections::BTreeMap;

use towline_core::engine::error_chain;
use towline_core::id::ServiceId;
use towline_core::job::{ExitStatus, JobEnd, JobReport, JobState, Outcome, Sight, Sighting};

use super::engine::AskError;
use super::kept::{Ended, name};
use super::state::{End, State};

/// What an engine says of all its containers.
pub(crate) type Answer = Result<BTreeMap<String, State>, AskError>;

/// Joins what is seen of a service's job with what its engine says of the container. `ended` is what the job itself told of
/// the container's end; it counts once the job is gone.
pub(crate) fn verdict(sighting: Sighting, id: ServiceId, ended: Option<Ended>, answer: &Answer) -> Sighting {
    let Sight::Seen(report) = sighting.sight.clone() else { return sighting };
    let seen = |report: JobReport| Sighting { sight: Sight::Seen(report), ..sighting.clone() };
    let has_ended = report.state.has_ended();
    if let (true, Some(ended)) = (has_ended, ended) {
        return seen(with_memory(report, ended.end));
    }
    let state = match answer {
        Ok(states) => states.get(&name(id)),
        Err(error) => return unseen(error_chain(error), &sighting),
    };
    match state {
        Some(State::Unknown(word)) => {
            unseen(format!("container {} is in a state that is not known: {word:?}", name(id)), &sighting)
        }
        None | Some(State::Created) => seen(report),
        Some(state) if has_ended => left(state, report, &sighting, id),
        Some(state) => {
            let was_up = sighting.place.as_ref().is_some_and(|place| place.listening);
            seen(alive(state, report, was_up, id))
        }
    }
}

fn unseen(why: String, sighting: &Sighting) -> Sighting {
    Sighting { at: sighting.at, ..Sighting::unseen(why) }
}

/// The job goes on: it follows the container, and is soon to tell of its end.
fn alive(state: &State, report: JobReport, was_up: bool, id: ServiceId) -> JobReport {
    if report.state != JobState::Running {
        return report;
    }
    let name = name(id);
    let because = |state: JobState, word: &str, reason: String| JobReport {
        state,
        word: word.to_owned(),
        reason: Some(reason),
        ..report.clone()
    };
    match state {
        State::Paused => because(
            JobState::Suspended,
            "PAUSED",
            format!("container {name} is paused; unpause it with the program that did so"),
        ),
        State::Restarting => {
            because(JobState::Running, "RESTARTING", format!("container {name} is being started again"))
        }
        // Before that it may be started anew on another port.
        State::Leaving(word) if was_up => {
            because(JobState::Leaving, "COMPLETING", format!("container {name} is {word}"))
        }
        State::Ended(_) if was_up => {
            because(JobState::Leaving, "COMPLETING", format!("container {name} has ended"))
        }
        State::Running | State::Leaving(_) | State::Ended(_) | State::Created | State::Unknown(_) => report,
    }
}

/// The job is gone and did not see the container's end.
fn left(state: &State, report: JobReport, sighting: &Sighting, id: ServiceId) -> Sighting {
    let name = name(id);
    match state {
        State::Running | State::Paused | State::Restarting | State::Leaving(_) => {
            let reason =
                format!("the job is gone and has left container {name} behind: stop the service to end it");
            let report = JobReport {
                state: JobState::Leaving,
                word: "COMPLETING".to_owned(),
                reason: Some(reason),
                ..report
            };
            Sighting { sight: Sight::Seen(report), place: None, exit: None, at: sighting.at }
        }
        State::Ended(end) => {
            let report = with_memory(with_exit(report, *end), *end);
            Sighting { sight: Sight::Seen(report), ..sighting.clone() }
        }
        State::Created | State::Unknown(_) => Sighting { sight: Sight::Seen(report), ..sighting.clone() },
    }
}

/// What the engine knows of an end of which the job left no record.
fn with_exit(report: JobReport, end: End) -> JobReport {
    match report.state {
        JobState::Ended(known) if known.exit.is_none() => {
            let recorded = JobEnd::recorded(ExitStatus { code: end.code, signal: signal(end.code) });
            let outcome = if known.outcome == Outcome::Failed { recorded.outcome } else { known.outcome };
            JobReport {
                state: JobState::Ended(JobEnd { outcome, reason: None, ..recorded }),
                reason: None,
                ..report
            }
        }
        _ => report,
    }
}

/// As a shell tells it: 128 and more.
fn signal(code: u8) -> Option<u8> {
    code.checked_sub(128).filter(|signal| (1..=64).contains(signal))
}

/// A failure for want of memory is told as that.
fn with_memory(report: JobReport, end: End) -> JobReport {
    match report.state {
        JobState::Ended(known) if known.outcome == Outcome::Failed && end.out_of_memory => JobReport {
            state: JobState::Ended(JobEnd { outcome: Outcome::OutOfMemory, ..known }),
            word: "OUT_OF_MEMORY".to_owned(),
            ..report
        },
        _ => report,
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
