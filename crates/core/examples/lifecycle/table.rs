//! The table, computed by folding: what one refresh makes of each status.

use std::fmt::Write as _;
use std::time::Duration;

use towline_core::id::JobId;
use towline_core::job::{JobEnd, JobReport, JobState, Outcome, Place, Sight, Sighting};
use towline_core::lifecycle::{Echo, EndStatus, Fact, Life, Ping, Request, Status, Submission, Terms};
use towline_core::time::Timestamp;

const GRACE: Duration = Duration::from_secs(600);

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

    fn sight(self) -> Sight {
        let ended = |outcome| JobState::Ended(JobEnd { outcome, exit: None, reason: None });
        let (state, running_for) = match self {
            Self::Absent => return Sight::Absent,
            Self::Unseen => return Sight::Unseen("no answer".into()),
            Self::Answered | Self::GraceLeft => (JobState::Running, GRACE / 2),
            Self::GraceOver => (JobState::Running, GRACE * 2),
            Self::Queued => (JobState::Queued, Duration::ZERO),
            Self::Leaving => (JobState::Leaving, GRACE / 2),
            Self::Completed => (ended(Outcome::Completed), GRACE / 2),
            Self::Cancelled => (ended(Outcome::Cancelled), GRACE / 2),
            Self::TimedOut => (ended(Outcome::TimeLimit), GRACE / 2),
            Self::Failed => (ended(Outcome::Failed), GRACE / 2),
        };
        report(state, running_for)
    }
}

/// What one refresh with that finding makes of a service of status `before`.
///
/// A refresh pings, asks about the job, and pings again if it learnt where the server listens.
pub(crate) fn refreshed(before: Status, finding: Finding) -> Status {
    let (life, now) = example(before);
    let echo = match finding {
        Finding::Answered => Echo::Answered,
        Finding::Queued
        | Finding::GraceLeft
        | Finding::GraceOver
        | Finding::Leaving
        | Finding::Completed
        | Finding::Cancelled
        | Finding::TimedOut
        | Finding::Failed
        | Finding::Absent
        | Finding::Unseen => Echo::Silent("refused".into()),
    };
    let ping = Fact::Ping(Ping { place: place(), echo });
    let job = Fact::Job(Sighting { sight: finding.sight(), place: Some(place()), exit: None, at: None });
    let mut at = match finding {
        Finding::GraceOver => now.plus(GRACE * 2),
        Finding::Answered
        | Finding::Queued
        | Finding::GraceLeft
        | Finding::Leaving
        | Finding::Completed
        | Finding::Cancelled
        | Finding::TimedOut
        | Finding::Failed
        | Finding::Absent
        | Finding::Unseen => now,
    };
    let mut life = life.observe(&ping, at).observe(&job, at).observe(&ping, at);
    if finding == Finding::Absent {
        at = at.plus(life.terms.settle);
        // A submission that left no trace is made again; that of a known job cannot be.
        life = life.observe(&job, at);
    }
    life.status()
}

/// A life of that status, made by the facts that lead there, and the time at which it got there.
fn example(status: Status) -> (Life, Timestamp) {
    let now = Timestamp::from_secs(1_800_000_000);
    let accepted = Life::new(Terms::with_grace(GRACE), now)
        .observe(&Fact::Submitting, now)
        .observe(&Fact::Submission(Submission::Accepted(JobId::new("1"))), now);
    let look = |sight, place| Fact::Job(Sighting { sight, place, exit: None, at: None });
    let pending = || accepted.observe(&look(report(JobState::Queued, Duration::ZERO), None), now);
    let starting = || {
        let running = report(JobState::Running, Duration::ZERO);
        pending().observe(&look(running, Some(place())), now)
    };
    let pinged = |life: Life, echo| life.observe(&Fact::Ping(Ping { place: place(), echo }), now);
    let ended = |end: EndStatus| {
        let wish = Request::Stop { delay: Duration::ZERO, status: end };
        let new = Life::new(Terms::with_grace(GRACE), now);
        new.request(&wish, now).unwrap_or(new)
    };
    let life = match status {
        Status::Submitted => accepted,
        Status::Pending => pending(),
        Status::Starting => starting(),
        Status::Healthy => pinged(starting(), Echo::Answered),
        Status::Unhealthy => pinged(pinged(starting(), Echo::Answered), Echo::Silent("refused".into())),
        Status::Stopped => ended(EndStatus::Stopped),
        Status::Timeout => ended(EndStatus::Timeout),
        Status::Failed => ended(EndStatus::Failed),
    };
    (life, now)
}

fn report(state: JobState, running_for: Duration) -> Sight {
    Sight::Seen(JobReport {
        id: JobId::new("1"),
        word: String::new(),
        node: None,
        reason: None,
        running_for: (state == JobState::Running).then_some(running_for),
        time_left: None,
        run: (state == JobState::Running).then_some(1),
        state,
    })
}

fn place() -> Place {
    Place { host: "c1".into(), port: 20_000, pid: 1, listening: true, loopback: false }
}

/// The text of `docs/lifecycle.md`.
pub(crate) fn markdown() -> String {
    let mut text = String::from(PREFACE);
    let _ = write!(text, "| status before |");
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
    text.push_str(NOTES);
    text
}

const PREFACE: &str = "\
# The lifecycle of a service

Printed from the code by `cargo run -p towline-core --example lifecycle`; a test fails when this page differs.

What one refresh makes of each status. It pings first, and asks the scheduler only when the ping was not answered or
the scheduler's last word is older than the verification interval.

";

const NOTES: &str = "
- **Unseen** is doubt: a query that failed, an empty answer, a cluster out of reach, an unknown word. It ends nothing.
- **Absent** is a word of authority: the queue, and accounting where it exists, have missed the job without a break for
  the settling time (5 minutes).
- **Grace** counts from the moment the command began to run, anew in each run of a requeued job, and is over only after a
  ping that was made over a working tunnel and was not answered. Such a TIMEOUT cancels the job.
- A ping counts only if the present run of the job has published the place, and the scheduler has said within the
  verification interval (60 s) that it runs.
- A stop that was asked for and heard ends in the status that was asked for. Nothing else cancels a job.
- Nothing moves a terminal status (STOPPED, TIMEOUT, FAILED), and nothing restarts it.
";

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
            assert_eq!(example(status).0.status(), status);
        }
    }

    #[test]
    fn the_page_is_up_to_date() {
        let page = include_str!("../../../../docs/lifecycle.md");
        assert_eq!(
            page,
            markdown(),
            "run: cargo run -p towline-core --example lifecycle > docs/lifecycle.md"
        );
    }
}
