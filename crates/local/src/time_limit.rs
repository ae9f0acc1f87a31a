//! Time limits, in the notation of `sbatch --time`.

use std::time::Duration;

use towline_core::spec::SpecError;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Reads a time limit in any form of sbatch(1), to the second; `None` for the words and the zero that mean no limit.
pub(crate) fn parse(text: &str) -> Result<Option<Duration>, SpecError> {
    if ["UNLIMITED", "INFINITE"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(None);
    }
    match seconds(text) {
        // More than a signed 32-bit count of minutes is no limit that anybody means, and more than a shell counts.
        Some(seconds) if seconds / MINUTE <= i32::MAX as u64 => {
            Ok((seconds > 0).then_some(Duration::from_secs(seconds)))
        }
        _ => {
            let problem =
                format!("{text:?} is no time limit: write minutes, hours:minutes:seconds, or days-hours");
            Err(SpecError::new("time", problem))
        }
    }
}

fn seconds(text: &str) -> Option<u64> {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    let fields = clock.split(':').map(number).collect::<Option<Vec<u64>>>()?;
    let units: &[u64] = match (days, fields.len()) {
        (None, 1 | 2) => &[MINUTE, 1],
        (None, 3) | (Some(_), 1..=3) => &[HOUR, MINUTE, 1],
        _ => return None,
    };
    let parts = fields.iter().zip(units).chain(days.iter().zip(&[DAY]));
    parts.into_iter().try_fold(0_u64, |sum, (count, unit)| sum.checked_add(count.checked_mul(*unit)?))
}

fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_the_manual() {
        let cases = [
            ("10", 600),
            ("10:30", 630),
            ("1:02:03", 3723),
            ("1-2", 93_600),
            ("1-2:03", 93_780),
            ("1-2:03:04", 93_784),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Ok(Some(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["0", "0:00", "unlimited", "INFINITE"] {
            assert_eq!(parse(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "x",
            "-1",
            "1-",
            "1:2:3:4",
            "1-1:2:3:4",
            "+1",
            " 1",
            "1h",
            "99999999999999999999",
            "9999999999",
        ] {
            assert_eq!(parse(text).unwrap_err().field, "time", "{text}");
        }
    }
}
