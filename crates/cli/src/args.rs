//! The command line, and the groups of options that several verbs share.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use clap::builder::styling::{AnsiColor, Styles};
use serde::{Serialize, Serializer};
use towline_core::span::Span;

use crate::command::Verb;
use crate::config::{Bind, Container, Flags, Network, said};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
A service is named by its name, its UUID, or a unique beginning of it.

Exit codes:
  0    done
  1    internal error
  2    the command line is wrong
  3    the configuration, or what it points to, is wrong
  4    no such service, profile, recipe, model or image
  5    refused: by the scheduler, or because of the state that the service is in
  6    the cluster could not be reached, or from there the hub of models
  7    conflict: a name or port is taken, or another process was quicker
  8    the service ended without becoming healthy
  124  `wait --timeout` ran out
  130  interrupted by Ctrl-C

Environment:
  TOWLINE_CONFIG    the configuration file instead of $XDG_CONFIG_HOME/towline/config.toml
  TOWLINE_DATA_DIR  where the ledger lies instead of $XDG_DATA_HOME/towline
  TOWLINE_LOG       what to log to standard error, such as `debug` or `towline=trace`
  TOWLINE_KEY       sets the configuration value KEY; `__` stands for a dot (TOWLINE_PROFILES__LAB__HOST)
  NO_COLOR          no colours";

/// Run an HTTP service as a Slurm job and keep one local URL that reaches it
#[derive(Debug, clap::Parser)]
#[command(name = "towline", version, styles = STYLES, after_long_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Tell more of what goes on, on standard error (repeat for still more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// A service to act on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServiceArg {
    /// Name, UUID or unique beginning of the UUID of a service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct JsonArg {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a service is run with: of one service for `run`, of all services of a profile for `profile add`.
///
/// The names of the fields are those of the configuration file.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
pub(crate) struct JobArgs {
    /// URL path that is asked for, and whose 2xx answer means healthy [default: /health]
    #[arg(long, value_name = "PATH")]
    health: Option<String>,
    /// How long the running job may take until the first answer, such as 90, 10m or 1h [default: 10m]
    #[arg(long, value_name = "SPAN")]
    grace: Option<Span>,
    /// Where the service listens on its node; {host} in the command, and $HOST, is the address [default: all]
    #[arg(long, value_name = "WHERE")]
    bind: Option<Bind>,
    /// Variable of the command's environment; K alone passes on the caller's value, unseen by `ps` (repeatable)
    #[arg(long, value_name = "K=V")]
    #[serde(serialize_with = "variables")]
    env: Vec<Variable>,
    /// Shell line to run before the command, such as 'module load cuda' (repeatable)
    #[arg(long, value_name = "LINE")]
    setup: Vec<String>,
    /// What it runs in
    #[arg(long, value_name = "ENGINE", help_heading = "Container options")]
    container: Option<Container>,
    /// Directory or file to show in the container: `SOURCE[:TARGET][:ro]`, absolute paths (repeatable)
    #[arg(long = "mount", value_name = "MOUNT", help_heading = "Container options")]
    mounts: Vec<String>,
    /// Network of a container of Docker or Podman [default: bridge]
    #[arg(long, value_name = "NETWORK", help_heading = "Container options")]
    network: Option<Network>,
    /// User namespace of the container, as its engine takes it, such as keep-id
    #[arg(long, value_name = "MODE", help_heading = "Container options")]
    userns: Option<String>,
    /// Time limit: minutes, or any form that `sbatch --time` takes
    #[arg(long, value_name = "TIME", help_heading = "Scheduler options")]
    time: Option<String>,
    /// Memory per node, such as 500M or 16G
    #[arg(long, value_name = "SIZE", help_heading = "Scheduler options")]
    mem: Option<String>,
    /// CPUs per task
    #[arg(long, value_name = "N", help_heading = "Scheduler options", value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,
    /// GPUs: a count, or type:count
    #[arg(long, value_name = "GPUS", help_heading = "Scheduler options")]
    gpus: Option<String>,
    /// Generic resources per node, such as gpu:a100:2
    #[arg(long, value_name = "LIST", help_heading = "Scheduler options")]
    gres: Option<String>,
    /// Number of nodes
    #[arg(long, value_name = "N", help_heading = "Scheduler options", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: Option<u32>,
    /// Tasks per node
    #[arg(long, value_name = "N", help_heading = "Scheduler options", value_parser = clap::value_parser!(u32).range(1..))]
    ntasks_per_node: Option<u32>,
    /// Partition, or several separated by commas
    #[arg(long, value_name = "NAME", help_heading = "Scheduler options")]
    partition: Option<String>,
    /// Features that the nodes must have
    #[arg(long, value_name = "LIST", help_heading = "Scheduler options")]
    constraint: Option<String>,
    /// Account to charge
    #[arg(long, value_name = "NAME", help_heading = "Scheduler options")]
    account: Option<String>,
    /// Quality of service
    #[arg(long, value_name = "NAME", help_heading = "Scheduler options")]
    qos: Option<String>,
    /// Reservation to run in
    #[arg(long, value_name = "NAME", help_heading = "Scheduler options")]
    reservation: Option<String>,
    /// Nodes that must be part of the allocation
    #[arg(long, value_name = "NODES", help_heading = "Scheduler options")]
    nodelist: Option<String>,
    /// Nodes that must not be part of it
    #[arg(long, value_name = "NODES", help_heading = "Scheduler options")]
    exclude: Option<String>,
    /// Let the scheduler requeue the job
    #[arg(long, help_heading = "Scheduler options", overrides_with = "no_requeue")]
    #[serde(skip)]
    requeue: bool,
    /// Forbid the scheduler to requeue the job
    #[arg(long, help_heading = "Scheduler options")]
    #[serde(skip)]
    no_requeue: bool,
    /// Further argument for `sbatch`, one word such as --nice=10 (repeatable)
    #[arg(
        long = "sbatch-arg",
        value_name = "ARG",
        help_heading = "Scheduler options",
        allow_hyphen_values = true
    )]
    sbatch_args: Vec<String>,
}

