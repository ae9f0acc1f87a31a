//! The command line that makes a container: nothing secret stands in it, and no shell reads it.

use std::collections::BTreeMap;
use std::path::Path;

use towline_core::container::{ContainerConfig, Gpus, Network};
use towline_core::id::ServiceId;
use towline_core::spec::{ServiceSpec, SpecError};

use super::kept::{SCRIPT, name};
use crate::process::MARK;

/// By which containers of services are found; its value is the service's id.
pub(super) const LABEL: &str = "towline.service";

/// The engines that are known here. Both take the same words but for GPUs.
pub(super) const ENGINES: [&str; 2] = ["docker", "podman"];

/// The file of variables that would mean something to the engine's own program.
pub(super) const ENV_FILE: &str = "container.env";

/// Variables that engines, the tools they call, bash and the loader heed: a container's must not be theirs.
const OF_ENGINES: [&str; 9] =
    ["HOME", "PATH", "USER", "LOGNAME", "SHELL", "ENV", "HOSTNAME", "NOTIFY_SOCKET", "POSIXLY_CORRECT"];
const OF_ENGINES_BEGIN: [&str; 15] = [
    "BASH",
    "BUILDAH",
    "CONTAINER",
    "DBUS_",
    "DOCKER_",
    "GO",
    "LD_",
    "LISTEN_",
    "PODMAN",
    "REGISTRY_",
    "SSL_",
    "STORAGE_",
    "TMP",
    "XDG_",
    "_CONTAINERS",
];

/// Refuses what no engine of this machine can run.
pub(crate) fn check(spec: &ServiceSpec) -> Result<(), SpecError> {
    let Some(container) = &spec.container else { return Ok(()) };
    if !ENGINES.contains(&container.engine.as_str()) {
        let known = ENGINES.join(" and ");
        let problem =
            format!("{:?} is no engine that this machine's adapter knows: {known}", container.engine);
        return Err(SpecError::new("container", problem));
    }
    let image = &container.image;
    if image.contains("://") || image.starts_with(['/', '.']) || image.chars().any(char::is_whitespace) {
        let problem = format!("{image:?} is no name of an image, such as docker.io/library/nginx:1.27");
        return Err(SpecError::new("image", problem));
    }
    for path in container.mounts.iter().flat_map(|mount| [&mount.source, &mount.target]) {
        if path.contains([',', '"']) {
            let problem =
                format!("{path:?} holds a comma or a quote, which {} cannot take", container.engine);
            return Err(SpecError::new("mount", problem));
        }
    }
    for (name, value) in set_apart(spec) {
        if value.contains(['\n', '\r', '"', '\'', '\\', '$', '#', '`']) || value.trim() != value {
            let problem =
                format!("{name} means something to {} itself: its value must be plain", container.engine);
            return Err(SpecError::new("env", problem));
        }
    }
    Ok(())
}

