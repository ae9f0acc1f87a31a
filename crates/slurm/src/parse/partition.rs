//! Reads `scontrol -o show partition`: a line of words of the form `Name=value` for each partition.

use serde::Serialize;

/// A partition, and whom it lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// Whether jobs go there that name none.
    pub is_default: bool,
    /// `UP`, `DOWN` (jobs wait), `DRAIN` or `INACTIVE` (no job is taken), in Slurm's words.
    pub state: String,
    /// The longest time limit there in Slurm's words, such as `00:02:00`; `None` without one.
    pub max_time: Option<String>,
    /// The time limit of jobs that name none; `None` if that is the longest.
    pub default_time: Option<String>,
    /// How many nodes it has.
    pub nodes: u32,
    /// Whether it takes jobs of root alone.
    pub root_only: bool,
    /// Which Linux groups it lets in.
    pub groups: Gate,
    /// Which accounts it lets in.
    pub accounts: Gate,
    /// Which qualities of service it lets in.
    pub qos: Gate,
}

/// Whom a partition lets in, of one kind of name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Everybody.
    #[default]
    All,
    /// These alone.
    Only(Vec<String>),
    /// Everybody but these.
    Not(Vec<String>),
}

impl Gate {
    /// Whether it lets `name` in. Slurm's names do not depend on case where they are accounts or qualities of service.
    pub(crate) fn admits(&self, name: &str) -> bool {
        let listed = |names: &[String]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        match self {
            Self::All => true,
            Self::Only(names) => listed(names),
            Self::Not(names) => !listed(names),
        }
    }
}

/// Reads one line; `None` if it names no partition.
pub(crate) fn partition(line: &str) -> Option<Partition> {
    let value = |wanted: &str| {
        let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
        pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value).next()
    };
    let limit =
        |name: &str| value(name).filter(|time| !["UNLIMITED", "NONE"].contains(time)).map(str::to_owned);
    // Where a partition refuses some, Slurm prints the one word in place of the other.
    let gate = |allow: &str, deny: &str| match (value(allow), value(deny)) {
        (_, Some(names)) if !is_nobody(names) => Gate::Not(list(names)),
        (Some(names), _) if names != "ALL" && !is_nobody(names) => Gate::Only(list(names)),
        _ => Gate::All,
    };
    Some(Partition {
        name: value("PartitionName").filter(|name| !name.is_empty())?.to_owned(),
        is_default: value("Default") == Some("YES"),
        state: value("State").unwrap_or("unknown").to_owned(),
        max_time: limit("MaxTime"),
        default_time: limit("DefaultTime"),
        nodes: value("TotalNodes").and_then(|count| count.parse().ok()).unwrap_or(0),
        root_only: value("RootOnly") == Some("YES"),
        groups: gate("AllowGroups", "DenyGroups"),
        accounts: gate("AllowAccounts", "DenyAccounts"),
        qos: gate("AllowQos", "DenyQos"),
    })
}

fn is_nobody(names: &str) -> bool {
    names.is_empty() || names == "(null)" || names == "NONE"
}

fn list(names: &str) -> Vec<String> {
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::capture;

    #[test]
    fn the_partitions_of_a_real_cluster() {
        let all: Vec<Partition> = capture("partitions.scontrol").lines().filter_map(partition).collect();
        let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["cpu", "short", "gpu"]);
        let [cpu, short, _] = all.as_slice() else { panic!("{all:?}") };
        assert!(cpu.is_default && !short.is_default);
        assert_eq!((cpu.max_time.as_deref(), cpu.default_time.as_deref()), (None, Some("01:00:00")));
        assert_eq!((short.max_time.as_deref(), short.nodes), (Some("00:02:00"), 3));
        assert!(all.iter().all(|it| it.accounts == Gate::All && it.state == "UP" && !it.root_only));
    }

    #[test]
    fn a_partition_may_let_in_some_or_all_but_some() {
        let line =
            "PartitionName=x AllowGroups=staff,lab DenyAccounts=guest AllowQos=ALL RootOnly=YES State=DRAIN";
        let found = partition(line).unwrap();
        assert_eq!(found.groups, Gate::Only(vec!["staff".into(), "lab".into()]));
        assert_eq!(found.accounts, Gate::Not(vec!["guest".into()]));
        assert!(found.qos == Gate::All && found.root_only && found.state == "DRAIN");
        assert!(found.accounts.admits("lab") && !found.accounts.admits("Guest"));
        assert!(found.groups.admits("lab") && !found.groups.admits("guest"));
    }

    #[test]
    fn what_names_no_partition_is_none() {
        for line in ["", "slurm_load_partitions error: x", "PartitionName=", "Default=YES"] {
            assert_eq!(partition(line), None, "{line}");
        }
    }
}
