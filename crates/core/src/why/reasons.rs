//! The words by which Slurm says why a job waits.
//!
//! Source: the table of reasons in `src/common/job_state_reason.c` (before 23.02 in `slurm_protocol_defs.c`), and their
//! meanings in `job_reason_codes.shtml` (before that in squeue(1)), as of Slurm 20.11 to 25.11; the phrases are those
//! that `slurmctld` puts in a word's place (`job_scheduler.c`, `job_mgr.c`, `node_scheduler.c`).

use super::evidence::Asked;
use super::explanation::Outlook;
use super::limits;

/// What a reason says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) outlook: Outlook,
    /// A sentence fragment.
    pub(super) meaning: String,
    pub(super) advice: String,
    /// What the job asks for that it is about.
    pub(super) facet: Facet,
    /// The name of the limit that it is about.
    pub(super) limit: Option<&'static str>,
    pub(super) nature: Nature,
}

/// What a word is said of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// The job.
    Job,
    /// A job that is held: it has no place in the queue.
    Held,
    /// The job in one partition; another one may start it.
    InPartition,
}

/// A part of what a job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Facet {
    Nothing,
    Time,
    Nodes,
    Cpus,
    Memory,
    Gres,
    Licenses,
    Partition,
    Account,
    Qos,
    Dependency,
    Nodelist,
    Features,
    Reservation,
}

impl Facet {
    /// What was asked, if it is known.
    pub(super) fn of(self, asked: &Asked) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Time => asked.time.as_deref(),
            Self::Nodes => asked.nodes.as_deref(),
            Self::Cpus => asked.cpus.as_deref(),
            Self::Memory => asked.memory.as_deref(),
            Self::Gres => asked.gres.as_deref(),
            Self::Licenses => asked.licenses.as_deref(),
            Self::Partition => asked.partition.as_deref(),
            Self::Account => asked.account.as_deref(),
            Self::Qos => asked.qos.as_deref(),
            Self::Dependency => asked.dependency.as_deref(),
            Self::Nodelist => asked.nodelist.as_deref(),
            Self::Features => asked.features.as_deref(),
            Self::Reservation => asked.reservation.as_deref(),
        }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Time => "time limit",
            Self::Nodes => "nodes",
            Self::Cpus => "CPUs",
            Self::Memory => "memory",
            Self::Gres => "generic resources",
            Self::Licenses => "licenses",
            Self::Partition => "partition",
            Self::Account => "account",
            Self::Qos => "quality of service",
            Self::Dependency => "dependency",
            Self::Nodelist => "required nodes",
            Self::Features => "features",
            Self::Reservation => "reservation",
        }
    }

    /// The option by which it is asked for; `sbatch` has the same.
    pub(super) const fn option(self) -> Option<&'static str> {
        Some(match self {
            Self::Nothing => return None,
            Self::Time => "--time",
            Self::Nodes => "--nodes",
            Self::Cpus => "--cpus",
            Self::Memory => "--mem",
            Self::Gres => "--gres",
            Self::Licenses => "--sbatch-arg=--licenses",
            Self::Partition => "--partition",
            Self::Account => "--account",
            Self::Qos => "--qos",
            Self::Dependency => "--sbatch-arg=--dependency",
            Self::Nodelist => "--nodelist",
            Self::Features => "--constraint",
            Self::Reservation => "--reservation",
        })
    }
}

use Facet::{
    Account, Dependency, Features, Licenses, Memory, Nodelist, Nodes, Nothing, Partition, Qos, Reservation,
    Time,
};
use Outlook::{Blocked, Never, Waits};

const ADMIN: &str = "ask the cluster's administrators; the job itself is in order";
const AGAIN: &str = "stop it and start it again";