/// The file [`ENV_FILE`]: one variable a line, as engines read it. Keep it at mode 0600.
pub(super) fn env_file(spec: &ServiceSpec) -> String {
    set_apart(spec).map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// The variables that the engine's own program must not see.
fn set_apart(spec: &ServiceSpec) -> impl Iterator<Item = (&String, &String)> {
    let is_apart = |name: &str| {
        OF_ENGINES.contains(&name) || OF_ENGINES_BEGIN.iter().any(|begin| name.starts_with(begin))
    };
    spec.env.iter().filter(move |(name, _)| is_apart(name))
}

/// The service whose command makes the container, follows it and ends as it does.
///
/// # Errors
/// A service directory whose path an engine cannot take.
pub(crate) fn derived(
    dir: &Path,
    id: ServiceId,
    spec: &ServiceSpec,
    container: &ContainerConfig,
) -> Result<ServiceSpec, SpecError> {
    let path = dir.to_str().filter(|path| !path.contains([',', '"', '{']));
    let Some(path) = path else {
        return Err(SpecError::new(
            "home",
            format!("{} cannot take the directory of its services", container.engine),
        ));
    };
    let apart: Vec<&String> = set_apart(spec).map(|(name, _)| name).collect();
    let mut env = spec.env.clone();
    env.retain(|name, _| !apart.contains(&name));
    let network = match container.network {
        Network::Bridge => "bridge",
        Network::Host => "host",
    };
    let before = ["bash", &format!("{path}/{SCRIPT}"), path, &container.engine, &name(id), "{port}", network];
    let mut command: Vec<String> = before.iter().map(ToString::to_string).collect();
    command.extend(create(path, id, spec, container, &env));
    Ok(ServiceSpec { command, env, container: None, chdir: None, ..spec.clone() })
}

/// The words after `ENGINE create`.
fn create(
    dir: &str,
    id: ServiceId,
    spec: &ServiceSpec,
    container: &ContainerConfig,
    env: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut words = Words(Vec::new());
    words.option("--name", name(id));
    words.option("--label", format!("{LABEL}={id}"));
    words.option("--cidfile", format!("{dir}/container.id"));
    words.word("--pull=never");
    // The service's own log has it all.
    words.word("--log-driver=none");
    let is_inside = container.network == Network::Bridge;
    match container.network {
        // Never on another address: whoever reaches this machine would reach the service.
        Network::Bridge => words.option("--publish", "127.0.0.1:{port}:{port}/tcp"),
        Network::Host => words.option("--network", "host"),
    }
    let in_file = spec.secret.as_ref().filter(|secret| secret.in_file).map(|secret| &secret.env);
    // By their names alone: the engine's program takes the values from its own environment.
    let names = env.keys().filter(|name| Some(*name) != in_file).map(String::as_str);
    for name in names.chain(["PORT", MARK]) {
        words.option("--env", name);
    }
    words.option("--env", if is_inside { "HOST=0.0.0.0" } else { "HOST" });
    words.option("--env-file", format!("{dir}/{ENV_FILE}"));
    for mount in &container.mounts {
        words.option("--mount", bind(&mount.source, &mount.target, mount.read_only));
    }
    if in_file.is_some() {
        let file = format!("{dir}/secret");
        words.option("--mount", bind(&file, &file, true));
    }
    if let Some(workdir) = &container.workdir {
        words.option("--workdir", workdir);
    }
    if let Some(gpus) = container.gpus {
        words.0.extend(gpu_words(&container.engine, gpus));
    }
    if let Some(namespace) = &container.user_namespace {
        words.option("--userns", namespace);
    }
    // The command is the service's, whatever the image starts by itself.
    let host = |word: &String| if is_inside { word.replace("{host}", "0.0.0.0") } else { word.clone() };
    let mut command = spec.command.iter().map(host);
    words.option("--entrypoint", command.next().unwrap_or_default());
    words.word(&container.image);
    words.0.extend(command);
    words.0
}

struct Words(Vec<String>);

impl Words {
    fn word(&mut self, word: impl Into<String>) {
        self.0.push(word.into());
    }

    fn option(&mut self, name: &str, value: impl Into<String>) {
        self.0.extend([name.to_owned(), value.into()]);
    }
}

fn bind(source: &str, target: &str, read_only: bool) -> String {
    let mode = if read_only { ",readonly" } else { "" };
    format!("type=bind,source={source},target={target}{mode}")
}

/// `--gpus` of docker-run(1), devices of the Container Device Interface for Podman (podman-run(1), `--device`).
fn gpu_words(engine: &str, gpus: Gpus) -> Vec<String> {
    let are_there = match engine {
        "docker" => Path::new("/dev/nvidiactl").exists(),
        _ => ["/etc/cdi", "/var/run/cdi"].into_iter().any(|dir| Path::new(dir).join("nvidia.yaml").exists()),
    };
    let device = |which: &str| ["--device".to_owned(), format!("nvidia.com/gpu={which}")];
    match (engine, gpus) {
        (_, Gpus::Available) if !are_there => Vec::new(),
        ("docker", Gpus::Available) => vec!["--gpus".to_owned(), "all".to_owned()],
        ("docker", Gpus::Count(count)) => vec!["--gpus".to_owned(), count.to_string()],
        (_, Gpus::Available) => device("all").to_vec(),
        (_, Gpus::Count(count)) => (0..count).flat_map(|index| device(&index.to_string())).collect(),
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
