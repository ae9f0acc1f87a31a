//! Words that Slurm says of a job in one partition, where the job may go to several.
//!
//! `slurmctld` tries a job's partitions one after the other and keeps the word that it found last (`schedule` in
//! `job_scheduler.c`), so that another one may well start the job.

use super::evidence::{Evidence, Limit};
use super::explanation::Outlook;
use super::reasons::{Facet, Nature, Reason};
use crate::service::Service;

/// What the limits of one partition make of what the job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Excluded,
    Unknown,
}

/// What a word that is said of one partition comes to, given all partitions of the job and their limits: the job never
/// starts only if each of them excludes it.
pub(super) fn weigh(reason: Reason, service: &Service, evidence: &Evidence) -> Reason {
    if reason.nature != Nature::InPartition || reason.outlook == Outlook::Waits {
        return reason;
    }
    let names = names(service, evidence);
    let verdicts: Vec<Verdict> = names.iter().map(|name| verdict(&reason, evidence, name)).collect();
    if !verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict == Verdict::Excluded) {
        return never(reason);
    }
    let allowing: Vec<&str> = names
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| **verdict == Verdict::Allowed)
        .map(|(name, _)| *name)
        .collect();
    match (names.len(), reason.outlook) {
        (2.., _) => another(reason, &names, &allowing),
        (_, Outlook::Never) if !allowing.is_empty() => Reason {
            outlook: Outlook::Waits,
            meaning: format!(
                "the scheduler's last word is that {}, whose limit allows it now",
                reason.meaning
            ),
            advice: "wait a little and ask again".to_owned(),
            ..reason
        },
        _ => reason,
    }
}

/// The limits that a reason is about. A partition has only so many nodes whatever it allows, and may limit the memory of
/// a node as well as that of a CPU.
pub(super) fn limits_on<'a>(reason: &Reason, evidence: &'a Evidence) -> Vec<&'a Limit> {
    let named = |names: &[&str]| {
        evidence.limits.iter().filter(|limit| names.contains(&limit.name.as_str())).collect::<Vec<_>>()
    };
    let is_limited = |limit: &&Limit| limit.value != "UNLIMITED";
    match reason.limit {
        Some("MaxNodes") => {
            let mut all = named(&["MaxNodes", "TotalNodes"]);
            let key = |limit: &'a Limit| (&limit.of, count(&limit.value).unwrap_or(u64::MAX), &limit.name);
            all.sort_by_key(|limit| key(limit));
            all.dedup_by_key(|limit| &limit.of);
            all
        }
        Some("MaxMemPerNode") => {
            named(&["MaxMemPerNode", "MaxMemPerCPU"]).into_iter().filter(is_limited).collect()
        }
        Some(name) => named(&[name]),
        None => Vec::new(),
    }
}

/// The job's partitions, as far as they are known.
fn names<'a>(service: &'a Service, evidence: &'a Evidence) -> Vec<&'a str> {
    let asked = evidence.asked.partition.as_deref().or(service.spec.resources.partition.as_deref());
    asked.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

fn verdict(reason: &Reason, evidence: &Evidence, partition: &str) -> Verdict {
    let asked = reason.facet.of(&evidence.asked);
    let is_its = |limit: &&Limit| limit.of.strip_prefix("partition ") == Some(partition);
    let allowed: Vec<Option<bool>> = limits_on(reason, evidence)
        .into_iter()
        .filter(is_its)
        .map(|limit| Some(amount(reason.facet, asked?)? <= amount(reason.facet, &limit.value)?))
        .collect();
    match allowed.as_slice() {
        [] => Verdict::Unknown,
        all if all.contains(&Some(false)) => Verdict::Excluded,
        all if all.contains(&None) => Verdict::Unknown,
        _ => Verdict::Allowed,
    }
}

/// Each partition excludes it, and not for nodes that are down at present.
fn never(reason: Reason) -> Reason {
    match reason.facet {
        Facet::Nodes => Reason {
            outlook: Outlook::Never,
            meaning: "it asks for more nodes than its partition allows or has".to_owned(),
            advice: "stop it and ask for fewer --nodes, or for another --partition".to_owned(),
            ..reason
        },
        _ => reason,
    }
}

/// One partition does not start it as it is, another one may.
fn another(reason: Reason, names: &[&str], allowing: &[&str]) -> Reason {
    let others = match allowing {
        [] => format!("another one of its partitions ({}) may", names.join(", ")),
        [one] => format!("partition {one} may"),
        several => format!("partitions {} may", several.join(", ")),
    };
    Reason {
        outlook: Outlook::Waits,
        meaning: format!("{others} start it, while the scheduler says of one that {}", reason.meaning),
        advice: match allowing {
            [] => {
                "wait until one of its partitions starts it; `scontrol show partition` on the cluster tells \
                   what each allows"
                    .to_owned()
            }
            some => format!("wait: {} allows what it asks for", some.join(", ")),
        },
        ..reason
    }
}

/// An amount that can be compared; `None` of what cannot be.
fn amount(facet: Facet, text: &str) -> Option<u64> {
    match facet {
        Facet::Time => seconds(text),
        Facet::Nodes => count(text),
        _ => None,
    }
}

/// A number of nodes, or the least of a range such as `2-4`.
fn count(text: &str) -> Option<u64> {
    match text {
        "UNLIMITED" => Some(u64::MAX),
        _ => text.split('-').next()?.parse().ok(),
    }
}

/// A span of time as `squeue` and `scontrol` print it, in seconds: `5:00`, `01:00:00`, `7-00:00:00`.
fn seconds(text: &str) -> Option<u64> {
    if text == "UNLIMITED" {
        return Some(u64::MAX);
    }
    let (days, clock) = text.split_once('-').map_or((None, text), |(days, clock)| (Some(days), clock));
    let mut units = [1_u64, 60, 3_600].into_iter();
    let mut sum = days.map_or(Some(0), |days| days.parse::<u64>().ok()?.checked_mul(86_400))?;
    for field in clock.rsplit(':') {
        sum = sum.checked_add(field.parse::<u64>().ok()?.checked_mul(units.next()?)?)?;
    }
    (days.is_none() || units.next().is_none()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_slurm_prints_them() {
        let told = ["0:30", "5:00", "00:02:00", "1:00:00", "7-00:00:00", "UNLIMITED"].map(seconds);
        assert_eq!(told, [30, 300, 120, 3_600, 604_800, u64::MAX].map(Some));
        for other in ["", "x:00", "1-2-3:00", "1-00:00", "1:2:3:4", "99999999999999999-00:00:00"] {
            assert_eq!(seconds(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_of_nodes_may_be_ranges() {
        assert_eq!(
            ["9", "2-4", "UNLIMITED", "1K", ""].map(count),
            [Some(9), Some(2), Some(u64::MAX), None, None]
        );
    }
}
