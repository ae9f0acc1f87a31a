//! SUBMITTED, STARTING and HEALTHY: what goes on, and how long it may.

use std::time::Duration;

use super::clues::{self, Clue};
use super::evidence::Evidence;
use super::explanation::{Explanation, Outlook, Topic};
use super::far_end::{FarEnd, Reach};
use super::route;
use super::words::span;
use crate::job::JobState;
use crate::known_job::{Job, Run};
use crate::lifecycle::{Life, Phase};
use crate::service::Service;
use crate::time::Timestamp;

/// Of a service whose submission is not settled.
pub(super) fn submitted(service: &Service, now: Timestamp) -> Explanation {
    let (name, life) = (&service.spec.name, &service.life);
    let sentence = format!("service {name} is being submitted: {}", life.why());
    let advice = match (&life.phase, life.absence) {
        (Phase::Sending { .. }, Some(absence)) => {
            let left = absence.since.plus(life.terms.settle).since(now);
            format!(
                "wait; every look goes on settling it, for {} more at least, so that no job is ever submitted twice; \
                 `towline stop {name}` cancels whatever appears",
                span(left)
            )
        }
        _ => format!("wait; `towline refresh {name}` goes on with it, `towline stop {name}` ends it"),
    };
    Explanation::new(sentence, Outlook::Waits, advice)
}

/// Of a service whose job was accepted and not seen since.
pub(super) fn accepted(service: &Service, job: &Job) -> Explanation {
    let sentence = format!(
        "service {} is submitted: {}, which was not seen in the queue yet",
        service.spec.name,
        service.life.why()
    );
    Explanation::new(sentence, Outlook::Waits, "wait a little and ask again")
        .found(Topic::Job, format!("job {}", job.id))
}

/// Of a service whose job runs and whose server has not answered yet.
pub(super) fn starting(service: &Service, job: &Job, evidence: &Evidence, now: Timestamp) -> Explanation {
    let (name, id) = (&service.spec.name, &job.id);
    let on = job.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
    let Some((run, JobState::Running)) = job.run.as_ref().zip(job.state.as_ref()) else {
        let state = job.word.as_deref().unwrap_or("in an unknown state");
        let sentence =
            format!("service {name} is starting: job {id}{on} is {state}, and its command does not run");
        return Explanation::new(sentence, Outlook::Waits, "wait; the grace period does not run meanwhile")
            .found(Topic::Job, format!("job {id} is {state}"))
            .found_some(Topic::Node, evidence.node.clone());
    };
    let (runs, left) = (run.before.saturating_add(now.since(run.since)), grace_left(run, service, now));
    let clue = evidence.log.as_deref().and_then(clues::find);
    let Server { told, outlook, advice } = server(service, clue.as_ref());
    let sentence = format!("service {name} is starting: job {id} runs{on} for {}, and {told}", span(runs));
    let grace = match left {
        Some(left) => format!("{} left of {}", span(left), span(service.life.terms.grace)),
        None => format!("{} are over; one more ping in vain ends it", span(service.life.terms.grace)),
    };
    let told = Explanation::new(sentence, outlook, advice)
        .found(Topic::Run, format!("for {}, since {}", span(runs), run.since.whole_secs()))
        .found(Topic::Grace, grace);
    route::links(told, &service.life, job, evidence)
        .found_some(Topic::Log, clue.map(|clue| clue.line))
        .with_log(evidence)
}

/// What is to be said of a server that has not answered as it should yet.
struct Server {
    told: String,
    outlook: Outlook,
    advice: String,
}

