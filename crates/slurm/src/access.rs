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
        self.barrier_to(partition, |_| true)
    }

    /// What speaks against jobs that ask for `choice`; what is not known does not.
    pub fn objections(&self, choice: &Choice<'_>) -> Vec<Objection> {
        let mut objections = self.account_objections(choice);
        if !self.partitions.is_empty() {
            objections.extend(self.partition_objections(choice));
        }
        objections
    }

    fn barrier_to(&self, partition: &Partition, is_chosen: impl Fn(&str) -> bool) -> Option<Barrier> {
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
        let counts = |it: &&Association| it.partition.as_ref().is_none_or(|only| *only == partition.name);
        let accounts = self.associations.as_ref()?.iter().filter(counts).map(|it| it.account.as_str());
        let mut accounts = accounts.filter(|account| is_chosen(account)).peekable();
        // A user without any account has another trouble than this partition.
        accounts.peek()?;
        match &partition.accounts {
            gate if accounts.any(|account| gate.admits(account)) => None,
            Gate::Only(names) => Some(Barrier::Accounts(names.clone())),
            Gate::Not(names) => Some(Barrier::Refused(names.clone())),
            Gate::All => None,
        }
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
        let is_chosen =
            |account: &str| choice.account.is_none_or(|chosen| chosen.eq_ignore_ascii_case(account));
        if let Some(why) = self.barrier_to(partition, is_chosen) {
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

fn words(kind: &str, names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{kind}{plural} {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn association(account: &str, is_default: bool) -> Association {
        Association {
            account: account.into(),
            is_default,
            qos: vec!["normal".into()],
            ..Association::default()
        }
    }

    fn partition(name: &str) -> Partition {
        Partition { name: name.into(), state: "UP".into(), ..Partition::default() }
    }

    fn cluster() -> ClusterProbe {
        let short = Partition { max_time: Some("00:02:00".into()), ..partition("short") };
        let staff = Partition { groups: Gate::Only(vec!["staff".into()]), ..partition("staff") };
        let theirs = Partition { accounts: Gate::Only(vec!["bobonly".into()]), ..partition("theirs") };
        ClusterProbe {
            user: "alice".into(),
            groups: vec!["alice".into(), "lab".into()],
            partitions: vec![Partition { is_default: true, ..partition("cpu") }, short, staff, theirs],
            associations: Some(vec![association("research", true), association("teaching", false)]),
            ..ClusterProbe::default()
        }
    }

    fn objections(choice: Choice<'_>) -> Vec<String> {
        cluster().objections(&choice).iter().map(ToString::to_string).collect()
    }

    fn choose(partition: &'static str) -> Choice<'static> {
        Choice { partition: Some(partition), ..Choice::default() }
    }

    #[test]
    fn nothing_speaks_against_what_a_user_may_use() {
        for partition in ["cpu", "short", "cpu,short", "staff,cpu"] {
            let choice = Choice {
                account: Some("Research"),
                qos: Some("normal"),
                time: Some("2"),
                ..choose(partition)
            };
            assert_eq!(objections(choice), [""; 0], "{partition}");
        }
        assert_eq!(objections(Choice::default()), [""; 0]);
    }

    #[test]
    fn closed_partitions_say_whom_they_let_in() {
        assert_eq!(
            objections(choose("staff")),
            ["partition staff is closed to you: it lets in group staff only"]
        );
        assert_eq!(
            objections(choose("theirs")),
            ["partition theirs is closed to you: it lets in account bobonly only"]
        );
        assert_eq!(objections(choose("cpu,gpuu")), ["there is no partition gpuu"]);
        let mut cluster = cluster();
        let closed = |cluster: &ClusterProbe| cluster.barrier(&cluster.partitions[0]);
        assert_eq!(closed(&cluster), None);
        cluster.partitions[0].accounts = Gate::Not(vec!["research".into()]);
        assert_eq!(closed(&cluster), None, "the other account is let in");
        cluster.partitions[0].accounts = Gate::Not(vec!["research".into(), "teaching".into()]);
        assert_eq!(closed(&cluster).unwrap().to_string(), "it refuses accounts research, teaching");
        cluster.partitions[0].state = "DRAIN".into();
        assert_eq!(closed(&cluster).unwrap().to_string(), "it takes no jobs now (DRAIN)");
        cluster.partitions[0].root_only = true;
        assert_eq!(closed(&cluster), Some(Barrier::Root));
    }

    #[test]
    fn the_chosen_account_alone_opens_a_partition() {
        let mut cluster = cluster();
        cluster.partitions[0].accounts = Gate::Only(vec!["research".into()]);
        let choice = |account| Choice { account: Some(account), ..Choice::default() };
        assert_eq!(cluster.objections(&choice("research")), []);
        let [Objection::Closed { .. }] = cluster.objections(&choice("teaching"))[..] else { panic!() };
        cluster.associations =
            Some(vec![Association { partition: Some("gpu".into()), ..association("research", true) }]);
        assert_eq!(
            cluster.barrier(&cluster.partitions[0]),
            None,
            "no account counts there: not this one's fault"
        );
    }

    #[test]
    fn a_time_limit_over_the_partition_s_is_told_beforehand() {
        let asked = |time| objections(Choice { time: Some(time), ..choose("short") });
        assert_eq!(asked("2:00"), [""; 0]);
        let told = "a time limit of 5 is longer than partition short allows (00:02:00)";
        assert_eq!(asked("5"), [told]);
        assert_eq!(asked("infinite").len(), 1);
        assert_eq!(asked("soon"), ["\"soon\" is no time limit"]);
        assert_eq!(objections(Choice { time: Some("5"), ..choose("short,cpu") }), [""; 0]);
    }

    #[test]
    fn accounts_and_qualities_of_service_are_the_users_own() {
        let account = |account, qos| objections(Choice { account, qos, ..Choice::default() });
        assert_eq!(account(Some("bobonly"), None), ["you may not charge jobs to account bobonly"]);
        assert_eq!(account(None, Some("hihg")), ["account research has no quality of service hihg"]);
        let with = |associations| ClusterProbe { associations, ..cluster() }.objections(&Choice::default());
        assert_eq!(with(Some(Vec::new())), [Objection::NoAccount]);
        assert_eq!(with(Some(vec![association("x", false)])), [Objection::NoDefaultAccount]);
        assert_eq!(with(None), [], "what is not known speaks against nothing");
    }

    #[test]
    fn without_a_default_partition_one_must_be_named() {
        let mut cluster = cluster();
        cluster.partitions[0].is_default = false;
        assert_eq!(cluster.objections(&Choice::default()), [Objection::NoDefaultPartition]);
        cluster.partitions.clear();
        assert_eq!(cluster.objections(&choose("x")), [], "none is known");
    }
}
