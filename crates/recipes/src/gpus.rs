//! How many GPUs a job asks for.

use towline_core::resources::Resources;

/// The number of GPUs that a job asks for: of all in `gpus`, or else of those in `gres`, which is a node's. `None` if it
/// asks for none, or in words that only the scheduler understands.
///
/// `sbatch(1)`: `--gpus=[type:]number[,...]`, `--gres=name[[:type]:count][,...]`, where no count is one.
pub(crate) fn count(resources: &Resources) -> Option<u64> {
    let counted = match (&resources.gpus, &resources.gres) {
        (Some(gpus), _) => sum(gpus.split(',').map(|part| part.rsplit(':').next().unwrap_or(part))),
        (None, Some(gres)) => sum(gres.split(',').filter_map(gpus_of_gres)),
        (None, None) => None,
    };
    counted.filter(|count| *count > 0)
}

/// Whether GPUs are among what `gres` names, be it none of them.
pub(crate) fn are_in(gres: &str) -> bool {
    gres.split(',').any(|part| part.split([':', '(']).next() == Some("gpu"))
}

fn gpus_of_gres(part: &str) -> Option<&str> {
    // A list of sockets may follow in brackets.
    let part = part.split('(').next().unwrap_or(part);
    let rest = part.strip_prefix("gpu")?;
    match rest.rsplit_once(':') {
        None if rest.is_empty() => Some("1"),
        None => None,
        Some((_, last)) if last.bytes().all(|byte| byte.is_ascii_digit()) => Some(last),
        Some(_) => Some("1"),
    }
}

fn sum<'a>(counts: impl Iterator<Item = &'a str>) -> Option<u64> {
    counts.map(|count| count.trim().parse::<u64>().ok()).try_fold(0_u64, |sum, count| sum.checked_add(count?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus(gpus: Option<&str>, gres: Option<&str>) -> Option<u64> {
        count(&Resources { gpus: gpus.map(Into::into), gres: gres.map(Into::into), ..Resources::default() })
    }

    #[test]
    fn both_notations_are_counted() {
        assert_eq!(gpus(Some("2"), None), Some(2));
        assert_eq!(gpus(Some("a100:4"), None), Some(4));
        assert_eq!(gpus(Some("a100:1,v100:2"), Some("gpu:8")), Some(3));
        assert_eq!(gpus(None, Some("gpu")), Some(1));
        assert_eq!(gpus(None, Some("gpu:a100,gpu:2g.10gb")), Some(2));
        assert_eq!(gpus(None, Some("shard:9,gpu:a100:2,gpu:3(S:0-1)")), Some(5));
    }

    #[test]
    fn none_and_nonsense_are_none() {
        for (gpu, gres) in [(None, None), (Some("0"), None), (Some("many"), None), (None, Some("shard:2"))] {
            assert_eq!(gpus(gpu, gres), None, "{gpu:?} {gres:?}");
        }
        assert_eq!(gpus(Some("18446744073709551615,1"), None), None);
        assert_eq!(gpus(None, Some("gpux")), None);
    }
}
