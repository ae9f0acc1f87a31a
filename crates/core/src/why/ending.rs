//! STOPPED, TIMEOUT and FAILED: what ended it, and what may help the next time.

use super::clues::{self, Clue};
use super::evidence::Evidence;
use super::explanation::{Explanation, Outlook, Topic};
use super::far_end;
use super::words::{size, span};
use crate::job::{ExitStatus, Outcome, Place};
use crate::lifecycle::{Cause, Echo, Ending};
use crate::service::Service;

/// Why a service ended.
pub(super) fn ended(service: &Service, ending: &Ending, evidence: &Evidence) -> Explanation {
    let name = &service.spec.name;
    let exit = exit(&ending.cause);
    let clue = tells_of_the_end(&ending.cause).then(|| clue(evidence, exit)).flatten();
    let memory = memory(service, evidence);
    let is_memory = outcome(&ending.cause) == Some(Outcome::OutOfMemory);
    let details = match (&clue, &memory) {
        (_, Some(memory)) if is_memory => format!("; {memory}"),
        (Some(clue), _) if clue.line.is_empty() => format!(": {}", clue.meaning),
        (Some(clue), _) => format!("; its log says that {}", clue.meaning),
        (None, _) => String::new(),
    };
    let sentence = format!("service {name} ended as {}: {}{details}", service.status(), ending.cause);
    let advice = advice(service, ending, evidence, clue.as_ref());
    let explanation = Explanation::new(sentence, Outlook::Ended, advice)
        .found(Topic::Cause, ending.cause.meaning())
        .found_some(Topic::Exit, exit.map(tell_exit))
        .found_some(Topic::Memory, memory)
        .found_some(Topic::Log, clue.map(|clue| clue.line).filter(|line| !line.is_empty()))
        .found_some(Topic::Job, ending.job.as_ref().map(|job| format!("job {}", job.id)))
        .found_some(Topic::Run, lasted(ending));
    if may_have_log(&ending.cause) { explanation.with_log(evidence) } else { explanation }
}

const fn outcome(cause: &Cause) -> Option<Outcome> {
    let Cause::Job(end) = cause else { return None };
    Some(end.outcome)
}

fn exit(cause: &Cause) -> Option<ExitStatus> {
    let Cause::Job(end) = cause else { return None };
    end.exit
}

/// How long the last run lasted, by our clock.
fn lasted(ending: &Ending) -> Option<String> {
    let run = ending.job.as_ref()?.run.as_ref()?;
    Some(format!("for {}", span(run.before.saturating_add(ending.at.since(run.since)))))
}

/// Whether the command may have said why: it ended by itself, or was never heard.
const fn tells_of_the_end(cause: &Cause) -> bool {
    match cause {
        Cause::Job(end) => matches!(end.outcome, Outcome::Failed | Outcome::Completed | Outcome::OutOfMemory),
        Cause::GraceSpent { .. } | Cause::Vanished => true,
        Cause::Requested | Cause::Refused(_) | Cause::NotSent(_) => false,
    }
}

const fn may_have_log(cause: &Cause) -> bool {
    !matches!(cause, Cause::Refused(_) | Cause::NotSent(_))
}

/// What the log says or, if it is silent, the exit code: those of a shell that could not start a command. Such a code
/// also tells which file it is that is missing.
fn clue(evidence: &Evidence, exit: Option<ExitStatus>) -> Option<Clue> {
    let code = exit.filter(|exit| exit.signal.is_none()).map(|exit| exit.code);
    let of_code = |meaning, advice| move |line| Clue { meaning, advice, line };
    let cannot_start = match code {
        Some(126) => Some(of_code(
            "a command could not be executed",
            "check that it is a program and executable (`ls -l` there), or name its interpreter",
        )),
        Some(127) => Some(of_code(
            "a command was not found",
            "name it by its whole path, or put it on the PATH there with --setup",
        )),
        _ => None,
    };
    let found = evidence.log.as_deref().and_then(clues::find);
    match (found, cannot_start) {
        (Some(clue), Some(cannot_start)) if clue.meaning == clues::NO_FILE => Some(cannot_start(clue.line)),
        (Some(clue), _) => Some(clue),
        (None, cannot_start) => cannot_start.map(|cannot_start| cannot_start(String::new())),
    }
}

