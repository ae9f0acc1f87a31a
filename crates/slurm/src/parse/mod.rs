//! Reads what Slurm's commands and our jobs print. A line that cannot be read harms no other.

pub(crate) mod records;
pub(crate) mod sacct;
pub(crate) mod squeue;

/// Slurm's ways to say "nothing".
pub(crate) fn told(text: &str) -> Option<&str> {
    let text = text.trim();
    let nothing = ["", "None", "(null)", "N/A", "n/a", "NONE", "Unknown", "None assigned", "INVALID"];
    if nothing.contains(&text) { None } else { Some(text) }
}

/// A UNIX time, as printed under `SLURM_TIME_FORMAT=%s`.
pub(crate) fn epoch(text: &str) -> Option<i64> {
    told(text)?.parse().ok().filter(|&seconds| seconds > 0)
}

/// The token at the end of one of our jobs' names.
pub(crate) fn token(name: &str) -> Option<towline_core::id::ServiceId> {
    const UUID: usize = 36;
    let name = name.trim_end();
    let start = name.len().checked_sub(UUID)?;
    name.get(start..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ID;

    #[test]
    fn a_token_stands_at_the_end_of_a_name() {
        assert_eq!(token(&format!("web-{ID}")).map(|id| id.to_string()).as_deref(), Some(ID));
        assert_eq!(token(&format!("odd | name-{ID}")).map(|id| id.to_string()).as_deref(), Some(ID));
        for other in ["", "web", &format!("{ID}-web"), &format!("é{}", &ID[1..]), &ID[1..]] {
            assert_eq!(token(other), None, "{other}");
        }
    }

    #[test]
    fn slurm_has_many_words_for_nothing() {
        assert_eq!(epoch("1795409883"), Some(1_795_409_883));
        for nothing in ["", "N/A", "NONE", "Unknown", "None", "0", "2026-11-23T03:22:52"] {
            assert_eq!(epoch(nothing), None, "{nothing}");
        }
        assert_eq!(
            told("ReqNodeNotAvail, UnavailableNodes:c2"),
            Some("ReqNodeNotAvail, UnavailableNodes:c2")
        );
    }
}
