//! A command that runs another one in a container of Apptainer.
//!
//! Plain words, no shell: `apptainer exec [--nv] [--mount SPEC]... IMAGE COMMAND...` (apptainer-exec(1) of 1.0 and later).
//! The container shares network, process ids and environment with its host, so that the port, the mark by which the runner
//! knows its processes, and what is in the environment, secrets too, are the same inside.

use towline_core::container::{ContainerConfig, Mount};
use towline_core::runner::SECRET_FILE;

/// The words that run `command` in a container; with `secret_file` the file of the service's key is seen inside.
pub(crate) fn command(config: &ContainerConfig, secret_file: bool, command: Vec<String>) -> Vec<String> {
    let mut words = vec!["apptainer".to_owned(), "exec".to_owned()];
    if config.gpus.is_some() {
        words.push("--nv".to_owned());
    }
    // Its value, which other engines take, is none of Apptainer's.
    if config.user_namespace.is_some() {
        words.push("--userns".to_owned());
    }
    if let Some(workdir) = &config.workdir {
        words.extend(["--pwd".to_owned(), workdir.clone()]);
    }
    let of_secret = Mount { source: SECRET_FILE.into(), target: SECRET_FILE.into(), read_only: true };
    for mount in config.mounts.iter().chain(secret_file.then_some(&of_secret)) {
        words.push("--mount".to_owned());
        words.push(spec(mount));
    }
    words.push(config.image.clone());
    words.extend(command);
    words
}

/// What to mount so that a model's path can be read: in the cache of Hugging Face the files of `NAME/snapshots/REVISION` are
/// links to `NAME/blobs`, so that it is `NAME`; of a file, which is told by its ending, it is the directory, where the other
/// parts of the model are.
pub(crate) fn with_links(path: &str) -> String {
    if let Some((repository, _)) = path.rsplit_once("/snapshots/").filter(|(before, _)| !before.is_empty()) {
        return repository.to_owned();
    }
    match path.rsplit_once('/') {
        Some((directory, file)) if file.ends_with(".gguf") && !directory.is_empty() => directory.to_owned(),
        _ => path.to_owned(),
    }
}

/// A mount as `--mount` takes it: one record of comma-separated values, each `key=value`, in which a comma or a quote needs
/// quotes around the whole field. `--bind` has no quotes, so that no path with a comma or a colon would do there.
fn spec(mount: &Mount) -> String {
    let mut fields =
        vec!["type=bind".to_owned(), field("source", &mount.source), field("destination", &mount.target)];
    if mount.read_only {
        fields.push("ro".to_owned());
    }
    fields.join(",")
}

fn field(key: &str, value: &str) -> String {
    // What the runner fills in may hold a comma too.
    match value.contains([',', '"', '{']) {
        true => format!("\"{key}={}\"", value.replace('"', "\"\"")),
        false => format!("{key}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use towline_core::container::Gpus;

    use super::*;

    #[test]
    fn a_path_stays_one_path() {
        let bound = |source: &str, read_only| Mount { source: source.into(), target: "/m".into(), read_only };
        assert_eq!(spec(&bound("/a", true)), "type=bind,source=/a,destination=/m,ro");
        assert_eq!(spec(&bound("/a:b c", false)), "type=bind,source=/a:b c,destination=/m");
        assert_eq!(spec(&bound("/a,\"b", false)), "type=bind,\"source=/a,\"\"b\",destination=/m");
    }

    #[test]
    fn gpus_are_shown_where_they_are_asked_for() {
        let words = |gpus| {
            let config = ContainerConfig { gpus, ..ContainerConfig::new("apptainer", "x.sif") };
            command(&config, false, vec!["serve".into(), "{port}".into()])
        };
        assert_eq!(words(Some(Gpus::Available)), ["apptainer", "exec", "--nv", "x.sif", "serve", "{port}"]);
        assert_eq!(words(None), ["apptainer", "exec", "x.sif", "serve", "{port}"]);
    }
}