/// Word or phrase, outlook, meaning, advice, facet.
type Row = (&'static str, Outlook, &'static str, &'static str, Facet);

/// The words that are not made of parts (those are in `limits`), and the phrases.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("None", Waits, "the scheduler has not considered the job in its present round", "wait a little and ask again", Nothing),
    ("Priority", Waits, "jobs of a higher priority wait before it", "wait; a shorter --time or another --partition may start earlier", Nothing),
    ("Resources", Waits, "what it asks for is in use by other jobs", "wait; asking for less, or for a shorter --time that fits into a gap, may start earlier", Nothing),
    ("BeginTime", Waits, "its earliest start time has not come; a requeued job has one as well", "wait; `scontrol update jobid=ID starttime=now` on the cluster lets it start at once", Nothing),
    ("Dependency", Waits, "it waits for other jobs", "wait for them", Dependency),
    ("DependencyNeverSatisfied", Never, "the jobs that it depends on ended in another way than it demands", "stop it and start it again without that dependency", Dependency),
    ("JobHeldUser", Blocked, "it is held by you or by whoever coordinates the account", "release it with `scontrol release ID` on the cluster", Nothing),
    ("JobHeldAdmin", Blocked, "it is held by an administrator of the cluster", "ask the cluster's administrators why; only they can release it", Nothing),
    ("JobHoldMaxRequeue", Blocked, "it was requeued as often as the cluster allows and is held", "look at the log for what ends it, then release it with `scontrol release ID` on the cluster", Nothing),
    ("Prolog", Waits, "the cluster prepares its nodes", "wait a little", Nothing),
    ("Cleaning", Waits, "it was requeued and its last run is still being cleaned up", "wait a little", Nothing),
    ("PartitionTimeLimit", Never, "its time limit is longer than its partition allows", "stop it and ask for less --time, or for another --partition", Time),
    ("PartitionNodeLimit", Blocked, "its partition does not allow so many nodes, or has too few that are up", "wait until nodes of the partition are back, `sinfo -R` on the cluster tells why they are down; or stop it and ask for other --nodes or for another --partition", Nodes),
    ("PartitionDown", Blocked, "its partition is down: it takes jobs and starts none", "wait until the administrators open it, or use another --partition", Partition),
    ("PartitionInactive", Blocked, "its partition is inactive: it starts no jobs", "wait until the administrators open it, or use another --partition", Partition),
    ("PartitionConfig", Never, "it violates some limit of its partition", "stop it and compare it with `scontrol show partition` on the cluster", Partition),
    ("BadConstraints", Never, "no node of the cluster has what it asks for", "stop it and ask for what `sinfo -N -o '%N %c %m %G %f'` on the cluster lists", Features),
    ("Constraints", Blocked, "no node that has what it asks for can be used at this time", "wait, or ask for less with --constraint", Features),
    ("ReqNodeNotAvail", Blocked, "nodes that it needs are down, drained, reserved or in use", "wait; `sinfo -R` on the cluster tells why nodes are down, and `scontrol show reservation` what is reserved", Nodelist),
    ("ReqNodeNotAvail, UnavailableNodes", Blocked, "nodes that it needs are down or drained", "wait; `sinfo -R` on the cluster tells why nodes are down", Nodelist),
    ("ReqNodeNotAvail, Reserved for maintenance", Waits, "the cluster is reserved for maintenance before it could end", "wait until the maintenance is over, or stop it and start it again with a --time that ends before; `scontrol show reservation` on the cluster tells when that begins", Time),
    ("ReqNodeNotAvail, May be reserved for other job", Waits, "the nodes that it needs may be reserved for other jobs", "wait; a shorter --time, one that ends before the reservation begins, may start earlier: `scontrol show reservation` on the cluster tells when that is", Time),
    ("NodeDown", Blocked, "a node that it requires is down", "wait; `sinfo -R` on the cluster tells why nodes are down", Nodelist),
    ("FrontEndDown", Blocked, "no front-end node is up to run it", ADMIN, Nothing),
    ("PowerNotAvail", Waits, "the power that it needs is in use", "wait", Nothing),
    ("PowerReserved", Waits, "the power that it needs is reserved for others", "wait", Nothing),
    ("MaxPoweredUpNodes", Waits, "the cluster has as many nodes powered up as it may", "wait until some of them are free", Nothing),
    ("Licenses", Waits, "the licenses that it asks for are in use", "wait; `scontrol show licenses` on the cluster tells how many there are", Licenses),
    ("MpiPortsBusy", Waits, "the ports that it would need for MPI are in use", "wait", Nothing),
    ("Reservation", Waits, "its reservation has not begun or is full", "wait; `scontrol show reservation` on the cluster tells when it begins", Reservation),
    ("ReservationDeleted", Never, "its reservation was deleted", "stop it and start it again without that --reservation", Reservation),
    ("ReservationInvalid", Never, "its reservation cannot be used by it", "stop it and start it again without that --reservation", Reservation),
    ("InvalidAccount", Never, "its account is not valid", "stop it and name another --account; `sacctmgr show assoc user=$USER` on the cluster lists yours", Account),
    ("AccountNotAllowed", Never, "its account may not use its partition", "stop it and name another --account or --partition", Account),
    ("InvalidQOS", Never, "its quality of service is not valid", "stop it and name another --qos; `sacctmgr show qos` on the cluster lists them", Qos),
    ("QOSNotAllowed", Never, "its quality of service may not be used with its partition or account", "stop it and name another --qos or --partition", Qos),
    ("QOSUsageThreshold", Blocked, "the account has used too much for its quality of service", "use another --qos; it starts by itself only if what was used is forgotten with time", Qos),
    ("AccountingPolicy", Blocked, "a limit of its account or quality of service holds it back", "look at `sacctmgr show assoc user=$USER` and `sacctmgr show qos` on the cluster, or use another --account or --qos", Account),
    ("MaxMemPerLimit", Never, "it asks for more memory per CPU or node than is allowed", "stop it and ask for less --mem, or for another --partition", Memory),
    ("JobArrayTaskLimit", Waits, "as many tasks of its array run as may at a time", "wait until some have ended", Nothing),
    ("BurstBufferResources", Waits, "the burst buffers that it asks for are in use", "wait", Nothing),
    ("BurstBufferStageIn", Waits, "its burst buffer is being filled", "wait", Nothing),
    ("BurstBufferOperation", Blocked, "an operation on its burst buffer failed", ADMIN, Nothing),
    ("FedJobLock", Waits, "the clusters of the federation have not agreed on where it runs", "wait", Nothing),
    ("SchedDefer", Never, "it asks to start at once, which the cluster's scheduler never does", "stop it and start it again without --immediate", Nothing),
    ("DeadLine", Never, "it can no longer end before its deadline", "stop it and start it again with a later deadline or less --time", Time),
    ("SystemFailure", Blocked, "Slurm, a file system or the network failed under it", ADMIN, Nothing),
    ("JobLaunchFailure", Blocked, "it could not be launched on its node", "stop it and start it again; if that fails too, ask the cluster's administrators", Nothing),
    ("NonZeroExitCode", Blocked, "its last run ended with an exit code other than 0", "look at its log, then stop it and start it again", Nothing),
    ("RaisedSignal", Blocked, "its last run was ended by a signal", "look at its log, then stop it and start it again", Nothing),
    ("TimeLimit", Blocked, "its last run reached its time limit", "stop it and start it again with more --time", Time),
    ("InactiveLimit", Blocked, "its last run was inactive for too long", AGAIN, Nothing),
    ("OutOfMemory", Blocked, "its last run used more memory than it had asked for", "stop it and start it again with more --mem", Memory),
    ("BlockMaxError", Blocked, "its block of nodes had too many errors", ADMIN, Nothing),
    ("BlockFreeAction", Waits, "its block of nodes is being freed", "wait", Nothing),
    ("Nodes required for job are DOWN, DRAINED", Waits, "nodes that it needs are down, drained or reserved for jobs in partitions of a higher priority", "wait; fewer --nodes or another --partition may start earlier; `sinfo -R` on the cluster tells why nodes are down", Nodes),
    ("Job's account not permitted to use this partition", Never, "its account may not use its partition", "stop it and name another --account or --partition", Account),
    ("Job's QOS not permitted to use this partition", Never, "its quality of service may not be used with its partition", "stop it and name another --qos or --partition", Qos),
    ("launch failed requeued held", Blocked, "it could not be launched, was requeued and is held", "release it with `scontrol release ID` on the cluster; if that fails too, ask the cluster's administrators", Nothing),
    ("job requeued in held state", Blocked, "it was requeued and is held", "release it with `scontrol release ID` on the cluster", Nothing),
    ("user env retrieval failed requeued held", Blocked, "your login environment could not be read on its node, and it is held", "release it with `scontrol release ID` on the cluster, once your start-up files end quickly there", Nothing),
];

