//! The table, computed by folding: what one refresh makes of each status.

use std::fmt::Write as _;
use std::time::Duration;

use towline_core::job::{JobEnd, JobState, Outcome, Sighting};
use towline_core::lifecycle::{Echo, EndStatus, Fact, Life, Request, Stage, Status};

use crate::cases::{GRACE, NOW, at_stage, pinged, recorded, seen, silence};

/// What a refresh may find: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The ping was answered.
    Answered,
    /// Not answered; the job is in the queue.
    Queued,
    /// Not answered; the job runs and its grace period is not over.
    GraceLeft,
    /// Not answered; the job runs and its grace period is over.
    GraceOver,
    /// Not answered; the job ends, how is not final.
    Leaving,
    /// Not answered; the job completed by itself.
    Completed,
    /// Not answered; the job was cancelled.
    Cancelled,
    /// Not answered; the job reached its time limit.
    TimedOut,
    /// Not answered; the job failed.
    Failed,
    /// Not answered; the job has been absent for the whole settling time.
    Absent,
    /// Not answered; nobody knows.
    Unseen,
}

impl Finding {
    /// All findings, in the order of the table's columns.
    pub(crate) const ALL: [Self; 11] = [
        Self::Answered,
        Self::Queued,
        Self::GraceLeft,
        Self::GraceOver,
        Self::Leaving,
        Self::Completed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Failed,
        Self::Absent,
        Self::Unseen,
    ];

    const fn heading(self) -> &'static str {
        match self {
            Self::Answered => "ping answered",
            Self::Queued => "job queued",
            Self::GraceLeft => "running, grace left",
            Self::GraceOver => "running, grace over",
            Self::Leaving => "leaving",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed out",
            Self::Failed => "failed",
            Self::Absent => "absent",
            Self::Unseen => "unseen",
        }
    }

    /// What asking about the job tells.
    fn look(self) -> Fact {
        let ended = |outcome| JobState::Ended(JobEnd { outcome, exit: None, reason: None });
        let (state, running_for) = match self {
            Self::Absent => return Fact::Job(Sighting::absent(None)),
            Self::Unseen => return Fact::Job(Sighting::unseen("no answer")),
            Self::Answered | Self::GraceLeft => (JobState::Running, GRACE / 2),
            Self::GraceOver => (JobState::Running, GRACE * 2),
            Self::Queued => (JobState::Queued, Duration::ZERO),
            Self::Leaving => (JobState::Leaving, GRACE / 2),
            Self::Completed => (ended(Outcome::Completed), GRACE / 2),
            Self::Cancelled => (ended(Outcome::Cancelled), GRACE / 2),
            Self::TimedOut => (ended(Outcome::TimeLimit), GRACE / 2),
            Self::Failed => (ended(Outcome::Failed), GRACE / 2),
        };
        seen(state, running_for)
    }
}

/// What one refresh with that finding makes of a service of status `before`.
///
/// A refresh pings, asks about the job, and pings again if it learnt where the server listens.
pub(crate) fn refreshed(before: Status, finding: Finding) -> Status {
    let life = example(before);
    let ping = pinged(if finding == Finding::Answered { Echo::Answered } else { silence() });
    let look = finding.look();
    let at = if finding == Finding::GraceOver { NOW.plus(GRACE * 2) } else { NOW };
    let life = life.observe(&ping, at).observe(&look, at).observe(&ping, at);
    if finding == Finding::Absent {
        return life.observe(&look, at.plus(life.terms.settle)).status();
    }
    life.status()
}

/// A life of that status.
fn example(status: Status) -> Life {
    let ended = |end: EndStatus| {
        let wish = Request::Stop { delay: Duration::ZERO, status: end };
        recorded().request(&wish, NOW).unwrap_or_else(|_| recorded())
    };
    match status {
        Status::Submitted => at_stage(Stage::Accepted),
        Status::Pending => at_stage(Stage::Pending),
        Status::Starting => at_stage(Stage::Starting),
        Status::Healthy => at_stage(Stage::Healthy),
        Status::Unhealthy => at_stage(Stage::Unhealthy),
        Status::Stopped => ended(EndStatus::Stopped),
        Status::Timeout => ended(EndStatus::Timeout),
        Status::Failed => ended(EndStatus::Failed),
    }
}

/// The table, in Markdown.
pub(crate) fn markdown() -> String {
    let mut text = String::from("| status before |");
    for finding in Finding::ALL {
        let _ = write!(text, " {} |", finding.heading());
    }
    let _ = write!(text, "\n|---|{}\n", "---|".repeat(Finding::ALL.len()));
    for before in Status::ALL {
        let _ = write!(text, "| {before} |");
        for finding in Finding::ALL {
            let _ = write!(text, " {} |", refreshed(before, finding));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract, written by hand: one line a status, one letter a finding, in the order of [`Finding::ALL`].
    const CONTRACT: [(Status, &str); 8] = [
        (Status::Submitted, "H P S T s O O T F F s"),
        (Status::Pending, "H P S T P O O T F F P"),
        (Status::Starting, "H P S T S O O T F F S"),
        (Status::Healthy, "H U U U U O O T F F U"),
        (Status::Unhealthy, "H U U U U O O T F F U"),
        (Status::Stopped, "O O O O O O O O O O O"),
        (Status::Timeout, "T T T T T T T T T T T"),
        (Status::Failed, "F F F F F F F F F F F"),
    ];

    fn status(letter: &str) -> Status {
        match letter {
            "s" => Status::Submitted,
            "P" => Status::Pending,
            "S" => Status::Starting,
            "H" => Status::Healthy,
            "U" => Status::Unhealthy,
            "O" => Status::Stopped,
            "T" => Status::Timeout,
            "F" => Status::Failed,
            other => panic!("no status {other}"),
        }
    }

    #[test]
    fn every_cell_is_as_the_contract_says() {
        for (before, cells) in CONTRACT {
            let cells: Vec<&str> = cells.split(' ').collect();
            assert_eq!(cells.len(), Finding::ALL.len());
            for (finding, cell) in Finding::ALL.into_iter().zip(cells) {
                assert_eq!(refreshed(before, finding), status(cell), "{before} × {finding:?}");
            }
        }
    }

    #[test]
    fn every_example_has_the_status_that_it_stands_for() {
        for status in Status::ALL {
            assert_eq!(example(status).status(), status);
        }
    }
}