/// Exit code or signal, with what it stands for.
fn tell_exit(exit: ExitStatus) -> String {
    let name = match (exit.signal, exit.code) {
        (Some(4), _) => "SIGILL, an instruction that the processor does not have",
        (Some(6), _) => "SIGABRT, the program gave up",
        (Some(7 | 11), _) => "the program reached for memory that is not its own",
        (Some(9), _) => "SIGKILL, by the kernel, the scheduler or a person",
        (Some(15), _) => "SIGTERM, it was asked to end",
        (None, 126) => "what a shell says of a command that cannot be executed",
        (None, 127) => "what a shell says of a command that was not found",
        _ => return exit.to_string(),
    };
    format!("{exit} ({name})")
}

/// Limit and peak of the memory, as far as they are known.
fn memory(service: &Service, evidence: &Evidence) -> Option<String> {
    let limit = evidence.memory.limit.map(size).or_else(|| service.spec.resources.mem.clone());
    match (limit, evidence.memory.peak.map(size)) {
        (Some(limit), Some(peak)) => Some(format!("its limit was {limit}, the peak that was seen {peak}")),
        (Some(limit), None) => Some(format!("its limit was {limit}, and no peak was recorded")),
        (None, Some(peak)) => Some(format!("the peak that was seen was {peak}")),
        (None, None) => None,
    }
}

fn advice(service: &Service, ending: &Ending, evidence: &Evidence, clue: Option<&Clue>) -> String {
    let name = &service.spec.name;
    let by_clue = |otherwise: String| clue.map_or(otherwise, |clue| clue.advice.to_owned());
    let logs = || format!("`towline logs {name}` prints all of its output");
    match &ending.cause {
        // The runner's own words in the log say less than what it recorded.
        Cause::GraceSpent { .. } => match clue.filter(|clue| !clue.line.starts_with("towline: ")) {
            Some(clue) if !answered(service) => clue.advice.to_owned(),
            Some(_) | None => silence(service, ending, evidence),
        },
        Cause::Job(end) => match end.outcome {
            Outcome::Completed => {
                by_clue("a service's command must stay in the foreground for as long as it serves".to_owned())
            }
            Outcome::OutOfMemory => "ask for more with --mem".to_owned(),
            Outcome::TimeLimit | Outcome::Deadline => "ask for more with --time".to_owned(),
            Outcome::Preempted => "let the scheduler start it again with --requeue".to_owned(),
            Outcome::Failed => by_clue(logs()),
            Outcome::NodeFail | Outcome::BootFail => {
                "start it again; --requeue lets the scheduler do so by itself".to_owned()
            }
            Outcome::Cancelled => "start it again if it is still wanted".to_owned(),
        },
        Cause::Vanished => by_clue(logs()),
        Cause::Requested => "start it again if it is still wanted".to_owned(),
        Cause::Refused(_) => "change what the scheduler's words name and start it again".to_owned(),
        Cause::NotSent(_) => {
            format!(
                "start it again; `towline doctor --profile {}` checks the way there",
                service.spec.profile
            )
        }
    }
}

/// Whether the server answered the last ping, but with a status that does not count: it was there.
fn answered(service: &Service) -> bool {
    let echo = service.life.ping.as_ref().map(|ping| &ping.echo);
    matches!(echo, Some(Echo::Silent(what)) if far_end::status(what).is_some())
}

/// What may help when a server was never heard.
fn silence(service: &Service, ending: &Ending, evidence: &Evidence) -> String {
    match ending.job.as_ref().and_then(|job| job.place()) {
        Some(Place { listening: true, loopback: true, host, .. }) if !evidence.is_local => format!(
            "the server listens on the loopback interface of {host} only, out of reach: let it bind 0.0.0.0"
        ),
        Some(Place { listening: true, .. }) => {
            let (health, counts) = (&service.spec.health, service.spec.ready.statuses());
            let said = match service.life.ping.as_ref().map(|ping| &ping.echo) {
                Some(Echo::Silent(what) | Echo::NoRoute(what)) => format!(" (last: {what})"),
                Some(Echo::Answered) | None => String::new(),
            };
            format!(
                "nothing answered {health} with {counts}{said}: name another path with --health, or more time with --grace"
            )
        }
        Some(_) | None => {
            "the server never listened on its port: let it take the port from '{port}' in its command \
                           or from $PORT, or give it more time with --grace"
                .to_owned()
        }
    }
}