/// The limits of a partition that words are about.
const PARTITION_LIMITS: [(&str, &str); 3] = [
    ("PartitionTimeLimit", "MaxTime"),
    ("PartitionNodeLimit", "MaxNodes"),
    ("MaxMemPerLimit", "MaxMemPerNode"),
];

/// Words of a job that is held: its priority is zero.
const HELD: [&str; 6] = [
    "JobHeldUser",
    "JobHeldAdmin",
    "JobHoldMaxRequeue",
    "launch failed requeued held",
    "job requeued in held state",
    "user env retrieval failed requeued held",
];

/// Words that are said of one of the job's partitions.
const IN_PARTITION: [&str; 10] = [
    "PartitionTimeLimit",
    "PartitionNodeLimit",
    "PartitionDown",
    "PartitionInactive",
    "PartitionConfig",
    "MaxMemPerLimit",
    "AccountNotAllowed",
    "QOSNotAllowed",
    "Job's account not permitted to use this partition",
    "Job's QOS not permitted to use this partition",
];

/// What a reason says; `None` if the word is not known. Slurm may add more behind a comma or a parenthesis, such as
/// `ReqNodeNotAvail, UnavailableNodes:c2`: that is passed on behind what the word means.
pub(super) fn read(text: &str) -> Option<Reason> {
    let word = text.split([',', '(']).next().unwrap_or_default().trim();
    let is_phrase = |name: &str| name.contains(' ') && text.starts_with(name);
    let row = ROWS.iter().find(|(name, ..)| is_phrase(name));
    let row = row.or_else(|| ROWS.iter().find(|(name, ..)| *name == word));
    let mut reason = row.map_or_else(|| limits::read(word), |row| Some(of_row(row)))?;
    let known = match row {
        Some((name, ..)) if is_phrase(name) && !name.ends_with("UnavailableNodes") => text,
        Some((name, ..)) => name,
        None => word,
    };
    let added = text.trim_start().strip_prefix(known).unwrap_or_default();
    let added = added.trim_matches([',', ':', '(', ')', ' ']);
    if !added.is_empty() {
        reason.meaning = format!("{} ({added})", reason.meaning);
    }
    Some(reason)
}

fn of_row(&(name, outlook, meaning, advice, facet): &Row) -> Reason {
    let limit = PARTITION_LIMITS.iter().find(|(word, _)| *word == name).map(|(_, limit)| *limit);
    let nature = match name {
        _ if HELD.contains(&name) => Nature::Held,
        _ if IN_PARTITION.contains(&name) => Nature::InPartition,
        _ => Nature::Job,
    };
    Reason { outlook, meaning: meaning.to_owned(), advice: advice.to_owned(), facet, limit, nature }
}
