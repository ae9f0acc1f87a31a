//! Which facts were folded in which phases.

use std::sync::atomic::{AtomicU64, Ordering};

use towline_core::job::{JobState, Sight};
use towline_core::lifecycle::{CancelFact, Echo, Fact, Life, Phase, Stage, Submission, TunnelFact};

pub(crate) const PHASES: [&str; 8] =
    ["Intent", "Sending", "Accepted", "Pending", "Starting", "Healthy", "Unhealthy", "Ended"];

pub(crate) const FACTS: [&str; 22] = [
    "Submitting",
    "Submission::Accepted",
    "Submission::Refused",
    "Submission::NotSent",
    "Submission::Unclear",
    "Job(Queued)",
    "Job(Configuring)",
    "Job(Running)",
    "Job(Suspended)",
    "Job(Leaving)",
    "Job(Ended)",
    "Job(Absent)",
    "Job(Unseen)",
    "Tunnel::Open",
    "Tunnel::Unopened",
    "Tunnel::Closed",
    "Tunnel::Unclosed",
    "Ping(Answered)",
    "Ping(Silent)",
    "Ping(NoRoute)",
    "Cancel::Accepted",
    "Cancel::Failed",
];

/// How often each fact was folded in each phase.
#[derive(Debug, Default)]
pub(crate) struct Coverage([[AtomicU64; FACTS.len()]; PHASES.len()]);

fn phase(life: &Life) -> usize {
    match &life.phase {
        Phase::Intent => 0,
        Phase::Sending { .. } => 1,
        Phase::Live { stage: Stage::Accepted, .. } => 2,
        Phase::Live { stage: Stage::Pending, .. } => 3,
        Phase::Live { stage: Stage::Starting, .. } => 4,
        Phase::Live { stage: Stage::Healthy, .. } => 5,
        Phase::Live { stage: Stage::Unhealthy, .. } => 6,
        Phase::Ended(_) => 7,
    }
}

fn fact(fact: &Fact) -> usize {
    match fact {
        Fact::Submitting => 0,
        Fact::Submission(Submission::Accepted(_)) => 1,
        Fact::Submission(Submission::Refused(_)) => 2,
        Fact::Submission(Submission::NotSent(_)) => 3,
        Fact::Submission(Submission::Unclear(_)) => 4,
        Fact::Job(sighting) => match &sighting.sight {
            Sight::Seen(report) => match &report.state {
                JobState::Queued => 5,
                JobState::Configuring => 6,
                JobState::Running => 7,
                JobState::Suspended => 8,
                JobState::Leaving => 9,
                JobState::Ended(_) => 10,
            },
            Sight::Absent => 11,
            Sight::Unseen(_) => 12,
        },
        Fact::Tunnel(TunnelFact::Open(_)) => 13,
        Fact::Tunnel(TunnelFact::Unopened(_)) => 14,
        Fact::Tunnel(TunnelFact::Closed) => 15,
        Fact::Tunnel(TunnelFact::Unclosed(_)) => 16,
        Fact::Ping(ping) => match ping.echo {
            Echo::Answered => 17,
            Echo::Silent(_) => 18,
            Echo::NoRoute(_) => 19,
        },
        Fact::Cancel(CancelFact::Accepted) => 20,
        Fact::Cancel(CancelFact::Failed(_)) => 21,
    }
}

