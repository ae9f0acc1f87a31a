//! What a user may ask a cluster for, as checks of `doctor`: its partitions, and the accounts to charge.

use towline_core::resources::Resources;
use towline_slurm::{Choice, ClusterProbe, Objection, Partition};

use super::cluster_checks::is_slurm_there;
use crate::doctor::Check;
use crate::names;

/// How many names one line lists.
const LISTED: usize = 12;

/// What a profile asks of a cluster unless told otherwise, and how it is called.
pub(crate) struct Asked<'a> {
    /// The profile's name.
    pub(crate) profile: &'a str,
    /// The file in which its values may be changed.
    pub(crate) config_file: &'a str,
    /// The login to the cluster as one types it; what stands behind it runs there. Empty where this machine is one.
    pub(crate) login: &'a str,
    /// What its jobs ask for.
    pub(crate) resources: &'a Resources,
}

impl Asked<'_> {
    /// A command that is to run on the cluster, as one types it here.
    pub(super) fn there(&self, command: &str) -> String {
        if self.login.is_empty() {
            return format!("`{command}`");
        }
        let word = shlex::try_quote(command).map(|word| word.into_owned()).unwrap_or_default();
        format!("`{} {word}`", self.login)
    }

    fn choice(&self) -> Choice<'_> {
        let Resources { partition, account, qos, time, .. } = self.resources;
        Choice {
            partition: partition.as_deref(),
            account: account.as_deref(),
            qos: qos.as_deref(),
            time: time.as_deref(),
        }
    }

    /// What to do about an objection: the value to change, the name that was probably meant, and those that may be used.
    fn hint(&self, objection: &Objection, probe: &ClusterProbe) -> String {
        let (key, word, known) = match objection {
            Objection::UnknownPartition { name } => ("partition", name.as_str(), open_partitions(probe)),
            Objection::Closed { .. } | Objection::NoDefaultPartition => {
                ("partition", "", open_partitions(probe))
            }
            Objection::UnknownAccount { name } => ("account", name.as_str(), accounts(probe)),
            Objection::NoDefaultAccount => ("account", "", accounts(probe)),
            Objection::UnknownQos { name, .. } => ("qos", name.as_str(), qualities(probe)),
            Objection::TooLong { .. } | Objection::BadTime { .. } => ("time", "", Vec::new()),
            _ => {
                let list = self.there(&format!("sacctmgr show user {} withassoc", probe.user));
                return format!("ask the administrators for an account; {list} lists yours");
            }
        };
        let meant = match names::nearest(word, known.iter().copied()) {
            Some(near) if !word.is_empty() => format!("did you mean {near}? "),
            _ => String::new(),
        };
        let set = format!("set {key} of [profiles.{}] in {}", self.profile, self.config_file);
        let to = if known.is_empty() { String::new() } else { format!(" to one of: {}", listed(&known)) };
        meant + &set + &to
    }
}

