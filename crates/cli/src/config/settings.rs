//! What a configuration may hold.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::span::Span;
use towline_core::spec::{self, DEFAULT_GRACE, DEFAULT_HEALTH, ServiceName, ServiceSpec};

use super::text::loose;

/// The profile that is always there: this machine alone.
pub(crate) const LOCAL: &str = "local";

/// A configuration as it results from all its layers. Holds secrets, and is never printed.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The profile that `run` takes when none is named.
    pub(crate) default_profile: String,
    /// Where services are recorded; `None` is an SQLite file in the data directory.
    #[serde(default, deserialize_with = "loose::text")]
    pub(crate) database_url: Option<String>,
    /// The targets, by name.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

impl Config {
    /// Whether it may hold what nobody else should read: values of environments, the URL of a database.
    pub(crate) fn has_secrets(&self) -> bool {
        self.database_url.is_some() || self.profiles.values().any(|profile| !profile.env.is_empty())
    }
}

/// What kind of target a profile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A Slurm cluster: reached by SSH if the profile names a host, else from this very machine.
    Slurm,
    /// This machine alone.
    Local,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Slurm => "slurm",
            Self::Local => "local",
        })
    }
}

/// What tunnels go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// The login host, which forwards them to the nodes
    #[default]
    Login,
    /// A second login to each node, by way of the login host
    Node,
}

/// Where services listen on their nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bind {
    /// On all addresses: other users of the cluster reach them too
    All,
    /// On the loopback interface alone: needs a profile with via = "node", or this machine
    Loopback,
}

impl From<Bind> for spec::Bind {
    fn from(bind: Bind) -> Self {
        match bind {
            Bind::All => Self::All,
            Bind::Loopback => Self::Loopback,
        }
    }
}

/// What services run in unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Container {
    /// No container
    None,
    /// A container of Apptainer, which is a plain process
    Apptainer,
    /// A container of Docker, on this machine alone
    Docker,
    /// A container of Podman, on this machine alone
    Podman,
    /// The first that is found: podman, docker, apptainer; on a cluster apptainer
    Auto,
}

/// The network of a container of Docker or Podman.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    /// One of its own, its port published on 127.0.0.1
    Bridge,
    /// That of its host
    Host,
}

/// A named target, and what services that run there ask for unless told otherwise.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// What kind of target it is.
    pub(crate) kind: Kind,
    /// The login host, as `ssh` takes it; without one this machine is a login node itself.
    #[serde(default, deserialize_with = "loose::text")]
    pub(crate) host: Option<String>,
    /// The user there; `None` leaves it to `ssh_config(5)`.
    #[serde(default, deserialize_with = "loose::text")]
    pub(crate) user: Option<String>,
    /// Another file than `~/.ssh/config`.
    #[serde(default)]
    pub(crate) ssh_config: Option<PathBuf>,
    /// The directory for services there; `~/` stands for the user's home there.
    #[serde(default, deserialize_with = "loose::text")]
    pub(crate) home: Option<String>,
    /// The directory for models and images there, perhaps shared by a group; `~/` as above.
    #[serde(default, deserialize_with = "loose::text")]
    pub(crate) cache: Option<String>,
    /// The hub that models are downloaded from there, if it is another one than Hugging Face's own.
    #[serde(default, deserialize_with = "loose::text")]
    pub(crate) hub: Option<String>,
    /// What its tunnels go through.
    #[serde(default)]
    pub(crate) via: Via,
    /// Where its services listen.
    #[serde(default)]
    pub(crate) bind: Option<Bind>,
    /// Health path of its services.
    #[serde(default, deserialize_with = "loose::text")]
    pub(crate) health: Option<String>,
    /// Grace period of its services.
    #[serde(default, deserialize_with = "loose::span")]
    pub(crate) grace: Option<Span>,
    /// Shell lines run before the command of every service.
    #[serde(default, deserialize_with = "loose::list")]
    pub(crate) setup: Vec<String>,
    /// Environment of every service; its values may be secrets.
    #[serde(default, deserialize_with = "loose::table")]
    pub(crate) env: BTreeMap<String, String>,
    /// What its services run in.
    #[serde(default)]
    pub(crate) container: Option<Container>,
    /// What is mounted into containers: `SOURCE[:TARGET][:ro]`.
    #[serde(default, deserialize_with = "loose::list")]
    pub(crate) mounts: Vec<String>,
    /// The network of containers that are no plain processes.
    #[serde(default)]
    pub(crate) network: Option<Network>,
    /// The user namespace of containers.
    #[serde(default, deserialize_with = "loose::text")]
    pub(crate) userns: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    time: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    mem: Option<String>,
    #[serde(default)]
    cpus: Option<u32>,
    #[serde(default, deserialize_with = "loose::text")]
    gpus: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    gres: Option<String>,
    #[serde(default)]
    nodes: Option<u32>,
    #[serde(default)]
    ntasks_per_node: Option<u32>,
    #[serde(default, deserialize_with = "loose::text")]
    partition: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    constraint: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    account: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    qos: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    reservation: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    nodelist: Option<String>,
    #[serde(default, deserialize_with = "loose::text")]
    exclude: Option<String>,
    #[serde(default)]
    requeue: Option<bool>,
    #[serde(default, deserialize_with = "loose::list")]
    sbatch_args: Vec<String>,
}

