//! Reads `sacctmgr -P show user NAME withassoc`: a heading, and a row for each account that the user may charge.

use serde::Serialize;

/// An account that a user may charge jobs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Association {
    /// The account.
    pub account: String,
    /// The partition in which alone; `None` for all.
    pub partition: Option<String>,
    /// The qualities of service that may be asked for; empty if that is not told.
    pub qos: Vec<String>,
    /// Whether jobs are charged to it that name no account.
    pub is_default: bool,
}

/// Reads the rows of `cluster`; with an empty name those of all. `None` if this is no such table.
pub(crate) fn associations(text: &str, cluster: &str) -> Option<Vec<Association>> {
    let mut lines = text.lines().map(|line| line.split('|').collect::<Vec<_>>());
    let heading = lines.next()?;
    let at = |name: &str| heading.iter().position(|heading| heading.trim() == name);
    let (account_at, cluster_at) = (at("Account")?, at("Cluster")?);
    let read = |row: Vec<&str>| {
        let cell = |at: Option<usize>| row.get(at?).map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
        let is_here = cluster.is_empty() || cell(Some(cluster_at)) == Some(cluster);
        let account = cell(Some(account_at)).filter(|_| is_here)?;
        Some(Association {
            account: account.to_owned(),
            partition: cell(at("Partition")).map(str::to_owned),
            qos: cell(at("QOS"))
                .map(|names| names.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
            is_default: cell(at("Def Acct")) == Some(account),
        })
    };
    Some(lines.filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::capture;

    #[test]
    fn the_accounts_of_real_users() {
        let found = associations(&capture("user.sacctmgr"), "towline").unwrap();
        let accounts: Vec<(&str, bool)> =
            found.iter().map(|it| (it.account.as_str(), it.is_default)).collect();
        assert_eq!(accounts, [("research", true), ("bobonly", false)]);
        assert!(found.iter().all(|it| it.partition.is_none() && it.qos == ["normal"]));
        assert_eq!(associations(&capture("user-unknown.sacctmgr"), "towline"), Some(Vec::new()));
    }

    #[test]
    fn accounts_of_other_clusters_are_none_of_this_one() {
        let text = "User|Def Acct|Cluster|Account|Partition|QOS\na|x|here|x|gpu|normal,long\na|x|there|y||\n";
        let here = associations(text, "here").unwrap();
        assert_eq!(here.len(), 1);
        assert_eq!(here[0].partition.as_deref(), Some("gpu"));
        assert_eq!(here[0].qos, ["normal", "long"]);
        assert_eq!(associations(text, "").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_such_table_is_none() {
        for text in ["", "sacctmgr: error", "User|Admin\na|b", "|||\n|||"] {
            assert_eq!(associations(text, ""), None, "{text}");
        }
        assert_eq!(associations("Cluster|Account", ""), Some(Vec::new()));
        assert_eq!(associations("Cluster|Account\nx\n|\n", ""), Some(Vec::new()), "rows without an account");
    }
}
