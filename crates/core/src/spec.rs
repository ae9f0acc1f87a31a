//! What the user asked to run. Never changes once a service is recorded.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::container::ContainerConfig;
use crate::ready::Ready;
use crate::resources::Resources;

/// The longest name of a service, in characters: it is a part of the job's name and of host-like labels.
pub const NAME_MAX: usize = 63;

/// A service's name: `[a-z0-9-]`, 1 to 63 characters, beginning and ending with a letter or a digit, and no UUID.
///
/// Narrow on purpose: a name reaches job names, file names and terminals, and people call a service by its name or by
/// its UUID. Deserializing takes UUIDs as well: they may stand in old records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ServiceName(String);

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn recorded(text: String) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(found) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return Err(NameError::Character { found });
        }
        if text.len() > NAME_MAX {
            return Err(NameError::TooLong { length: text.len() });
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(NameError::Hyphen);
        }
        Ok(Self(text))
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if Uuid::try_parse(text).is_ok() {
            return Err(NameError::Uuid);
        }
        Self::recorded(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for ServiceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::recorded(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a service's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing in it.
    #[error("a name may not be empty")]
    Empty,
    /// A character outside `[a-z0-9-]`.
    #[error("a name may hold only a-z, 0-9 and '-', not {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
    /// More than [`NAME_MAX`] characters.
    #[error("a name may have at most {NAME_MAX} characters, not {length}")]
    TooLong {
        /// How many it has.
        length: usize,
    },
    /// A hyphen at the beginning or the end.
    #[error("a name may neither begin nor end with '-'")]
    Hyphen,
    /// A UUID, with or without hyphens.
    #[error("a name may not be a UUID: services are called by those as well")]
    Uuid,
}

/// What to run, where, and what counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// The name by which people call it; unique among the services that have not ended.
    pub name: ServiceName,
    /// The profile it runs in.
    pub profile: String,
    /// Program and arguments; `{port}` in any of them stands for the port to listen on (also in `$PORT`), `{host}` for the
    /// address (also in `$HOST`).
    pub command: Vec<String>,
    /// Shell lines run before the command, such as `module load cuda`.
    #[serde(default)]
    pub setup: Vec<String>,
    /// Environment of the command. May hold secrets: it travels in a file of mode 0600, never on a command line.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Which of these is the key by which its server knows its clients; `None` if it asks for none, or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Working directory; `None` is the user's home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chdir: Option<String>,
    /// The container that the command runs in; `None` is none. Lines of `setup` run outside of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Box<ContainerConfig>>,
    /// Who is to reach its port where it runs.
    #[serde(default)]
    pub bind: Bind,
    /// Path that a ping asks for, beginning with `/`.
    pub health: String,
    /// What an answer to it must be for the service to count as healthy.
    #[serde(default, skip_serializing_if = "Ready::is_any_success")]
    pub ready: Ready,
    /// How long a running job may take until the first answer.
    pub grace: Duration,
    /// What is asked of the scheduler.
    #[serde(default)]
    pub resources: Resources,
}

/// The key that the clients of a service must send, and how its server gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The variable of [`ServiceSpec::env`] that holds it.
    pub env: String,
    /// Whether the server reads it from a file instead, of mode 0600: its path stands in the command for `{secret-file}`, and
    /// the variable is not in its environment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_file: bool,
}

/// The addresses of its host on which a service listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bind {
    /// Any: whoever reaches the host reaches the service, other users of a cluster too.
    #[default]
    All,
    /// The loopback interface alone. A server that listens on more is ended before its place is told.
    Loopback,
}

impl Bind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Loopback => "loopback",
        }
    }
}

/// The health path when none is given.
pub const DEFAULT_HEALTH: &str = "/health";

/// The grace period when none is given: loading a model from a network file system takes minutes.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(600);

/// A part of a spec that cannot be run as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad {field}: {problem}")]
pub struct SpecError {
    /// The field, in the words of the command line: `time`, `env`, `health`, `command`.
    pub field: &'static str,
    /// What is wrong with it, as a sentence fragment.
    pub problem: String,
}

impl SpecError {
    /// Names a field and what is wrong with it.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

impl ServiceSpec {
    /// The key that clients must send, if there is one. Never to be printed but to who asks for it.
    pub fn key(&self) -> Option<&str> {
        self.env.get(&self.secret.as_ref()?.env).map(String::as_str)
    }