impl Profile {
    /// What its services ask of the scheduler.
    pub(crate) fn resources(&self) -> Resources {
        Resources {
            time: self.time.clone(),
            mem: self.mem.clone(),
            cpus: self.cpus,
            gpus: self.gpus.clone(),
            gres: self.gres.clone(),
            nodes: self.nodes,
            ntasks_per_node: self.ntasks_per_node,
            partition: self.partition.clone(),
            constraint: self.constraint.clone(),
            account: self.account.clone(),
            qos: self.qos.clone(),
            reservation: self.reservation.clone(),
            nodelist: self.nodelist.clone(),
            exclude: self.exclude.clone(),
            requeue: self.requeue,
            submit_args: self.sbatch_args.clone(),
        }
    }

    /// This profile with nothing said of its services but these values, under the names of the configuration file.
    ///
    /// # Errors
    /// A value that cannot be.
    pub(crate) fn bare(
        &self,
        values: serde_json::Map<String, serde_json::Value>,
    ) -> serde_json::Result<Self> {
        let mut values = values;
        values.insert("kind".to_owned(), serde_json::to_value(self.kind)?);
        serde_json::from_value(values.into())
    }

    /// A service of this profile, whose own name is `profile`, with the profile's values for all that is not said here.
    pub(crate) fn spec(
        &self,
        profile: &str,
        name: ServiceName,
        command: Vec<String>,
        chdir: Option<String>,
    ) -> ServiceSpec {
        ServiceSpec {
            name,
            profile: profile.to_owned(),
            command,
            setup: self.setup.clone(),
            env: self.env.clone(),
            secret: None,
            chdir,
            container: None,
            bind: self.bind.map_or_else(spec::Bind::default, spec::Bind::from),
            health: self.health.clone().unwrap_or_else(|| DEFAULT_HEALTH.to_owned()),
            ready: Ready::default(),
            grace: self.grace.map_or(DEFAULT_GRACE, |span| span.0),
            resources: self.resources(),
        }
    }

    /// Whether a server on the loopback interface of where it runs is in reach.
    pub(crate) fn reaches_loopback(&self) -> bool {
        self.kind == Kind::Local || self.via == Via::Node
    }

    /// The login to its host as a person would type it.
    fn ssh(&self) -> String {
        self.ssh_with(&[])
    }

    /// The same with further options of `ssh`.
    pub(crate) fn ssh_with(&self, options: &[&str]) -> String {
        let file = self.ssh_config.as_ref().map(|file| file.display().to_string());
        let mut words = [&["ssh"], options].concat();
        words.extend(file.iter().flat_map(|file| ["-F", file.as_str()]));
        words.extend(self.user.iter().flat_map(|user| ["-l", user.as_str()]));
        words.extend(self.host.as_deref());
        shlex::try_join(words).unwrap_or_default()
    }

    /// A hint that names the login as a library knows it, by its host alone, with the whole login instead.
    pub(crate) fn with_login(&self, hint: &str) -> String {
        let Some(host) = &self.host else { return hint.to_owned() };
        let ssh = self.ssh();
        hint.replace(&format!("`ssh {host}`"), &format!("`{ssh}`"))
            .replace(&format!("`ssh {host} "), &format!("`{ssh} "))
    }

    /// Where it runs services, for people: `alice@login`, `login, tunnels through its nodes`, `this machine`.
    pub(crate) fn target(&self) -> String {
        let login = match (self.kind, &self.host, &self.user) {
            (Kind::Slurm, Some(host), Some(user)) => format!("{user}@{host}"),
            (Kind::Slurm, Some(host), None) => host.clone(),
            (Kind::Slurm | Kind::Local, _, _) => "this machine".to_owned(),
        };
        match self.via {
            Via::Login => login,
            Via::Node => format!("{login}, tunnels through its nodes"),
        }
    }
}

/// A profile's name: letters, digits, `-` and `_`, 1 to 63 characters, beginning with a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileName(String);

/// A text that is no profile's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a profile's name: use 1 to 63 letters, digits, '-' and '_', a letter or digit first")]
pub(crate) struct BadProfileName(String);

impl ProfileName {
    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProfileName {
    type Err = BadProfileName;

    fn from_str(text: &str) -> Result<Self, BadProfileName> {
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if plain && begins && text.len() <= 63 {
            return Ok(Self(text.to_owned()));
        }
        Err(BadProfileName(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::*;

    #[test]
    fn the_login_is_told_as_one_types_it() {
        let toml = "kind = 'slurm'\nhost = 'login'\nuser = 'alice'\nssh_config = '/a b/c'\n";
        let profile: Profile = figment::Figment::from(Toml::string(toml)).extract().unwrap();
        assert_eq!(profile.ssh(), "ssh -F '/a b/c' -l alice login");
        assert_eq!(profile.with_login("try `ssh login`"), "try `ssh -F '/a b/c' -l alice login`");
        assert_eq!(profile.with_login("try `ssh login2`"), "try `ssh login2`");
        assert_eq!(profile.with_login("`ssh login id -u`"), "`ssh -F '/a b/c' -l alice login id -u`");
    }

    #[test]
    fn profile_names_are_narrow() {
        for good in ["lab", "Della-2", "a_b", "0"] {
            assert!(good.parse::<ProfileName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "a b", "a.b", "a\nb", "ä", &"x".repeat(64)] {
            assert!(bad.parse::<ProfileName>().is_err(), "{bad}");
        }
    }
}