impl Coverage {
    pub(crate) fn count(&self, life: &Life, told: &Fact) {
        self.0[phase(life)][fact(told)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn times(&self, phase: usize, fact: usize) -> u64 {
        self.0[phase][fact].load(Ordering::Relaxed)
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
        let pair = |index| (index / FACTS.len(), index % FACTS.len());
        let times = |(phase, fact)| (phase, fact, self.times(phase, fact));
        (0..PHASES.len() * FACTS.len()).map(pair).map(times)
    }

    /// How often each fact was folded in each phase, as a table.
    pub(crate) fn table(&self) -> String {
        let row = |name: &str, cells: [String; PHASES.len()]| {
            format!("{name:<22}{}\n", cells.map(|cell| format!("{cell:>10}")).concat())
        };
        let mut table = row("", PHASES.map(str::to_owned));
        for (index, fact) in FACTS.iter().enumerate() {
            table += &row(fact, std::array::from_fn(|phase| self.times(phase, index).to_string()));
        }
        let reached = self.pairs().filter(|(_, _, times)| *times > 0).count();
        table
            + &format!("{reached} of {} pairs of a phase and a fact were folded", FACTS.len() * PHASES.len())
    }
}

/// Phases and facts that never meet, and why. `docs/testing.md` says the same.
const IMPOSSIBLE: [(&[&str], &[&str], &str); 3] = [
    (
        &["Sending", "Accepted", "Pending", "Starting", "Healthy", "Unhealthy", "Ended"],
        &["Submitting"],
        "a submission is announced on a row that says Intent, or on none: who finds another row announces nothing",
    ),
    (
        &["Intent", "Sending"],
        &[
            "Tunnel::Open",
            "Tunnel::Unopened",
            "Tunnel::Closed",
            "Tunnel::Unclosed",
            "Ping(Answered)",
            "Ping(Silent)",
            "Ping(NoRoute)",
            "Cancel::Accepted",
            "Cancel::Failed",
        ],
        "they are answers about a job that was recorded before, and a row that knows a job never forgets it",
    ),
    (
        &["Accepted"],
        &[
            "Tunnel::Open",
            "Tunnel::Unopened",
            "Tunnel::Closed",
            "Tunnel::Unclosed",
            "Ping(Answered)",
            "Ping(Silent)",
            "Ping(NoRoute)",
        ],
        "a place is told of a job that was seen to run, and is recorded with that; no job is Accepted again",
    ),
];

/// Phases and facts that meet on histories alone which are rarer than all that are walked every day: what one process
/// learnt is told after another has gone on. They may be met, by chance.
const SELDOM: [(&[&str], &[&str]); 7] = [
    (
        &["Intent"],
        &[
            "Submission::Accepted",
            "Submission::Refused",
            "Submission::NotSent",
            "Submission::Unclear",
            "Job(Queued)",
            "Job(Configuring)",
            "Job(Running)",
            "Job(Suspended)",
            "Job(Leaving)",
            "Job(Ended)",
            "Job(Absent)",
            "Job(Unseen)",
        ],
    ),
    (
        &["Accepted", "Pending", "Starting", "Healthy", "Unhealthy", "Ended"],
        &["Submission::Refused", "Submission::NotSent", "Submission::Unclear"],
    ),
    (&["Accepted", "Unhealthy"], &["Submission::Accepted"]),
    (&["Pending"], &["Tunnel::Open", "Tunnel::Unopened", "Ping(Answered)", "Ping(Silent)", "Ping(NoRoute)"]),
    (&["Pending", "Starting", "Healthy", "Unhealthy"], &["Tunnel::Unclosed"]),
    (&["Ended"], &["Job(Configuring)", "Job(Suspended)", "Job(Absent)", "Job(Unseen)"]),
    (&["Ended"], &["Tunnel::Unopened", "Ping(NoRoute)"]),
];

/// What the coverage is not as it should be: pairs that were not met, and pairs that were against all reason.
pub(crate) fn unexpected(coverage: &Coverage) -> Vec<String> {
    let has = |phases: &[&str], facts: &[&str], phase: usize, fact: usize| {
        phases.contains(&PHASES[phase]) && facts.contains(&FACTS[fact])
    };
    let of = |phase: usize, fact: usize| format!("{} in {}", FACTS[fact], PHASES[phase]);
    let judge = |(phase, fact, times): (usize, usize, u64)| {
        let why = IMPOSSIBLE.iter().find(|(phases, facts, _)| has(phases, facts, phase, fact));
        let is_seldom = SELDOM.iter().any(|(phases, facts)| has(phases, facts, phase, fact));
        match (why, times) {
            (Some((_, _, why)), 1..) => Some(format!("{} was met, although {why}", of(phase, fact))),
            (None, 0) if !is_seldom => Some(format!("{} was never met", of(phase, fact))),
            (Some(_) | None, _) => None,
        }
    };
    coverage.pairs().filter_map(judge).collect()
}
