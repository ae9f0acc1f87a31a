//! Values as people write them: text that may look like a number, lists that may be one text, spans of time.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Deserializers for values whose text may look like something else: the account `12345`, the partition `true`.
pub(crate) mod loose {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer};
    use towline_core::span::Span;

    use super::{Lines, Loose};

    /// A text, or a number or truth value taken as the text that it was written as.
    pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        Ok(Option::<Loose>::deserialize(deserializer)?.map(|loose| loose.0))
    }

    /// A span of time, or a number of seconds.
    pub(crate) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
        let text = Option::<Loose>::deserialize(deserializer)?;
        text.map(|loose| loose.0.parse().map_err(serde::de::Error::custom)).transpose()
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
}
