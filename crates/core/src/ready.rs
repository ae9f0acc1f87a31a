//! What counts as an answer of a server that is ready.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::spec::SpecError;

/// What the words for an answer begin with whose status counts, and the rest of which does not.
pub(crate) const NOT_READY: &str = "not ready: ";

/// What an answer to a ping must be for the server to count as ready. Without anything said, any 2xx.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ready {
    /// The status is one of these; any 2xx if there are none.
    pub status: Vec<StatusTest>,
    /// A header is there, perhaps with a value.
    pub header: Option<HeaderTest>,
    /// The body is JSON in which something stands.
    pub json: Option<JsonTest>,
}

/// Statuses of HTTP that count: written `2xx` or `429`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusTest {
    /// All with that first digit, 1 to 5.
    Class(u8),
    /// That one, 100 to 599.
    Code(u16),
}

/// A header that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderTest {
    /// Its name, in any case.
    pub name: String,
    /// Its whole value, if that matters.
    #[serde(default)]
    pub value: Option<String>,
}

/// What must stand in a body of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonTest {
    /// Where: a JSON pointer (RFC 6901), such as `/status`, or nothing for the whole body.
    pub pointer: String,
    /// What stands there; if that is not said, anything but `null` and `false` will do.
    #[serde(default)]
    pub equals: Option<Value>,
}

/// An answer of a server, as far as a test needs it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its headers, in the order in which they came.
    pub headers: &'a [(String, String)],
    /// Its body; may be empty where [`Ready::reads_body`] says that it is not needed.
    pub body: &'a [u8],
}

impl Ready {
    /// Whether any 2xx will do.
    pub fn is_any_success(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the body of an answer is needed to judge it.
    pub fn reads_body(&self) -> bool {
        self.json.is_some()
    }

    /// The statuses that count, for people: `a 2xx`, `a 2xx or 429`.
    pub fn statuses(&self) -> String {
        let tests: Vec<String> = self.status.iter().map(ToString::to_string).collect();
        match tests.as_slice() {
            [] => "a 2xx".to_owned(),
            tests => format!("a {}", tests.join(" or ")),
        }
    }

    /// Judges an answer.
    ///
    /// # Errors
    /// What keeps the server from counting as ready: `HTTP status 503`, or `not ready: its answer has no header X-Up`.
    pub fn judge(&self, answer: Answer<'_>) -> Result<(), String> {
        let counts = match self.status.as_slice() {
            [] => StatusTest::Class(2).holds(answer.status),
            tests => tests.iter().any(|test| test.holds(answer.status)),
        };
        if !counts {
            return Err(format!("HTTP status {}", answer.status));
        }
        let header = self.header.as_ref().map_or(Ok(()), |test| test.judge(answer.headers));
        let judged = header.and_then(|()| self.json.as_ref().map_or(Ok(()), |test| test.judge(answer.body)));
        judged.map_err(|why| format!("{NOT_READY}{why}"))
    }

    /// Checks that an answer could pass it.
    ///
    /// # Errors
    /// The field `ready`, with what no answer can be.
    pub fn check(&self) -> Result<(), SpecError> {
        let bad = |problem: String| Err(SpecError::new("ready", problem));
        if let Some(test) = self.status.iter().find(|test| !test.is_possible()) {
            return bad(format!("{test} is no status of HTTP"));
        }
        if let Some(HeaderTest { name, value }) = &self.header {
            // A token of RFC 9110, 5.6.2.
            let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(is_token) {
                return bad(format!("{name:?} is no header's name"));
            }
            if value
                .as_ref()
                .is_some_and(|value| value.chars().any(char::is_control) || value.trim() != value)
            {
                return bad(format!(
                    "{value:?} is no header's value",
                    value = value.as_deref().unwrap_or_default()
                ));
            }
        }
        match &self.json {
            Some(JsonTest { pointer, .. }) if !pointer.is_empty() && !pointer.starts_with('/') => {
                bad(format!("{pointer:?} is no JSON pointer: it begins with '/'"))
            }
            _ => Ok(()),
        }
    }
}

impl HeaderTest {
    fn judge(&self, headers: &[(String, String)]) -> Result<(), String> {
        let Self { name, value } = self;
        let mut found = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).peekable();
        if found.peek().is_none() {
            return Err(format!("its answer has no header {name}"));
        }
        match value {
            Some(value) if !found.any(|(_, found)| found.trim() == value) => {
                Err(format!("its header {name} is not {value}"))
            }
            _ => Ok(()),
        }
    }
}

impl JsonTest {
    fn judge(&self, body: &[u8]) -> Result<(), String> {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Err("its answer is not JSON".to_owned());
        };
        let place = if self.pointer.is_empty() { "the whole of its answer" } else { &self.pointer };
        match (body.pointer(&self.pointer), &self.equals) {
            (None, _) => Err(format!("its answer has no {}", self.pointer)),
            (Some(found), Some(expected)) if found == expected => Ok(()),
            (Some(_), Some(expected)) => Err(format!("{place} is not {expected}")),
            (Some(Value::Null | Value::Bool(false)), None) => Err(format!("{place} is null or false")),
            (Some(_), None) => Ok(()),
        }
    }
}

impl StatusTest {
    fn holds(self, status: u16) -> bool {
        match self {
            Self::Class(class) => status / 100 == u16::from(class),
            Self::Code(code) => status == code,
        }
    }

    fn is_possible(self) -> bool {
        match self {
            Self::Class(class) => (1..=5).contains(&class),
            Self::Code(code) => (100..=599).contains(&code),
        }
    }
}

