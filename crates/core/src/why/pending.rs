//! PENDING: why the job waits in its queue.

use super::evidence::{Evidence, Limit};
use super::explanation::{Explanation, Outlook, Topic};
use super::partitions;
use super::reasons::{self, Facet, Nature, Reason};
use super::words::span;
use crate::known_job::Job;
use crate::service::Service;
use crate::time::Timestamp;

/// Why a PENDING service waits.
pub(super) fn pending(service: &Service, job: &Job, evidence: &Evidence, now: Timestamp) -> Explanation {
    let word = evidence.reason.as_deref().or(job.reason.as_deref()).unwrap_or("None");
    let reason = reasons::read(word).unwrap_or_else(|| unknown(word));
    let reason = partitions::weigh(reason, service, evidence);
    let (name, id) = (&service.spec.name, job.id.as_str());
    let over = over_limit(&reason, evidence);
    let because = match &over {
        Some(over) => format!("{} ({over})", reason.meaning),
        None => reason.meaning.clone(),
    };
    let moves = reason.nature != Nature::Held && reason.outlook != Outlook::Never;
    let start = start(evidence, now).filter(|_| moves);
    let stands = match reason.outlook {
        Outlook::Never => "will never start as it is",
        Outlook::Blocked => "waits for somebody to act",
        _ => "waits in the queue",
    };
    let expected = start.as_ref().map(|start| format!("; its start is expected {start}")).unwrap_or_default();
    let sentence = format!("service {name} {stands}: {because}{expected}");
    let advice = advice(&reason, service, evidence).replace("ID", id);
    Explanation::new(sentence, reason.outlook, advice)
        .found(Topic::Reason, word)
        .found(Topic::Job, format!("job {id}, PENDING for {}", span(now.since(service.life.since))))
        .found_some(Topic::Queue, position(evidence).filter(|_| moves))
        .found_some(Topic::Start, start)
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
        nature: Nature::Job,
    }
}

/// Of nodes that cannot be had: other ones may do, by what it asks for.
fn advice(reason: &Reason, service: &Service, evidence: &Evidence) -> String {
    let names_nodes = evidence.asked.nodelist.is_some() || service.spec.resources.nodelist.is_some();
    match reason.facet {
        Facet::Nodelist if names_nodes => {
            format!("{}; or stop it and start it again without that --nodelist", reason.advice)
        }
        Facet::Nodelist => {
            format!("{}; fewer --nodes, or another --partition, may start earlier", reason.advice)
        }
        _ => reason.advice.clone(),
    }
}

/// What the job asks for of that which the reason is about.
fn asked(reason: &Reason, evidence: &Evidence) -> Option<String> {
    Some(format!("{} {}", reason.facet.name(), reason.facet.of(&evidence.asked)?))
}

/// The limits that the reason is about.
fn limits(reason: &Reason, evidence: &Evidence) -> Option<String> {
    let told: Vec<String> = partitions::limits_on(reason, evidence)
        .iter()
        .map(|limit| format!("{} {} of {}", limit.name, limit.value, limit.of))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// What is asked for beside what is allowed, where both are known.
fn over_limit(reason: &Reason, evidence: &Evidence) -> Option<String> {
    let allowed: Vec<String> = partitions::limits_on(reason, evidence)
        .iter()
        .map(|limit| format!("{} allows {}", limit.of, allowance(limit)))
        .collect();
    if allowed.is_empty() {
        return None;
    }
    let allowed = allowed.join(", ");
    match reason.facet.of(&evidence.asked) {
        Some(asked) => Some(format!("it asks for {asked}, {allowed}")),
        None => Some(allowed),
    }
}

/// A limit's value with its unit, where the scheduler leaves that out: `scontrol` tells memory in MiB.
fn allowance(limit: &Limit) -> String {
    match limit.name.as_str() {
        "MaxMemPerNode" => format!("{}M per node", limit.value),
        "MaxMemPerCPU" => format!("{}M per CPU", limit.value),
        _ => limit.value.clone(),
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
    Some(format!("in {}, at {}", span(at.since(now)), at.whole_secs()))
}
