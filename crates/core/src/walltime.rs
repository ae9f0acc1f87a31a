//! Time limits as `sbatch --time` takes them: the notation in which people limit jobs, whatever the scheduler.

use std::str::FromStr;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Slurm keeps a limit as 32 bits of minutes, of which the two highest values mean "none" and "infinite".
const MINUTES_MAX: u64 = u32::MAX as u64 - 2;

/// A job's time limit.
///
/// Read from any form of `sbatch(1)`: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`,
/// `days-hours:minutes`, `days-hours:minutes:seconds`, or `UNLIMITED`, `INFINITE` or zero for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walltime {
    /// Ends after that time; Slurm rounds it up to whole minutes.
    Limited(Duration),
    /// As long as the partition allows.
    Unlimited,
}

/// A text that is no time limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no time limit: write minutes, hours:minutes:seconds, or days-hours")]
pub struct WalltimeError {
    /// The text.
    pub text: String,
}

impl Walltime {
    /// The limit; `None` without one.
    pub const fn limit(self) -> Option<Duration> {
        match self {
            Self::Limited(limit) => Some(limit),
            Self::Unlimited => None,
        }
    }
}

impl FromStr for Walltime {
    type Err = WalltimeError;

    fn from_str(text: &str) -> Result<Self, WalltimeError> {
        if ["UNLIMITED", "INFINITE"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
            return Ok(Self::Unlimited);
        }
        let bad = || WalltimeError { text: text.to_owned() };
        let limit = clock(text).ok_or_else(bad)?;
        match limit.as_secs().div_ceil(MINUTE) {
            0 => Ok(Self::Unlimited),
            1..=MINUTES_MAX => Ok(Self::Limited(limit)),
            _ => Err(bad()),
        }
    }
}

/// Reads a duration in Slurm's notation, the same for limits that are given and times that are printed.
/// A number alone counts minutes. `None` for what is no duration.
pub fn clock(text: &str) -> Option<Duration> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(number(days)?), rest),
        None => (None, text),
    };
    let fields = rest.split(':').map(number).collect::<Option<Vec<u64>>>()?;
    let seconds = match (days, fields.as_slice()) {
        (None, &[minutes]) => total(&[(minutes, MINUTE)]),
        (None, &[minutes, seconds]) => total(&[(minutes, MINUTE), (seconds, 1)]),
        (None, &[hours, minutes, seconds]) => total(&[(hours, HOUR), (minutes, MINUTE), (seconds, 1)]),
        (Some(days), &[hours]) => total(&[(days, DAY), (hours, HOUR)]),
        (Some(days), &[hours, minutes]) => total(&[(days, DAY), (hours, HOUR), (minutes, MINUTE)]),
        (Some(days), &[hours, minutes, seconds]) => {
            total(&[(days, DAY), (hours, HOUR), (minutes, MINUTE), (seconds, 1)])
        }
        _ => None,
    };
    seconds.map(Duration::from_secs)
}

fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn total(parts: &[(u64, u64)]) -> Option<u64> {
    parts.iter().try_fold(0_u64, |sum, (count, unit)| sum.checked_add(count.checked_mul(*unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(text: &str) -> Option<u64> {
        text.parse::<Walltime>().unwrap().limit().map(|limit| limit.as_secs())
    }

    #[test]
    fn reads_every_form_of_the_manual() {
        assert_eq!(seconds("10"), Some(600));
        assert_eq!(seconds("10:00"), Some(600));
        assert_eq!(seconds("1:02:00"), Some(3720));
        assert_eq!(seconds("2-3"), Some(2 * DAY + 3 * HOUR));
        assert_eq!(seconds("2-3:04"), Some(2 * DAY + 3 * HOUR + 240));
        assert_eq!(seconds("2-03:04:00"), Some(2 * DAY + 3 * HOUR + 240));
        assert_eq!(seconds("90:00"), Some(5400));
        assert_eq!(seconds("0-0:01"), Some(60));
        assert_eq!(seconds("1:01"), Some(61));
    }

    #[test]
    fn no_limit_has_three_spellings() {
        for text in ["UNLIMITED", "infinite", "0", "0:00", "0-0"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            " ",
            "ten",
            "-1",
            "1:",
            ":1",
            "1:2:3:4",
            "1-",
            "-",
            "1-2:3:4:5",
            "+5",
            "1.5",
            "10 ",
            "1h",
            "4294967294",
            "99999999999999999999",
            "10\n",
            "１０",
        ] {
            assert!(text.parse::<Walltime>().is_err(), "{text:?}");
        }
        assert!("4294967293".parse::<Walltime>().is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            drop(text.parse::<Walltime>());
        }

        #[test]
        fn reads_back_what_slurm_prints(days in 0_u64..1000, hours in 0_u64..24, minutes in 0_u64..60, secs in 0_u64..60) {
            let text = format!("{days}-{hours:02}:{minutes:02}:{secs:02}");
            prop_assert_eq!(clock(&text), Some(Duration::from_secs(days * DAY + hours * HOUR + minutes * 60 + secs)));
        }
    }
}
