//! PENDING: why the job waits in its queue.

use super::evidence::{Evidence, Limit};
use super::explanation::{Explanation, Outlook, Topic};
use super::reasons::{self, Facet, Reason};
use super::words::span;
use crate::known_job::Job;
use crate::service::Service;
use crate::time::Timestamp;

/// Why a PENDING service waits.
pub(super) fn pending(service: &Service, job: &Job, evidence: &Evidence, now: Timestamp) -> Explanation {
    let word = evidence.reason.as_deref().or(job.reason.as_deref()).unwrap_or("None");
    let reason = reasons::read(word).unwrap_or_else(|| unknown(word));
    let (name, id) = (&service.spec.name, job.id.as_str());
    let over = over_limit(&reason, evidence);
    let because = match &over {
        Some(over) => format!("{} ({over})", reason.meaning),
        None => reason.meaning.clone(),
    };
    let start = start(evidence, now);
    let sentence = match reason.outlook {
        Outlook::Never => format!("service {name} will never start as it is: {because}"),
        Outlook::Blocked => format!("service {name} waits for somebody to act: {because}"),
        _ => match &start {
            Some(start) => {
                format!("service {name} waits in the queue: {because}; its start is expected {start}")
            }
            None => format!("service {name} waits in the queue: {because}"),
        },
    };
    let waits = reason.outlook == Outlook::Waits;
    let advice = reason.advice.replace("ID", id);
    Explanation::new(sentence, reason.outlook, advice)
        .found(Topic::Reason, word)
        .found(Topic::Job, format!("job {id}, PENDING for {}", span(now.since(service.life.since))))
        .found_some(Topic::Queue, position(evidence).filter(|_| waits))
        .found_some(Topic::Start, start.filter(|_| waits))
        .found_some(Topic::Asked, asked(&reason, evidence))
        .found_some(Topic::Limit, limits(&reason, evidence))
}

/// A word of a newer Slurm, or an administrator's own: it is passed on as it is.
fn unknown(word: &str) -> Reason {
    Reason {
        outlook: Outlook::Waits,
        meaning: format!("the scheduler says {word:?}, which Towline does not know"),
        advice: "squeue(1) and the cluster's administrators may tell what that means; `scontrol show job ID` on the \
                 cluster shows the job"
            .to_owned(),
        facet: Facet::Nothing,
        limit: None,
    }
}

/// What the job asks for of that which the reason is about.
fn asked(reason: &Reason, evidence: &Evidence) -> Option<String> {
    Some(format!("{} {}", reason.facet.name(), reason.facet.of(&evidence.asked)?))
}

/// The limits that the reason is about.
fn limits(reason: &Reason, evidence: &Evidence) -> Option<String> {
    let told: Vec<String> =
        about(reason, evidence).iter().map(|l| format!("{} {} of {}", l.name, l.value, l.of)).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// A partition without a limit of its own on nodes still has only so many.
fn about(reason: &Reason, evidence: &Evidence) -> Vec<Limit> {
    let named =
        |name: &str| evidence.limits.iter().filter(|limit| limit.name == name).cloned().collect::<Vec<_>>();
    match reason.limit {
        Some("MaxNodes") => {
            let own = named("MaxNodes");
            if own.is_empty() { named("TotalNodes") } else { own }
        }
        Some(name) => named(name),
        None => Vec::new(),
    }
}

/// What is asked for beside what is allowed, where both are known.
fn over_limit(reason: &Reason, evidence: &Evidence) -> Option<String> {
    let allowed: Vec<String> =
        about(reason, evidence).iter().map(|limit| format!("{} allows {}", limit.of, limit.value)).collect();
    if allowed.is_empty() {
        return None;
    }
    let allowed = allowed.join(", ");
    match reason.facet.of(&evidence.asked) {
        Some(asked) => Some(format!("it asks for {asked}, {allowed}")),
        None => Some(allowed),
    }
}

fn position(evidence: &Evidence) -> Option<String> {
    let position = evidence.position?;
    let partition = evidence.asked.partition.as_deref().unwrap_or("its partition");
    // Jobs may have come or gone between two looks.
    let (place, waiting) =
        (position.ahead.saturating_add(1), position.waiting.max(position.ahead.saturating_add(1)));
    Some(format!("number {place} of {waiting} that wait in {partition}"))
}

/// When the scheduler expects the job to start. A time in the past says nothing.
fn start(evidence: &Evidence, now: Timestamp) -> Option<String> {
    let at = evidence.starts_at.filter(|at| *at > now)?;
    Some(format!("in {}, at {at}", span(at.since(now))))
}
