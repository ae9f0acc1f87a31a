//! Small texts: ages, and foreign text made harmless.

use std::time::Duration;

use towline_core::time::Timestamp;

/// A span of time in one unit, as short as it can be told: `12s`, `3m`, `5h`, `2d`.
pub(crate) fn age(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m", secs / 60),
        3600..86_400 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// An amount of bytes in the unit that tells it shortly: `512 bytes`, `2.8 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(power) = bytes.checked_ilog2().map(|log| log as usize / 10).filter(|power| *power > 0) else {
        return format!("{bytes} bytes");
    };
    let tenths = u128::from(bytes) * 10 / (1 << (10 * power));
    format!("{}.{} {}", tenths / 10, tenths % 10, units[power - 1])
}

/// A point in time to the second, in RFC 3339 and UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    at.whole_secs().to_string()
}

/// Foreign text (a scheduler's words, a log) without anything that could steer a terminal; line breaks and tabs stay.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\r')
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// The same on one line.
pub(crate) fn clean_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        for (secs, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (200_000, "2d")]
        {
            assert_eq!(age(Duration::from_secs(secs)), text);
        }
    }

    #[test]
    fn sizes_have_one_unit() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn moments_are_told_to_the_second() {
        assert_eq!(moment(Timestamp::from_micros(1_999_999)), "1970-01-01T00:00:01Z");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(clean("a\x1b[31m\tb\r\nc\u{9b}"), "a\u{fffd}[31m\tb\nc\u{fffd}");
        assert_eq!(clean_line(" a\n\tb  c "), "a b c");
    }
}
