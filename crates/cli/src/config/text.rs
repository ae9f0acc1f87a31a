//! Values as people write them: text that may look like a number, lists that may be one text, spans of time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Deserializers for values whose text may look like something else: the account `12345`, the partition `true`.
pub(crate) mod loose {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer};

    use super::{Lines, Loose};

    /// A text, or a number or truth value taken as the text that it was written as.
    pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        Ok(Option::<Loose>::deserialize(deserializer)?.map(|loose| loose.0))
    }

    /// A list of texts, or one text whose lines are the list.
    pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_any(Lines)
    }

    /// A table of texts.
    pub(crate) fn table<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, String>, D::Error> {
        let table = BTreeMap::<String, Loose>::deserialize(deserializer)?;
        Ok(table.into_iter().map(|(key, loose)| (key, loose.0)).collect())
    }
}

/// What a TOML parser complains of, without the lines of the file that it quotes: they may hold a password.
pub(crate) fn unquoted(complaint: &str) -> String {
    let is_quote =
        |line: &str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    complaint.lines().filter(|line| !is_quote(line)).collect::<Vec<_>>().join(": ")
}

struct Loose(String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar).map(Self)
    }
}

struct Scalar;

impl<'de> Visitor<'de> for Scalar {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes, or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    /// TOML reads an unquoted `01:30:00` as a time of day and hands it on as a table of one private key.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        match map.next_entry::<String, String>()? {
            Some((key, time)) if key.ends_with("_datetime") => Ok(time),
            Some(_) | None => Err(serde::de::Error::invalid_type(serde::de::Unexpected::Map, &self)),
        }
    }
}

struct Lines;

impl<'de> Visitor<'de> for Lines {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut list = Vec::new();
        while let Some(Loose(text)) = seq.next_element()? {
            list.push(text);
        }
        Ok(list)
    }
}

/// A span of time as people write it: `90` and `90s` are seconds, `10m` minutes, `2h` hours, `1d` days, `1h30m` a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A text that is no span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a span of time such as 90, 45s, 10m, 1h30m or 2d")]
pub(crate) struct BadSpan(String);

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        parse_span(text.trim())
            .map(|secs| Self(Duration::from_secs(secs)))
            .ok_or_else(|| BadSpan(text.into()))
    }
}

fn parse_span(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest.get(..digits)?.parse().ok()?;
        let mut tail = rest.get(digits..)?.chars();
        let unit = match tail.next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = tail.as_str();
    }
    Some(total)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut secs = self.0.as_secs();
        if secs == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
            if secs >= size {
                write!(f, "{}{unit}", secs / size)?;
                secs %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Loose::deserialize(deserializer)?.0.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_toml_quote_nothing() {
        for (toml, what) in [
            ("url = 'x'\nurl2 = 'hush", "line 2"),
            ("a = hush", "line 1"),
            ("[env]\nTOKEN = 'hush'\nTOKEN = 'hush'", "line 3"),
            ("a = \"\"\"\n| hush\n\\x hush\"\"\"", "line"),
        ] {
            let text = unquoted(&toml.parse::<toml_edit::DocumentMut>().unwrap_err().to_string());
            assert!(text.contains(what) && !text.contains("hush") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn spans_are_read_and_printed() {
        for (text, secs, printed) in [
            ("90", 90, "1m30s"),
            ("45s", 45, "45s"),
            ("10m", 600, "10m"),
            ("1h30m", 5400, "1h30m"),
            ("2d", 172_800, "2d"),
            ("0", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0.as_secs(), secs, "{text}");
            assert_eq!(span.to_string(), printed);
            assert_eq!(printed.parse::<Span>().unwrap(), span);
        }
    }

    #[test]
    fn other_texts_are_no_spans() {
        for bad in ["", "m", "10x", "-5", "1.5h", "10m5", "99999999999999999999d", "18446744073709551615d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }
}
