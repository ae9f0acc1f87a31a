//! What can happen in a story, one step a line.

use std::fmt;
use std::time::Duration;

use towline_core::lifecycle::EndStatus;
use towline_core::testing::{Behaviour, Call, Mishap};

/// One of the services of a story, counted from 1.
pub(crate) type N = u32;

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    A,
    B,
}

/// A verb of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Start { n: N, grace: Duration, waits: bool },
    Refresh(N),
    RefreshAll,
    Stop { n: N, delay: Duration, status: EndStatus },
    GetJob(N),
    OpenTunnel(N),
    CloseTunnel(N),
    Wait(N),
}

/// What breaks and is mended again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NetworkDown,
    NetworkSilent,
    TunnelsStuck,
    NodesCutOff,
    SchedulerDown,
    SubmissionsForgotten,
    SubmissionsCutOff,
    JobsUnlisted,
    QueueEmpty,
    Garbled,
    OddRow(N),
    AccountingLate(Duration),
    AccountingDown,
    NoAccounting,
}

/// What befalls the job of a service from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    CancelByHand,
    Requeue,
    Suspend,
    Resume,
    NodeFails,
    Hush,
    Unhush,
    PortTaken,
    LocalPortTaken,
}

/// One step of a story. A step that cannot be taken where the story stands changes nothing, so that any part of a
/// story is a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begin(Who, Verb),
    /// So many steps of the verb; of several calls that wait, the one of that number goes on.
    Go(Who, u16, u8),
    Finish(Who),
    Kill(Who),
    Befall(Who, Call, Mishap),
    Takes(Who, Call, Duration),
    Pass(Duration),
    ClockForwards(Duration),
    ClockBack(Duration),
    Break(Fault),
    Mend(Fault),
    Blow(Blow, N),
    Behave(Box<Behaviour>),
    KeepEndedJobsFor(Duration),
    DropTunnels,
    RecycleIds,
    StrangersJob,
}