    /// Checks what holds for every scheduler: a command, printable words, a path, well-formed variable names.
    ///
    /// # Errors
    /// The first field that no scheduler could run.
    pub fn check(&self) -> Result<(), SpecError> {
        let Some(program) = self.command.first() else {
            return Err(SpecError::new("command", "there is none"));
        };
        if program.is_empty() {
            return Err(SpecError::new("command", "the program's name is empty"));
        }
        for word in self.command.iter().chain(&self.setup).chain(self.env.values()).chain(&self.chdir) {
            if word.contains('\0') {
                return Err(SpecError::new("command", "it holds a NUL character"));
            }
        }
        for name in self.env.keys() {
            check_variable_name(name)?;
        }
        if let Some(secret) = &self.secret
            && self.env.get(&secret.env).is_none_or(|key| key.is_empty() || key.contains('\n'))
        {
            return Err(SpecError::new("secret", format!("{} holds no key of one line", secret.env)));
        }
        if self.chdir.as_deref().is_some_and(|dir| dir.is_empty() || dir.contains('\n')) {
            return Err(SpecError::new("chdir", "a directory is one line of text"));
        }
        if let Some(container) = &self.container {
            container.check()?;
        }
        check_health(&self.health)?;
        self.ready.check()?;
        if self.grace.is_zero() {
            return Err(SpecError::new("grace", "it must be longer than zero"));
        }
        Ok(())
    }
}

/// Checks that a text is the name of a variable.
pub(crate) fn check_variable_name(name: &str) -> Result<(), SpecError> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(SpecError::new("env", format!("{name:?} is not a variable's name ([A-Za-z_][A-Za-z0-9_]*)")))
}

/// Checks the path that a ping asks for.
///
/// # Errors
/// The field `health` if it does not begin with `/`, or holds what a URL's path may not.
pub fn check_health(path: &str) -> Result<(), SpecError> {
    if !path.starts_with('/') {
        return Err(SpecError::new("health", format!("{path:?} does not begin with '/'")));
    }
    if path.chars().any(|c| c.is_ascii_whitespace() || c.is_control() || !c.is_ascii()) {
        return Err(SpecError::new("health", format!("{path:?} is not a URL path: escape it with %XX")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_narrow() {
        for good in ["a", "web", "llama-3-8b", "0", &"x".repeat(63)] {
            assert!(good.parse::<ServiceName>().is_ok(), "{good}");
        }
        for bad in
            ["", "Web", "a b", "a\"b", "$(id)", "a\nb", "-a", "a-", "ä", "a_b", "a.b", &"x".repeat(300)]
        {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_uuid_is_no_name_but_may_stand_in_a_record() {
        for uuid in ["01a208ee-ef60-7301-9329-a3f9bd62580c", "01a208eeef6073019329a3f9bd62580c"] {
            assert_eq!(uuid.parse::<ServiceName>(), Err(NameError::Uuid));
            let recorded: ServiceName = serde_json::from_value(uuid.into()).unwrap();
            assert_eq!(recorded.as_str(), uuid);
        }
        for near in ["01a208ee-ef60-7301-9329-a3f9bd62580", "01a208ee", "x01a208eeef6073019329a3f9bd62580c"] {
            assert!(near.parse::<ServiceName>().is_ok(), "{near}");
        }
        assert!(serde_json::from_value::<ServiceName>("A b".into()).is_err());
    }

    fn spec() -> ServiceSpec {
        ServiceSpec {
            name: "web".parse().unwrap(),
            profile: "lab".into(),
            command: vec!["serve".into(), "{port}".into()],
            setup: Vec::new(),
            env: BTreeMap::new(),
            secret: None,
            chdir: None,
            container: None,
            bind: Bind::All,
            health: "/".into(),
            ready: Ready::default(),
            grace: Duration::from_secs(1),
            resources: Resources::default(),
        }
    }

    #[test]
    fn a_key_is_one_line_of_a_variable() {
        let with = |key: &str| ServiceSpec {
            env: BTreeMap::from([("KEY".to_owned(), key.to_owned())]),
            secret: Some(Secret { env: "KEY".into(), in_file: false }),
            ..spec()
        };
        assert_eq!(with("hush").check(), Ok(()));
        assert_eq!(with("hush").key(), Some("hush"));
        assert_eq!(spec().key(), None);
        for bad in ["", "a\nb"] {
            assert_eq!(with(bad).check().unwrap_err().field, "secret");
        }
    }

    #[test]
    fn a_spec_names_its_bad_field() {
        assert_eq!(spec().check(), Ok(()));
        let bad = |change: fn(&mut ServiceSpec)| {
            let mut spec = spec();
            change(&mut spec);
            spec.check().unwrap_err().field
        };
        assert_eq!(bad(|s| s.command.clear()), "command");
        assert_eq!(bad(|s| s.command[0] = String::new()), "command");
        assert_eq!(bad(|s| s.command[1] = "a\0b".into()), "command");
        assert_eq!(bad(|s| drop(s.env.insert("A B".into(), String::new()))), "env");
        assert_eq!(bad(|s| drop(s.env.insert(String::new(), String::new()))), "env");
        assert_eq!(bad(|s| s.secret = Some(Secret { env: "KEY".into(), in_file: false })), "secret");
        assert_eq!(bad(|s| s.health = "health".into()), "health");
        assert_eq!(bad(|s| s.health = "/a b".into()), "health");
        assert_eq!(bad(|s| s.grace = Duration::ZERO), "grace");
        assert_eq!(bad(|s| s.chdir = Some("a\nb".into())), "chdir");
    }
}
