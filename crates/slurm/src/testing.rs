//! What the tests of this crate share.

use std::collections::BTreeMap;
use std::time::Duration;

use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::spec::{Bind, ServiceSpec};

pub(crate) const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

pub(crate) fn spec(command: &[&str]) -> ServiceSpec {
    ServiceSpec {
        name: "web".parse().unwrap(),
        profile: "lab".into(),
        command: command.iter().map(ToString::to_string).collect(),
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

/// A recorded output, by its file's name.
pub(crate) fn capture(name: &str) -> String {
    let path = format!("{}/tests/captures/{name}", env!("CARGO_MANIFEST_DIR"));
    String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
        .into_owned()
}

/// The names of the recorded outputs with that ending.
pub(crate) fn captures(ending: &str) -> Vec<String> {
    let dir = format!("{}/tests/captures", env!("CARGO_MANIFEST_DIR"));
    let names =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(ending)).collect()
}

/// Fields as Slurm's commands print them for the survey: each is ended by a separator.
pub(crate) fn record(fields: &[&str]) -> String {
    fields.iter().flat_map(|field| [*field, "\u{1f}"]).collect()
}
