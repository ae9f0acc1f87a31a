//! What a user may ask a cluster for: judged from one look at it, before Slurm refuses a job or lets it wait for ever.

use serde::Serialize;
use towline_core::walltime::Walltime;

use crate::findings::ClusterProbe;
use crate::parse::association::Association;
use crate::parse::partition::{Gate, Partition};

/// What jobs are to ask for, in the words of `sbatch`; `None` leaves it to the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice<'a> {
    /// A partition, or several separated by commas.
    pub partition: Option<&'a str>,
    /// The account to charge.
    pub account: Option<&'a str>,
    /// The quality of service.
    pub qos: Option<&'a str>,
    /// The time limit.
    pub time: Option<&'a str>,
}

/// Why a partition takes no job of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Barrier {
    /// It takes jobs of root alone.
    #[error("it is root's alone")]
    Root,
    /// It takes no jobs from anybody at present; the state in Slurm's words.
    #[error("it takes no jobs now ({0})")]
    State(String),
    /// The user is in none of the Linux groups that it lets in.
    #[error("it lets in {} only", words("group", .0))]
    Groups(Vec<String>),
    /// The user has none of the accounts that it lets in.
    #[error("it lets in {} only", words("account", .0))]
    Accounts(Vec<String>),
    /// It refuses all of the user's accounts.
    #[error("it refuses {}", words("account", .0))]
    Refused(Vec<String>),
    /// The user has none of the qualities of service that it takes.
    #[error("it takes {} only", words("quality of service", .0))]
    Qos(Vec<String>),
    /// It refuses all of the user's qualities of service.
    #[error("it refuses {}", words("quality of service", .0))]
    RefusedQos(Vec<String>),
}

/// Why jobs that ask for a [`Choice`] would be refused, or never start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Objection {
    /// No partition has that name, or none that is shown to this user.
    #[error("there is no partition {name}")]
    UnknownPartition {
        /// The name that was chosen.
        name: String,
    },
    /// The partition takes no job of this user.
    #[error("partition {partition} is closed to you: {why}")]
    Closed {
        /// The partition.
        partition: String,
        /// Why.
        why: Barrier,
    },
    /// Jobs that name no partition have nowhere to go.
    #[error("no partition is the default one, and none is named")]
    NoDefaultPartition,
    /// Jobs would wait for ever, or be refused, as the site has it.
    #[error("a time limit of {asked} is longer than partition {partition} allows ({limit})")]
    TooLong {
        /// The time limit that was chosen.
        asked: String,
        /// The partition.
        partition: String,
        /// What it allows.
        limit: String,
    },
    /// The time limit is none of the forms that Slurm takes.
    #[error("{asked:?} is no time limit")]
    BadTime {
        /// What was chosen.
        asked: String,
    },
    /// The user may not charge jobs to that account.
    #[error("you may not charge jobs to account {name}")]
    UnknownAccount {
        /// The account that was chosen.
        name: String,
    },
    /// The user may charge jobs to no account at all on this cluster.
    #[error("you have no account here that jobs could be charged to")]
    NoAccount,
    /// Jobs that name no account have none to be charged to.
    #[error("none of your accounts is the default one, and none is named")]
    NoDefaultAccount,
    /// The account may not be charged for jobs of that quality of service.
    #[error("account {account} has no quality of service {name}")]
    UnknownQos {
        /// The quality of service that was chosen.
        name: String,
        /// The account.
        account: String,
    },
}

impl Objection {
    /// Whether it is about the account or quality of service, which a site may leave unchecked.
    pub const fn is_about_accounts(&self) -> bool {
        match self {
            Self::UnknownAccount { .. }
            | Self::NoAccount
            | Self::NoDefaultAccount
            | Self::UnknownQos { .. } => true,
            Self::UnknownPartition { .. }
            | Self::Closed { .. }
            | Self::NoDefaultPartition
            | Self::TooLong { .. }
            | Self::BadTime { .. } => false,
        }
    }
}

impl ClusterProbe {
    /// Why a partition takes no job of this user, whichever of their accounts it is charged to. What is not known is no
    /// barrier: [`None`] means that nothing speaks against it.
    pub fn barrier(&self, partition: &Partition) -> Option<Barrier> {
        self.barrier_to(partition, &Choice::default())
    }

    /// What speaks against jobs that ask for `choice`; what is not known does not.
    pub fn objections(&self, choice: &Choice<'_>) -> Vec<Objection> {
        let mut objections = self.account_objections(choice);
        if !self.partitions.is_empty() {
            objections.extend(self.partition_objections(choice));
        }
        objections
    }