/// A server that answers with a status that does not count is asked for the wrong path, or is still loading: many answer
/// so with a 5xx meanwhile. What a log says of one that is silent may have done it no harm.
fn server(service: &Service, clue: Option<&Clue>) -> Server {
    let (name, health) = (&service.spec.name, &service.spec.health);
    let far = FarEnd::of(service);
    let wait = || {
        let wait =
            format!("wait, or follow it with `towline logs -f {name}`; --grace gives the next one more time");
        clue.map_or(wait.clone(), |clue| format!("{wait}; {}", clue.perhaps()))
    };
    let status = match far.reach {
        Reach::HttpError(status) => status,
        Reach::ForwardingProhibited | Reach::NameUnresolved | Reach::NodeRefuses | Reach::LoopbackOnly => {
            let advice = far.advice.unwrap_or_else(wait);
            return Server { told: far.text, outlook: Outlook::Blocked, advice };
        }
        Reach::NoWay | Reach::NodeUnreachable | Reach::WrongNode => {
            let advice = far.advice.unwrap_or_else(wait);
            return Server { told: far.text, outlook: Outlook::Waits, advice };
        }
        Reach::NotReady | Reach::Hangs | Reach::Closes | Reach::NotHttp => {
            let told = format!("its server has not answered {health}: {}", far.text);
            return Server { told, outlook: Outlook::Waits, advice: wait() };
        }
        Reach::Answers
        | Reach::Unconfirmed
        | Reach::NotAsked
        | Reach::NotListeningYet
        | Reach::NothingListens => {
            let told = format!("its server has not answered {health}");
            return Server { told, outlook: Outlook::Waits, advice: wait() };
        }
    };
    let counts = service.spec.ready.statuses();
    let told = format!("its server answers {health} with HTTP status {status}, where only {counts} counts");
    let again = "stop it and start it again with `--health PATH`, a path that it answers with a 2xx";
    match status {
        500.. => Server {
            told,
            outlook: Outlook::Waits,
            advice: format!("wait: many servers answer so while they load; if it stays so, {again}"),
        },
        _ => Server {
            told,
            outlook: Outlook::Blocked,
            advice: format!("{again}, or wait if it will answer {health} so once it has loaded"),
        },
    }
}

/// How much of the grace period is left; `None` once it is over.
fn grace_left(run: &Run, service: &Service, now: Timestamp) -> Option<Duration> {
    service.life.terms.grace.checked_sub(now.since(run.since)).filter(|left| !left.is_zero())
}

/// Of a service that answers.
pub(super) fn healthy(service: &Service, evidence: &Evidence, now: Timestamp) -> Explanation {
    let (name, life) = (&service.spec.name, &service.life);
    let sentence = format!(
        "service {name} is healthy: it has answered {} for {}, since {}",
        service.spec.health,
        span(now.since(life.since)),
        life.since.whole_secs()
    );
    let advice = match (service.url(), life.tunnel_unwanted) {
        (Some(url), _) => format!("nothing needs to be done; it answers at {url}"),
        (None, true) => {
            format!("nothing needs to be done; `towline tunnel open {name}` opens its tunnel again")
        }
        (None, false) => "nothing needs to be done".to_owned(),
    };
    let job = life.phase.job();
    let on = |job: &Job| job.node.as_ref().map(|node| format!("job {} runs on {node}", job.id));
    let ends = job.and_then(|job| job.run.as_ref()?.ends_at);
    Explanation::new(sentence, Outlook::Fine, advice)
        .found_some(
            Topic::Http,
            life.ping.as_ref().map(|ping| format!("answered {} ago", span(now.since(ping.at)))),
        )
        .found_some(Topic::Job, job.and_then(on))
        .found_some(Topic::Run, ends.map(|at| format!("{} left of its time limit", span(at.since(now)))))
        .found_some(Topic::Node, evidence.node.clone())
}

/// A stop that is not confirmed yet.
pub(super) fn stop(service: &Service) -> Option<String> {
    let stop = service.life.stop.as_ref()?;
    Some(match (stop.cancelled_at, &stop.failed) {
        (Some(at), _) => format!(
            "asked for; the scheduler heard the cancel at {}, and the job's end is still to be seen",
            at.whole_secs()
        ),
        (None, Some(failed)) => {
            format!(
                "asked for at {}; the cancel does not get through: {}",
                stop.asked_at.whole_secs(),
                failed.why
            )
        }
        (None, None) => {
            format!("asked for at {}, due at {}", stop.asked_at.whole_secs(), stop.due.whole_secs())
        }
    })
}

/// Why the last look told nothing, and when the next one may, unless it may at once.
pub(super) fn doubt(life: &Life, now: Timestamp) -> Option<String> {
    let doubt = life.no_news()?;
    let next = doubt
        .not_before(now)
        .map(|at| format!("; the next try is in {} at the earliest", span(at.since(now))));
    Some(format!("no news since {}: {}{}", doubt.since.whole_secs(), doubt.why, next.unwrap_or_default()))
}

/// How old what is known is, where it could not be made new.
pub(super) fn age(life: &Life, evidence: &Evidence, now: Timestamp) -> Option<String> {
    if life.no_news().is_none() && evidence.reached != Some(false) {
        return None;
    }
    Some(match life.observed_at {
        Some(at) => format!("last known {} ago, at {}", span(now.since(at)), at.whole_secs()),
        None => "nothing of it was ever seen".to_owned(),
    })
}