impl fmt::Display for StatusTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "{class}xx"),
            Self::Code(code) => write!(f, "{code}"),
        }
    }
}

/// A text that names no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status of HTTP: write 200 or 2xx")]
pub struct BadStatus(String);

impl FromStr for StatusTest {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, BadStatus> {
        let read = match text.strip_suffix("xx") {
            Some(class) => class.parse().ok().map(Self::Class),
            None => text.parse().ok().map(Self::Code),
        };
        read.filter(|test| test.is_possible() && test.to_string() == text)
            .ok_or_else(|| BadStatus(text.to_owned()))
    }
}

impl Serialize for StatusTest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusTest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn ready(test: Value) -> Ready {
        serde_json::from_value(test).unwrap()
    }

    fn judge(test: &Ready, status: u16, headers: &[(&str, &str)], body: &str) -> Result<(), String> {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        test.judge(Answer { status, headers: &headers, body: body.as_bytes() })
    }

    #[test]
    fn without_a_test_any_success_will_do() {
        let plain = Ready::default();
        assert!(plain.is_any_success() && !plain.reads_body() && plain.check().is_ok());
        for status in [200, 204, 299] {
            assert_eq!(judge(&plain, status, &[], ""), Ok(()));
        }
        for status in [100, 199, 300, 404, 503] {
            assert_eq!(judge(&plain, status, &[], ""), Err(format!("HTTP status {status}")));
        }
    }

    #[test]
    fn statuses_are_told_by_class_or_one_by_one() {
        let test = ready(json!({ "status": ["2xx", "429"] }));
        assert!(judge(&test, 204, &[], "").is_ok() && judge(&test, 429, &[], "").is_ok());
        assert!(judge(&test, 428, &[], "").is_err());
        assert!(judge(&ready(json!({ "status": ["404"] })), 200, &[], "").is_err());
        for bad in ["", "xx", "6xx", "0xx", "20x", "99", "600", "+200", "2XX", "0200", " 200"] {
            assert!(bad.parse::<StatusTest>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_header_is_there_or_has_its_value() {
        let there = ready(json!({ "header": { "name": "X-Model" } }));
        assert!(judge(&there, 200, &[("x-model", "any")], "").is_ok());
        assert_eq!(
            judge(&there, 200, &[("y", "any")], ""),
            Err("not ready: its answer has no header X-Model".into())
        );
        let exact = ready(json!({ "header": { "name": "X-Model", "value": "up" } }));
        assert!(judge(&exact, 200, &[("x-model", "down"), ("X-MODEL", " up ")], "").is_ok());
        assert!(judge(&exact, 200, &[("x-model", "UP")], "").is_err());
        assert!(judge(&exact, 503, &[("x-model", "up")], "").is_err(), "the status counts as well");
    }

    #[test]
    fn json_is_looked_up_by_pointer() {
        let exact = ready(json!({ "json": { "pointer": "/models/0/state", "equals": "ready" } }));
        assert!(exact.reads_body());
        assert!(judge(&exact, 200, &[], r#"{"models": [{"state": "ready"}]}"#).is_ok());
        assert_eq!(
            judge(&exact, 200, &[], r#"{"models": [{"state": "loading"}]}"#),
            Err("not ready: /models/0/state is not \"ready\"".into())
        );
        for body in ["", "{", "[]", "null", r#"{"models": []}"#] {
            assert!(judge(&exact, 200, &[], body).is_err(), "{body}");
        }
        let there = ready(json!({ "json": { "pointer": "/up" } }));
        assert!(judge(&there, 200, &[], r#"{"up": 0}"#).is_ok());
        for body in [r#"{"up": false}"#, r#"{"up": null}"#, "{}"] {
            assert!(judge(&there, 200, &[], body).is_err(), "{body}");
        }
        let whole = ready(json!({ "json": { "pointer": "", "equals": true } }));
        assert!(judge(&whole, 200, &[], "true").is_ok() && judge(&whole, 200, &[], "1").is_err());
    }

    #[test]
    fn what_no_answer_can_be_is_refused() {
        for bad in [
            json!({ "header": { "name": "a b" } }),
            json!({ "header": { "name": "" } }),
            json!({ "header": { "name": "a", "value": "b\n" } }),
            json!({ "header": { "name": "a", "value": " b" } }),
            json!({ "json": { "pointer": "status" } }),
        ] {
            assert_eq!(ready(bad.clone()).check().unwrap_err().field, "ready", "{bad}");
        }
        let impossible = Ready { status: vec![StatusTest::Class(7)], ..Ready::default() };
        assert!(impossible.check().is_err());
        assert!(serde_json::from_value::<Ready>(json!({ "status": ["7xx"] })).is_err());
        assert!(serde_json::from_value::<Ready>(json!({ "body": "x" })).is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_judged(status: u16, body: Vec<u8>, pointer: String, name: String, value: String) {
            let test = Ready {
                status: vec![StatusTest::Code(status)],
                header: Some(HeaderTest { name: name.clone(), value: None }),
                json: Some(JsonTest { pointer, equals: None }),
            };
            drop(test.check());
            drop(test.judge(Answer { status, headers: &[(name, value)], body: &body }));
        }

        #[test]
        fn a_status_is_read_back_as_it_is_printed(code in 100_u16..600) {
            prop_assert_eq!(code.to_string().parse(), Ok(StatusTest::Code(code)));
        }
    }
}
