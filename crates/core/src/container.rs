//! A container that a command runs in, as data: whatever engine runs it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::spec::SpecError;

/// The longest name of an engine, in characters.
const ENGINE_MAX: usize = 40;

/// What a command runs in. Its environment is the service's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerConfig {
    /// The engine, under the name by which the scheduler's adapter knows it: `[a-z0-9-]`, 1 to 40 characters.
    pub engine: String,
    /// The image, in the words of the engine: a path or a reference.
    pub image: String,
    /// What of its host is seen inside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Working directory inside; `None` is the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// The GPUs that are seen inside; `None` is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Gpus>,
    /// The user namespace, in the words of the engine, such as `keep-id`; `None` leaves it to the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_namespace: Option<String>,
    /// The network that it is in.
    #[serde(default)]
    pub network: Network,
}

/// A directory or file of the host in a container. Both paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// On the host.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Whether it can only be read there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// The GPUs of a host that a container sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gpus {
    /// All that there are; that there are none is no error.
    Available,
    /// That many.
    Count(u32),
}

/// The network of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// One of its own; the engine publishes the service's port on the loopback interface of the host.
    #[default]
    Bridge,
    /// The host's.
    Host,
}

impl ContainerConfig {
    /// A container of that engine with that image and nothing else said about it.
    pub fn new(engine: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            engine: engine.into(),
            image: image.into(),
            mounts: Vec::new(),
            workdir: None,
            gpus: None,
            user_namespace: None,
            network: Network::default(),
        }
    }

    /// Checks what holds for every engine.
    ///
    /// # Errors
    /// The first thing that no engine could take: `container`, `image`, `mount`, `chdir`, `gpus` or `userns`.
    pub fn check(&self) -> Result<(), SpecError> {
        let is_name = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
        let begins = self.engine.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !self.engine.chars().all(is_name) || self.engine.len() > ENGINE_MAX {
            return Err(SpecError::new("container", format!("{:?} is no name of an engine", self.engine)));
        }
        check_image(&self.image)?;
        let mut targets = BTreeSet::new();
        for mount in &self.mounts {
            mount.check()?;
            if !targets.insert(mount.target.trim_end_matches('/')) {
                return Err(SpecError::new("mount", format!("two are to be at {}", mount.target)));
            }
        }
        if let Some(workdir) = &self.workdir {
            check_path("chdir", workdir)?;
        }
        if self.gpus == Some(Gpus::Count(0)) {
            return Err(SpecError::new("gpus", "no GPUs are told by saying nothing of them"));
        }
        let is_word =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '=' | ',' | '.' | '_' | '-' | '@');
        if let Some(words) = &self.user_namespace
            && (!words.starts_with(|c: char| c.is_ascii_alphabetic()) || !words.chars().all(is_word))
        {
            return Err(SpecError::new("userns", format!("{words:?} is no user namespace, such as keep-id")));
        }
        Ok(())
    }
}

impl Mount {
    fn check(&self) -> Result<(), SpecError> {
        check_path("mount", &self.source)?;
        check_path("mount", &self.target)?;
        if self.target.trim_end_matches('/').is_empty() {
            return Err(SpecError::new("mount", "nothing can be put in the place of / itself"));
        }
        Ok(())
    }
}

/// Checks the name of an image: one line that is no option.
///
/// # Errors
/// The field `image`.
pub fn check_image(image: &str) -> Result<(), SpecError> {
    if image.is_empty() || image.starts_with('-') || image.chars().any(char::is_control) {
        return Err(SpecError::new("image", format!("{image:?} is neither a path nor the name of an image")));
    }
    Ok(())
}

fn check_path(field: &'static str, path: &str) -> Result<(), SpecError> {
    if !path.starts_with('/') {
        return Err(SpecError::new(
            field,
            format!("{path:?} does not begin with /, as a path of a container must"),
        ));
    }
    if path.chars().any(char::is_control) {
        return Err(SpecError::new(field, format!("{path:?} holds a control character")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ContainerConfig {
        let mount = Mount { source: "/data".into(), target: "/data".into(), read_only: true };
        ContainerConfig { mounts: vec![mount], ..ContainerConfig::new("engine-2", "localhost/x:1") }
    }

    #[test]
    fn a_container_names_its_bad_field() {
        assert_eq!(config().check(), Ok(()));
        let bad = |change: fn(&mut ContainerConfig)| {
            let mut config = config();
            change(&mut config);
            config.check().unwrap_err().field
        };
        for engine in ["", "Engine", "-e", "2e", "a b", "/bin/e", "e\n"] {
            let named = ContainerConfig { engine: engine.into(), ..config() };
            assert_eq!(named.check().unwrap_err().field, "container", "{engine:?}");
        }
        for image in ["", "-v", "a\nb", "a\0"] {
            let named = ContainerConfig { image: image.into(), ..config() };
            assert_eq!(named.check().unwrap_err().field, "image", "{image:?}");
        }
        assert_eq!(bad(|c| c.mounts[0].source = "data".into()), "mount");
        assert_eq!(bad(|c| c.mounts[0].target = "data".into()), "mount");
        assert_eq!(bad(|c| c.mounts[0].target = "//".into()), "mount");
        assert_eq!(bad(|c| c.mounts[0].source = "/a\nb".into()), "mount");
        assert_eq!(bad(|c| c.mounts.push(Mount { target: "/data/".into(), ..c.mounts[0].clone() })), "mount");
        assert_eq!(bad(|c| c.workdir = Some("w".into())), "chdir");
        assert_eq!(bad(|c| c.gpus = Some(Gpus::Count(0))), "gpus");
        assert_eq!(bad(|c| c.user_namespace = Some("--x".into())), "userns");
    }

    #[test]
    fn what_is_not_said_is_not_written() {
        let written = serde_json::to_value(ContainerConfig::new("e", "i")).unwrap();
        assert_eq!(written, serde_json::json!({ "engine": "e", "image": "i", "network": "bridge" }));
        let read: ContainerConfig = serde_json::from_str(r#"{ "engine": "e", "image": "i" }"#).unwrap();
        assert_eq!(read, ContainerConfig::new("e", "i"));
    }
}
