//! The words by which Slurm says that a limit of an association or a quality of service holds a job back.
//!
//! They are made of parts: whose limit (`Assoc`, `QOS`, or none where it is one of a quality of service per account or
//! user), of which kind (`Grp`, `Max`, `Min`), of what, counted how. Reading the parts reads all of them.

use super::explanation::Outlook;
use super::reasons::{Facet, Nature, Reason};

/// Endings of the words: how the amount is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// At the same time, by all.
    Together,
    /// Times minutes, past ones included.
    Minutes,
    /// Times minutes that running jobs still have.
    RunMinutes,
    PerJob,
    /// Times the minutes of the job.
    MinutesPerJob,
    PerNode,
    PerUser,
    PerAccount,
    RunMinutesPerUser,
    RunMinutesPerAccount,
}

/// The endings, longer ones before those that end them.
const COUNTS: [(&str, Count); 10] = [
    ("RunMinsPerAccount", Count::RunMinutesPerAccount),
    ("RunMinsPerUser", Count::RunMinutesPerUser),
    ("MinutesPerJob", Count::MinutesPerJob),
    ("PerAccount", Count::PerAccount),
    ("PerUser", Count::PerUser),
    ("PerNode", Count::PerNode),
    ("PerJob", Count::PerJob),
    ("RunMinutes", Count::RunMinutes),
    ("Minutes", Count::Minutes),
    ("", Count::Together),
];

/// What is limited: Slurm's word, ours, what the job asks of it, and whether it is one of Slurm's trackable resources.
const RESOURCES: [(&str, &str, Facet, bool); 19] = [
    ("Cpu", "CPUs", Facet::Cpus, true),
    ("CPU", "CPUs", Facet::Cpus, true),
    ("Mem", "memory", Facet::Memory, true),
    ("Memory", "memory", Facet::Memory, true),
    ("Node", "nodes", Facet::Nodes, true),
    ("GRES", "generic resources such as GPUs", Facet::Gres, true),
    ("License", "licenses", Facet::Licenses, true),
    ("BB", "burst buffers", Facet::Nothing, true),
    ("Billing", "billing units", Facet::Nothing, true),
    ("Energy", "energy", Facet::Nothing, true),
    ("Unknown", "some resource", Facet::Nothing, true),
    ("Resource", "some resource", Facet::Nothing, true),
    ("Jobs", "running jobs", Facet::Nothing, false),
    ("Job", "running jobs", Facet::Nothing, false),
    ("SubmitJobs", "waiting and running jobs", Facet::Nothing, false),
    ("SubmitJob", "waiting and running jobs", Facet::Nothing, false),
    ("Wall", "wall time", Facet::Time, false),
    ("WallDuration", "wall time", Facet::Time, false),
    ("Time", "wall time", Facet::Time, false),
];

/// What such a word says; `None` if it is none.
pub(super) fn read(word: &str) -> Option<Reason> {
    let (whose, rest) = match word {
        _ if word.starts_with("Association") => ("association", word.strip_prefix("Association")?),
        _ if word.starts_with("Assoc") => ("association", word.strip_prefix("Assoc")?),
        _ if word.starts_with("QOS") => ("quality of service", word.strip_prefix("QOS")?),
        _ if word.starts_with("Max") && (word.ends_with("PerAccount") || word.ends_with("PerUser")) => {
            ("quality of service", word)
        }
        _ => return None,
    };
    let kind = ["Grp", "Max", "Min"].into_iter().find(|kind| rest.starts_with(kind));
    // Those of old versions, such as QOSJobLimit, name no kind.
    let rest = kind.map_or(rest, |kind| &rest[kind.len()..]);
    let rest = rest.strip_suffix("NotSatisfied").unwrap_or(rest);
    let rest = rest.strip_suffix("Limit").unwrap_or(rest);
    let (ending, count) = *COUNTS.iter().find(|(ending, _)| rest.ends_with(ending))?;
    let what = rest.strip_suffix(ending)?;
    let &(_, what, facet, is_tres) = RESOURCES.iter().find(|(name, ..)| *name == what)?;
    let kind = kind.unwrap_or("Grp");
    // A partition may have a quality of service of its own.
    let nature = if whose == "association" { Nature::Job } else { Nature::InPartition };
    Some(Reason {
        nature,
        outlook: outlook(kind, count),
        meaning: meaning(whose, kind, what, count),
        advice: advice(kind, facet, count),
        facet,
        limit: Some(column(kind, what, count, is_tres)),
    })
}

