//! What a service's directory tells of its container.

use serde::{Deserialize, Serialize};
use towline_core::container::ContainerConfig;
use towline_core::id::ServiceId;
use towline_core::spec::ServiceSpec;

use super::state::End;
use super::words::{ENV_FILE, env_file};
use crate::store::{ReadError, ServiceDir};

/// The script that makes the container and waits for it.
const TEXT: &str = include_str!("container.bash");

/// The script's name in the directory of a service.
pub(crate) const SCRIPT: &str = "container.sh";

/// The files that a service in a container has besides those of every service.
pub(crate) fn files(spec: &ServiceSpec, config: &ContainerConfig) -> [(&'static str, String); 3] {
    let record = serde_json::json!(Contained { engine: config.engine.clone() });
    [("container.json", record.to_string()), (SCRIPT, TEXT.to_owned()), (ENV_FILE, env_file(spec))]
}

/// That a service runs in a container: the file `container.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contained {
    pub(crate) engine: String,
}

/// How a container ended, as its script told it last: the file `container.end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whether there is a container to be removed.
    pub(crate) is_left: bool,
    pub(crate) end: End,
}

/// The name of a service's container: its engine has no second one of that name.
pub(crate) fn name(id: ServiceId) -> String {
    format!("towline-{id}")
}

/// What a service runs in, if it is a container, and how that ended, if it has.
pub(crate) fn contained(dir: &ServiceDir) -> Result<Option<(Contained, Option<Ended>)>, ReadError> {
    let Some(text) = dir.read("container.json")? else { return Ok(None) };
    let contained = serde_json::from_str(&text).map_err(ReadError::Container)?;
    Ok(Some((contained, dir.read("container.end")?.as_deref().and_then(ended))))
}

/// Reads `STATE CODE OOM`. One that was damaged is as none: the engine is asked instead.
fn ended(text: &str) -> Option<Ended> {
    let mut words = text.split_ascii_whitespace();
    let (state, code, oom) = (words.next()?, words.next()?, words.next()?);
    let end = End { code: code.parse().ok()?, out_of_memory: oom == "true" };
    let is_over = matches!(state, "exited" | "stopped" | "dead" | "absent" | "created" | "initialized");
    is_over.then_some(Ended { is_left: state != "absent", end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_or_it_is_none() {
        let end = |code, out_of_memory| End { code, out_of_memory };
        assert_eq!(ended("exited 137 true\n"), Some(Ended { is_left: true, end: end(137, true) }));
        assert_eq!(ended("absent 125 false\n"), Some(Ended { is_left: false, end: end(125, false) }));
        for bad in ["", "exited", "exited 137", "exited x false", "exited 300 false", "running 0 false"] {
            assert_eq!(ended(bad), None, "{bad}");
        }
    }
}