impl JobArgs {
    /// What was said, under the names of the configuration file.
    pub(crate) fn values(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut values = said(self);
        if self.requeue || self.no_requeue {
            values.insert("requeue".to_owned(), self.requeue.into());
        }
        values
    }

    /// The layer of the configuration that they are, for `profile` or else the default profile.
    pub(crate) fn flags(&self, profile: Option<&str>) -> Flags {
        Flags { profile: profile.map(str::to_owned), values: self.values() }
    }
}

/// A variable of the environment. Its value may be a secret and is never printed.
#[derive(Clone)]
struct Variable {
    name: String,
    value: String,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=***", self.name)
    }
}

/// Why a word names no variable. Never holds a value.
#[derive(Debug, thiserror::Error)]
#[error("the variable is not set here; write {0}=VALUE to set it")]
struct Unset(String);

impl FromStr for Variable {
    type Err = Unset;

    fn from_str(text: &str) -> Result<Self, Unset> {
        match text.split_once('=') {
            Some((name, value)) => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            None => match std::env::var(text) {
                Ok(value) => Ok(Self { name: text.to_owned(), value }),
                Err(_) => Err(Unset(text.to_owned())),
            },
        }
    }
}

fn variables<S: Serializer>(variables: &[Variable], serializer: S) -> Result<S::Ok, S::Error> {
    variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable.value.as_str()))
        .collect::<BTreeMap<_, _>>()
        .serialize(serializer)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        job: JobArgs,
    }

    fn values(words: &[&str]) -> serde_json::Value {
        let words = std::iter::once(&"x").chain(words);
        Only::try_parse_from(words).unwrap().job.values().into()
    }

    #[test]
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_what_was_said_is_a_value() {
        assert_eq!(values(&[]), json!({}));
        let said = values(&[
            "--cpus=4",
            "--grace=90",
            "--setup=a b",
            "--setup=c",
            "--env=K=v=w",
            "--env=PATH",
            "--sbatch-arg",
            "--nice=10",
            "--ntasks-per-node=2",
        ]);
        let path = std::env::var("PATH").unwrap();
        let expected = json!({
            "cpus": 4,
            "grace": "1m30s",
            "setup": ["a b", "c"],
            "env": {"K": "v=w", "PATH": path},
            "sbatch_args": ["--nice=10"],
            "ntasks_per_node": 2,
        });
        assert_eq!(said, expected);
    }

    #[test]
    fn the_last_word_on_requeueing_counts() {
        assert_eq!(values(&["--requeue"]), json!({"requeue": true}));
        assert_eq!(values(&["--no-requeue"]), json!({"requeue": false}));
        assert_eq!(values(&["--no-requeue", "--requeue"]), json!({"requeue": true}));
        assert_eq!(values(&["--requeue", "--no-requeue"]), json!({"requeue": false}));
    }

    #[test]
    fn bad_values_are_usage_errors_and_secrets_stay_hidden() {
        for bad in [&["--cpus=0"][..], &["--cpus=x"], &["--grace=soon"], &["--env=TOWLINE_SURELY_UNSET"]] {
            let error = Only::try_parse_from(std::iter::once(&"x").chain(bad)).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
        }
        let parsed = Only::try_parse_from(["x", "--env=TOKEN=hush"]).unwrap();
        assert!(!format!("{parsed:?}").contains("hush"));
    }
}