    fn barrier_to(&self, partition: &Partition, choice: &Choice<'_>) -> Option<Barrier> {
        if partition.root_only && self.user != "root" {
            return Some(Barrier::Root);
        }
        if ["DRAIN", "INACTIVE"].contains(&partition.state.as_str()) {
            return Some(Barrier::State(partition.state.clone()));
        }
        if let Gate::Only(groups) = &partition.groups
            && !self.groups.is_empty()
            && !self.groups.iter().any(|group| groups.contains(group))
        {
            return Some(Barrier::Groups(groups.clone()));
        }
        let is_asked =
            |asked: Option<&str>, name: &str| asked.is_none_or(|asked| asked.eq_ignore_ascii_case(name));
        let counts = |it: &&Association| {
            it.partition.as_ref().is_none_or(|only| *only == partition.name)
                && is_asked(choice.account, &it.account)
        };
        let chosen: Vec<&Association> = self.associations.as_ref()?.iter().filter(counts).collect();
        let accounts = chosen.iter().map(|it| it.account.as_str());
        let qos = chosen.iter().flat_map(|it| &it.qos).map(String::as_str);
        let qos = qos.filter(|name| is_asked(choice.qos, name));
        shut(&partition.accounts, accounts, Barrier::Accounts, Barrier::Refused)
            .or_else(|| shut(&partition.qos, qos, Barrier::Qos, Barrier::RefusedQos))
    }

    fn partition_objections(&self, choice: &Choice<'_>) -> Vec<Objection> {
        let names: Vec<&str> = choice.partition.map(|names| names.split(',').collect()).unwrap_or_default();
        let known = |name: &&str| self.partitions.iter().find(|partition| partition.name == **name);
        let unknown: Vec<Objection> = names
            .iter()
            .filter(|name| known(name).is_none())
            .map(|name| Objection::UnknownPartition { name: (*name).to_owned() })
            .collect();
        if !unknown.is_empty() {
            return unknown;
        }
        let chosen: Vec<&Partition> = match names.as_slice() {
            [] => self.partitions.iter().filter(|partition| partition.is_default).collect(),
            names => names.iter().filter_map(known).collect(),
        };
        if chosen.is_empty() {
            return vec![Objection::NoDefaultPartition];
        }
        // Slurm passes over those of several that are closed.
        let objections: Vec<Option<Objection>> =
            chosen.iter().map(|partition| self.objection_to(partition, choice)).collect();
        match objections.iter().any(Option::is_none) {
            true => Vec::new(),
            false => objections.into_iter().flatten().collect(),
        }
    }

    fn objection_to(&self, partition: &Partition, choice: &Choice<'_>) -> Option<Objection> {
        if let Some(why) = self.barrier_to(partition, choice) {
            return Some(Objection::Closed { partition: partition.name.clone(), why });
        }
        let asked = choice.time?;
        let Ok(time) = asked.parse::<Walltime>() else {
            return Some(Objection::BadTime { asked: asked.to_owned() });
        };
        let limit = partition.max_time.as_deref()?;
        let allowed = limit.parse::<Walltime>().ok()?.limit()?;
        let is_longer = time.limit().is_none_or(|time| time > allowed);
        is_longer.then(|| Objection::TooLong {
            asked: asked.to_owned(),
            partition: partition.name.clone(),
            limit: limit.to_owned(),
        })
    }

    fn account_objections(&self, choice: &Choice<'_>) -> Vec<Objection> {
        let Some(associations) = &self.associations else { return Vec::new() };
        if associations.is_empty() {
            return vec![Objection::NoAccount];
        }
        let chosen: Vec<&Association> = match choice.account {
            Some(name) => associations.iter().filter(|it| it.account.eq_ignore_ascii_case(name)).collect(),
            None => associations.iter().filter(|it| it.is_default).collect(),
        };
        let Some(first) = chosen.first() else {
            return vec![match choice.account {
                Some(name) => Objection::UnknownAccount { name: name.to_owned() },
                None => Objection::NoDefaultAccount,
            }];
        };
        let Some(qos) = choice.qos else { return Vec::new() };
        let known: Vec<&String> = chosen.iter().flat_map(|it| &it.qos).collect();
        if known.is_empty() || known.iter().any(|name| name.eq_ignore_ascii_case(qos)) {
            return Vec::new();
        }
        vec![Objection::UnknownQos { name: qos.to_owned(), account: first.account.clone() }]
    }
}

/// The barrier that a gate is to whoever has these names, if it lets in none of them. Who has none at all has another
/// trouble than this gate.
fn shut<'a>(
    gate: &Gate,
    names: impl Iterator<Item = &'a str>,
    only: fn(Vec<String>) -> Barrier,
    not: fn(Vec<String>) -> Barrier,
) -> Option<Barrier> {
    let mut names = names.peekable();
    names.peek()?;
    match gate {
        gate if names.any(|name| gate.admits(name)) => None,
        Gate::Only(names) => Some(only(names.clone())),
        Gate::Not(names) => Some(not(names.clone())),
        Gate::All => None,
    }
}

fn words(kind: &str, names: &[String]) -> String {
    match (kind, names.len()) {
        (_, 1) => format!("{kind} {}", names.join("")),
        ("quality of service", _) => format!("qualities of service {}", names.join(", ")),
        _ => format!("{kind}s {}", names.join(", ")),
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
