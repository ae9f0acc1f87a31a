//! Small things that every output of Slurm's is made of.

use std::collections::BTreeSet;

use towline_core::id::ServiceId;

/// Characters of a UUID as we write it: lower case, with hyphens.
const UUID: usize = 36;

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

/// An amount of memory in bytes, such as `100M`, `1.50G` or `102400K`. Before 21.08 `ReqMem` ends in `n` or `c`, for
/// each node or CPU (sacct(1)).
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches(['n', 'c']);
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match &text[number.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        _ => return None,
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let decimals = decimals.get(..2).unwrap_or(decimals);
    let scale = 10_u128.pow(u32::try_from(decimals.len()).ok()?);
    let hundredths =
        u128::from(whole.parse::<u64>().ok()?) * scale + u128::from(decimals.parse::<u64>().ok()?);
    u64::try_from((hundredths << power) / scale).ok()
}

/// Whether Slurm could print this as the number of a job.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A service's id in the one spelling in which we write it.
pub(crate) fn service(text: &str) -> Option<ServiceId> {
    let id: ServiceId = text.parse().ok()?;
    (text.len() == UUID && !text.bytes().any(|b| b.is_ascii_uppercase())).then_some(id)
}

/// The token at the end of one of our jobs' names.
pub(crate) fn token(name: &str) -> Option<ServiceId> {
    let start = name.len().checked_sub(UUID)?;
    service(name.get(start..)?)
}

/// All that look like tokens, wherever they stand.
pub(crate) fn tokens(text: &str) -> BTreeSet<ServiceId> {
    // Most text is told by one look at where the first hyphen would be.
    let windows = text.as_bytes().windows(UUID).enumerate().filter(|(_, window)| window[8] == b'-');
    windows.filter_map(|(start, _)| service(text.get(start..start + UUID)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ID;

    #[test]
    fn a_token_stands_at_the_end_of_a_name() {
        assert_eq!(token(&format!("web-{ID}")).map(|id| id.to_string()).as_deref(), Some(ID));
        assert_eq!(token(&format!("odd | name-{ID}")).map(|id| id.to_string()).as_deref(), Some(ID));
        for other in
            ["", "web", &format!("{ID}-web"), &format!("é{}", &ID[1..]), &ID[1..], &ID.to_uppercase()]
        {
            assert_eq!(token(other), None, "{other}");
        }
    }

    #[test]
    fn a_service_has_one_spelling() {
        assert!(service(ID).is_some());
        let simple = ID.replace('-', "");
        let braced = format!("{{{ID}}}");
        for other in [&*simple, &braced, &ID.to_uppercase(), &format!("urn:uuid:{ID}"), &ID[1..], ""] {
            assert_eq!(service(other), None, "{other}");
        }
    }

    #[test]
    fn tokens_are_found_wherever_they_stand() {
        let other = "11111111-1111-4111-8111-111111111111";
        let found = tokens(&format!("é{ID}é {other}{other} {ID}"));
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [ID, other]);
        assert!(tokens(&ID.to_uppercase()).is_empty());
        assert!(tokens("--------é---------------é----------------").is_empty());
    }

    #[test]
    fn memory_is_told_in_units_of_1024() {
        let told = ["0", "100M", "100Mn", "100Mc", "1.50G", "102400K", "3T"].map(bytes);
        let expected = [0, 100 << 20, 100 << 20, 100 << 20, 3 << 29, 100 << 20, 3 << 40];
        assert_eq!(told, expected.map(Some));
        for none in ["", "M", "1.M", "x", "-1M", "1E", "99999999999999999999", "18446744073709551615P"] {
            assert_eq!(bytes(none), None, "{none}");
        }
    }

    #[test]
    fn slurm_has_many_words_for_nothing() {
        assert_eq!(epoch("1795409883"), Some(1_795_409_883));
        for nothing in
            ["", "N/A", "NONE", "Unknown", "None", "0", "2026-11-23T03:22:52", "99999999999999999999"]
        {
            assert_eq!(epoch(nothing), None, "{nothing}");
        }
        assert_eq!(
            told("ReqNodeNotAvail, UnavailableNodes:c2"),
            Some("ReqNodeNotAvail, UnavailableNodes:c2")
        );
    }
}