/// The partitions that this user may use, and whether the profile's is among them.
pub(super) fn partitions_check(probe: &ClusterProbe, asked: &Asked<'_>) -> Check {
    const NAME: &str = "partitions";
    if !is_slurm_there(probe) {
        return Check::skipped(NAME, "not looked at: slurm failed");
    }
    if probe.partitions.is_empty() {
        let hint = format!("{} must list some", asked.there("scontrol show partition"));
        return Check::warning(NAME, "the controller shows no partition to you", hint);
    }
    let objections = probe.objections(&asked.choice());
    if let Some(first) = objections.iter().find(|objection| !objection.is_about_accounts()) {
        return Check::wrong(NAME, first.to_string(), asked.hint(first, probe));
    }
    let is_open = |partition: &&Partition| probe.barrier(partition).is_none();
    let (open, closed): (Vec<&Partition>, Vec<&Partition>) = probe.partitions.iter().partition(is_open);
    let names: Vec<String> = open.iter().map(|partition| tell(partition)).collect();
    let mut text = format!("open to you: {}", listed(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    if let Some(first) = closed.first() {
        let why = probe.barrier(first).map(|why| format!(" ({why})")).unwrap_or_default();
        let more = if closed.len() > 1 { format!(" and {} more", closed.len() - 1) } else { String::new() };
        text.extend(["; closed: ", &first.name, &why, &more]);
    }
    if open.is_empty() {
        let hint = "ask the administrators which partition you may use";
        return Check::wrong(NAME, text.replacen("open to you: ", "none is open to you", 1), hint);
    }
    Check::ok(NAME, text)
}

/// A partition with what its jobs get in time.
fn tell(partition: &Partition) -> String {
    let mut notes = Vec::new();
    if partition.is_default {
        notes.push("default".to_owned());
    }
    notes.push(match &partition.max_time {
        Some(limit) => format!("at most {limit}"),
        None => "no time limit".to_owned(),
    });
    notes.extend(partition.default_time.as_ref().map(|time| format!("{time} unless asked for")));
    if partition.state != "UP" {
        notes.push(format!("{}: jobs wait", partition.state));
    }
    format!("{} ({})", partition.name, notes.join(", "))
}

/// The accounts that this user may charge, and whether the profile's account and quality of service are among them.
pub(super) fn accounts_check(probe: &ClusterProbe, asked: &Asked<'_>) -> Check {
    const NAME: &str = "accounts";
    let Some(associations) = &probe.associations else {
        return match probe.has_accounting {
            true => Check::warning(
                NAME,
                "accounting does not tell which accounts are yours",
                format!(
                    "{} must list them",
                    asked.there(&format!("sacctmgr show user {} withassoc", probe.user))
                ),
            ),
            false => Check::skipped(NAME, "not looked at: accounting is not there to be asked"),
        };
    };
    let objections = probe.objections(&asked.choice());
    if let Some(first) = objections.iter().find(|objection| objection.is_about_accounts()) {
        let hint = asked.hint(first, probe);
        // A site may keep accounts without asking for them.
        return match probe.enforces_accounts {
            Some(true) => Check::wrong(NAME, first.to_string(), hint),
            _ => Check::warning(NAME, format!("{first}; the cluster may not mind"), hint),
        };
    }
    let told = associations.iter().map(|association| {
        let mut text = association.account.clone();
        if association.is_default {
            text.push_str(" (default)");
        }
        if let Some(partition) = &association.partition {
            text.extend([" in partition ", partition]);
        }
        if !association.qos.is_empty() {
            text.extend([" with qos ", &association.qos.join(" ")]);
        }
        text
    });
    let told: Vec<String> = told.collect();
    Check::ok(NAME, format!("yours: {}", listed(&told.iter().map(String::as_str).collect::<Vec<_>>())))
}

fn open_partitions(probe: &ClusterProbe) -> Vec<&str> {
    let open = probe.partitions.iter().filter(|partition| probe.barrier(partition).is_none());
    open.map(|partition| partition.name.as_str()).collect()
}

fn accounts(probe: &ClusterProbe) -> Vec<&str> {
    let mut names: Vec<&str> = probe.associations.iter().flatten().map(|it| it.account.as_str()).collect();
    names.dedup();
    names
}

fn qualities(probe: &ClusterProbe) -> Vec<&str> {
    let mut names: Vec<&str> =
        probe.associations.iter().flatten().flat_map(|it| &it.qos).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn listed(names: &[&str]) -> String {
    let more = names.len().saturating_sub(LISTED);
    let text = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

#[cfg(test)]
mod tests {
    use towline_slurm::{Association, Gate};

    use super::*;
    use crate::doctor::Verdict;

    fn probe() -> ClusterProbe {
        let partition =
            |name: &str| Partition { name: name.into(), state: "UP".into(), ..Partition::default() };
        let association = |account: &str| Association { account: account.into(), ..Association::default() };
        let short = Partition { max_time: Some("00:02:00".into()), ..partition("short") };
        let staff = Partition { groups: Gate::Only(vec!["staff".into()]), ..partition("staff") };
        ClusterProbe {
            user: "alice".into(),
            groups: vec!["alice".into()],
            partitions: vec![Partition { is_default: true, ..partition("cpu") }, short, staff],
            has_accounting: true,
            enforces_accounts: Some(true),
            associations: Some(vec![Association { is_default: true, ..association("research") }]),
            ..ClusterProbe::default()
        }
    }

    fn with<T>(resources: Resources, look: impl Fn(&Asked<'_>) -> T) -> T {
        look(&Asked { profile: "lab", config_file: "/c.toml", login: "ssh login", resources: &resources })
    }

    #[test]
    fn what_may_be_used_is_listed() {
        let check = with(Resources::default(), |asked| partitions_check(&probe(), asked));
        let text = "open to you: cpu (default, no time limit), short (at most 00:02:00); \
                    closed: staff (it lets in group staff only)";
        assert_eq!((check.verdict, check.text.as_str()), (Verdict::Ok, text));
        let check = with(Resources::default(), |asked| accounts_check(&probe(), asked));
        assert_eq!((check.verdict, check.text.as_str()), (Verdict::Ok, "yours: research (default)"));
    }

    #[test]
    fn a_slip_in_the_profile_is_told_with_what_was_meant() {
        let slip = Resources {
            partition: Some("shrot".into()),
            account: Some("reserach".into()),
            ..Resources::default()
        };
        let hint = with(slip.clone(), |asked| partitions_check(&probe(), asked)).hint.unwrap();
        assert_eq!(
            hint,
            "did you mean short? set partition of [profiles.lab] in /c.toml to one of: cpu, short"
        );
        let check = with(slip.clone(), |asked| accounts_check(&probe(), asked));
        assert!(check.is_failed() && check.hint.unwrap().starts_with("did you mean research? set account"));
        let lax = ClusterProbe { enforces_accounts: Some(false), ..probe() };
        assert_eq!(with(slip, |asked| accounts_check(&lax, asked)).verdict, Verdict::Warning);
        let long =
            Resources { partition: Some("short".into()), time: Some("5".into()), ..Resources::default() };
        let check = with(long, |asked| partitions_check(&probe(), asked));
        assert!(check.is_failed() && check.hint.unwrap().starts_with("set time of [profiles.lab]"));
    }

    #[test]
    fn nobody_s_accounts_are_told_whom_to_ask() {
        let none = ClusterProbe { associations: Some(Vec::new()), ..probe() };
        let hint = with(Resources::default(), |asked| accounts_check(&none, asked)).hint.unwrap();
        assert!(hint.contains("`ssh login 'sacctmgr show user alice withassoc'`"), "{hint}");
        let closed = ClusterProbe { partitions: vec![probe().partitions[2].clone()], ..probe() };
        let check = with(Resources { partition: Some("staff".into()), ..Resources::default() }, |asked| {
            partitions_check(&closed, asked)
        });
        assert_eq!(check.text, "partition staff is closed to you: it lets in group staff only");
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
        let text = listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(text.ends_with(", p11 and 8 more"), "{text}");
    }
}