impl Step {
    /// Shorter versions of this step: what is tried for the sake of a shorter story.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        let shorter = |duration: &Duration| {
            let secs = duration.as_secs();
            [1, 10, 60, 300, secs / 2].into_iter().filter(move |less| *less < secs).map(Duration::from_secs)
        };
        match self {
            Self::Go(who, steps, choice) => {
                let fewer = (1..*steps).map(|steps| Self::Go(*who, steps, *choice));
                let first = (*choice > 0).then_some(Self::Go(*who, *steps, 0));
                first.into_iter().chain(fewer).collect()
            }
            Self::Pass(duration) => shorter(duration).map(Self::Pass).collect(),
            Self::ClockForwards(by) => shorter(by).map(Self::ClockForwards).collect(),
            Self::ClockBack(by) => shorter(by).map(Self::ClockBack).collect(),
            Self::Begin(who, Verb::Start { n, grace, waits: true }) => {
                vec![Self::Begin(*who, Verb::Start { n: *n, grace: *grace, waits: false })]
            }
            Self::Begin(who, Verb::Stop { n, delay, status }) if !delay.is_zero() => {
                vec![Self::Begin(*who, Verb::Stop { n: *n, delay: Duration::ZERO, status: *status })]
            }
            Self::Begin(who, Verb::Refresh(_)) => vec![Self::Begin(*who, Verb::RefreshAll)],
            Self::Behave(behaviour) if **behaviour != Behaviour::default() => {
                vec![Self::Behave(Box::default())]
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |duration: &Duration| format!("{} s", duration.as_secs());
        match self {
            Self::Begin(who, verb) => write!(f, "process {who:?} begins to {verb}"),
            Self::Go(who, steps, 0) => write!(f, "process {who:?} goes on for {steps} steps"),
            Self::Go(who, steps, choice) => {
                write!(f, "process {who:?} goes on for {steps} steps, each of waiting call {choice}")
            }
            Self::Finish(who) => write!(f, "process {who:?} goes on to the end of its verb"),
            Self::Kill(who) => write!(f, "process {who:?} is killed"),
            Self::Befall(who, call, mishap) => write!(f, "the next time, {call} by process {who:?} {mishap}"),
            Self::Takes(who, call, long) => {
                write!(f, "from now on {call} by process {who:?} takes {}", s(long))
            }
            Self::Pass(long) => write!(f, "{} pass", s(long)),
            Self::ClockForwards(by) => write!(f, "this machine's clock is put forwards by {}", s(by)),
            Self::ClockBack(by) => write!(f, "this machine's clock is put back by {}", s(by)),
            Self::Break(fault) => write!(f, "from now on {fault}"),
            Self::Mend(fault) => write!(f, "no longer {fault}"),
            Self::Blow(blow, n) => write!(f, "{}", blow.words(*n)),
            Self::Behave(behaviour) => {
                write!(f, "from now on jobs behave so: {}", behaviour_words(behaviour))
            }
            Self::KeepEndedJobsFor(long) => write!(f, "the queue lists ended jobs for {}", s(long)),
            Self::DropTunnels => f.write_str("the process that holds the tunnels is killed"),
            Self::RecycleIds => f.write_str("the scheduler begins again with its lowest job ids"),
            Self::StrangersJob => f.write_str("a stranger submits a job"),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { n, grace, waits } => {
                let waits = if *waits { " and wait for it" } else { "" };
                write!(f, "start service {n} with a grace of {} s{waits}", grace.as_secs())
            }
            Self::Refresh(n) => write!(f, "refresh service {n}"),
            Self::RefreshAll => f.write_str("refresh all services"),
            Self::Stop { n, delay, status } => {
                write!(f, "stop service {n} as {status:?} after {} s", delay.as_secs())
            }
            Self::GetJob(n) => write!(f, "get the job of service {n}"),
            Self::OpenTunnel(n) => write!(f, "open the tunnel of service {n}"),
            Self::CloseTunnel(n) => write!(f, "close the tunnel of service {n}"),
            Self::Wait(n) => write!(f, "wait for service {n}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetworkDown => f.write_str("the network is down"),
            Self::NetworkSilent => f.write_str("the network swallows everything"),
            Self::TunnelsStuck => f.write_str("open tunnels carry nothing"),
            Self::NodesCutOff => f.write_str("the nodes cannot be reached from the login host"),
            Self::SchedulerDown => f.write_str("the scheduler does not answer"),
            Self::SubmissionsForgotten => f.write_str("the cluster keeps nothing of a submission"),
            Self::SubmissionsCutOff => f.write_str("the login host dies in the middle of each submission"),
            Self::JobsUnlisted => f.write_str("jobs are nowhere to be seen"),
            Self::QueueEmpty => f.write_str("the queue answers and lists nothing"),
            Self::Garbled => f.write_str("the scheduler's answers are cut short"),
            Self::OddRow(n) => write!(f, "the queue's row for service {n} cannot be read"),
            Self::AccountingLate(lag) => write!(f, "accounting is {} s late", lag.as_secs()),
            Self::AccountingDown => f.write_str("accounting does not answer"),
            Self::NoAccounting => f.write_str("the cluster has no accounting"),
        }
    }
}

impl Blow {
    fn words(self, n: N) -> String {
        match self {
            Self::CancelByHand => format!("somebody cancels the job of service {n}"),
            Self::Requeue => format!("the job of service {n} is requeued"),
            Self::Suspend => format!("the job of service {n} is suspended"),
            Self::Resume => format!("the job of service {n} is resumed"),
            Self::NodeFails => format!("the node under service {n} fails"),
            Self::Hush => format!("the server of service {n} falls silent"),
            Self::Unhush => format!("the server of service {n} answers again"),
            Self::PortTaken => format!("another program takes the port of service {n} on its node"),
            Self::LocalPortTaken => format!("another program takes the local port of service {n}"),
        }
    }
}

fn behaviour_words(behaviour: &Behaviour) -> String {
    let Behaviour { listed_after, queued_for, listens_after, runs_for, time_limit, leaves_for, .. } =
        behaviour;
    let mut words = vec![format!("queued for {} s", queued_for.as_secs())];
    let mut add = |what: &str, long: Option<Duration>| {
        words.extend(long.filter(|long| !long.is_zero()).map(|long| format!("{what} {} s", long.as_secs())));
    };
    add("listed after", Some(*listed_after));
    add("configuring for", Some(behaviour.configures_for));
    add("listening after", *listens_after);
    add("running for", *runs_for);
    add("with a limit of", *time_limit);
    add("leaving for", Some(*leaves_for));
    if listens_after.is_none() {
        words.push("never listening".into());
    }
    if runs_for.is_some() {
        words.push(format!("ending as {:?}", behaviour.end.outcome));
    }
    if behaviour.requeues {
        words.push("requeued when a node fails".into());
    }
    if behaviour.refused.is_some() {
        words.push("refused".into());
    }
    words.join(", ")
}
