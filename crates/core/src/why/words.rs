//! Spans of time and amounts of memory, as short as they can be told.

use std::time::Duration;

/// A span of time in one unit: `95 s`, `12 min`, `5 h`, `3 days`.
pub(super) fn span(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

/// An amount of memory in Slurm's units of 1024, with one decimal where it is not whole: `100M`, `1.5G`.
pub(super) fn size(bytes: u64) -> String {
    let units = ["", "K", "M", "G", "T"];
    let power =
        units.iter().enumerate().rev().map(|(power, _)| power).find(|power| bytes >> (10 * power) > 0);
    let power = power.unwrap_or(0);
    let (whole, rest) = (bytes >> (10 * power), bytes & ((1 << (10 * power)) - 1));
    let tenths = (u128::from(rest) * 10) >> (10 * power);
    match tenths {
        0 => format!("{whole}{}", units[power]),
        _ => format!("{whole}.{tenths}{}", units[power]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_and_sizes_are_short() {
        let told = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|secs| span(Duration::from_secs(secs)));
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
        let told = [0, 1023, 1024, 100 << 20, 3 << 29, 5 << 40].map(size);
        assert_eq!(told, ["0", "1023", "1K", "100M", "1.5G", "5T"]);
    }

    proptest! {
        #[test]
        fn any_size_is_told(bytes: u64) {
            prop_assert!(size(bytes).starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