/// A limit of one job alone is never met by waiting, nor are minutes given back that are spent.
const fn is_of_one_job(count: Count) -> bool {
    matches!(count, Count::PerJob | Count::MinutesPerJob | Count::PerNode)
}

fn outlook(kind: &str, count: Count) -> Outlook {
    match kind {
        "Min" => Outlook::Never,
        _ if is_of_one_job(count) => Outlook::Never,
        _ if count == Count::Minutes => Outlook::Blocked,
        _ => Outlook::Waits,
    }
}

fn meaning(whose: &str, kind: &str, what: &str, count: Count) -> String {
    let minutes = format!("{what} times minutes");
    match (kind, count) {
        ("Min", _) => format!("the job asks for less {what} than its {whose} demands of each job"),
        (_, Count::PerJob) => format!("the job asks for more {what} than its {whose} allows to one job"),
        (_, Count::MinutesPerJob) => {
            format!("the job asks for more {minutes} than its {whose} allows to one job")
        }
        (_, Count::PerNode) => {
            format!("the job asks for more {what} on a node than its {whose} allows to one job")
        }
        (_, Count::Minutes) => format!("its {whose} has used up all the {minutes} that it was given"),
        (_, Count::RunMinutes) => {
            format!(
                "the running jobs of its {whose} still need all the {minutes} that these may have at a time"
            )
        }
        (_, Count::PerUser) => format!("your jobs use all the {what} that its {whose} allows to one user"),
        (_, Count::PerAccount) => {
            format!("the jobs of your account use all the {what} that its {whose} allows to one account")
        }
        (_, Count::RunMinutesPerUser) => {
            format!("your running jobs still need all the {minutes} that its {whose} allows to one user")
        }
        (_, Count::RunMinutesPerAccount) => format!(
            "the running jobs of your account still need all the {minutes} that its {whose} allows to one account"
        ),
        ("Max", Count::Together) => format!("you have as many {what} as its {whose} allows to one user"),
        (_, Count::Together) => {
            format!("the jobs of its {whose} use all the {what} that these may have together")
        }
    }
}

fn advice(kind: &str, facet: Facet, count: Count) -> String {
    let with = facet.option().map_or_else(String::new, |option| format!(" with {option}"));
    match outlook(kind, count) {
        Outlook::Never if kind == "Min" => format!("stop it and ask for more{with}, or for another --qos"),
        Outlook::Never if count == Count::MinutesPerJob => {
            format!("stop it and ask for less{with} or for a shorter --time, or for another --qos or --account")
        }
        Outlook::Never => format!("stop it and ask for less{with}, or for another --qos or --account"),
        Outlook::Blocked => "ask whoever manages the account for more, or use another --account or --qos; it starts \
                             by itself only if what was used is forgotten with time"
            .to_owned(),
        _ => "wait until other jobs have ended; a job that asks for more than the limit all by itself never starts"
            .to_owned(),
    }
}

/// What `sacctmgr show` calls the limit: a column of its default format from 20.11 on, per user and per account only of
/// a quality of service (sacctmgr(1)).
fn column(kind: &str, what: &str, count: Count, is_tres: bool) -> &'static str {
    let grp = kind == "Grp";
    match count {
        _ if kind == "Min" => "MinTRES",
        Count::RunMinutesPerUser => "MaxTRESRunMinsPU",
        Count::RunMinutesPerAccount => "MaxTRESRunMinsPA",
        Count::MinutesPerJob => "MaxTRESMins",
        Count::PerNode => "MaxTRESPerNode",
        Count::Minutes => "GrpTRESMins",
        Count::RunMinutes => "GrpTRESRunMins",
        Count::PerUser if is_tres => "MaxTRESPU",
        Count::PerAccount if is_tres => "MaxTRESPA",
        Count::PerJob | Count::Together if is_tres => {
            if grp {
                "GrpTRES"
            } else {
                "MaxTRES"
            }
        }
        Count::PerUser | Count::PerAccount | Count::PerJob | Count::Together => match (what, grp, count) {
            ("wall time", true, _) => "GrpWall",
            ("wall time", false, _) => "MaxWall",
            ("running jobs", true, _) => "GrpJobs",
            ("running jobs", false, Count::PerUser) => "MaxJobsPU",
            ("running jobs", false, Count::PerAccount) => "MaxJobsPA",
            ("running jobs", false, _) => "MaxJobs",
            (_, true, _) => "GrpSubmit",
            (_, false, Count::PerUser) => "MaxSubmitPU",
            (_, false, Count::PerAccount) => "MaxSubmitPA",
            (_, false, _) => "MaxSubmit",
        },
    }
}
