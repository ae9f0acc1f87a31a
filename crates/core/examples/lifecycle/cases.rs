//! Lives in every phase, each made by the facts that lead there.

use std::time::Duration;

use towline_core::id::JobId;
use towline_core::job::{JobReport, JobState, Place, Sight, Sighting};
use towline_core::lifecycle::{Echo, Fact, Life, Phase, Ping, Stage, Submission, Terms};
use towline_core::time::Timestamp;

pub(crate) const GRACE: Duration = Duration::from_secs(600);
pub(crate) const STAGES: [Stage; 5] =
    [Stage::Accepted, Stage::Pending, Stage::Starting, Stage::Healthy, Stage::Unhealthy];

/// When every one of these lives got where it stands.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A service that was just asked for.
pub(crate) fn recorded() -> Life {
    Life::new(Terms::with_grace(GRACE), NOW)
}

/// A service whose submission is under way.
pub(crate) fn sending() -> Life {
    recorded().observe(&Fact::Submitting, NOW)
}

/// A service with a job, at that stage.
pub(crate) fn at_stage(stage: Stage) -> Life {
    match stage {
        Stage::Accepted => sending().observe(&Fact::Submission(Submission::Accepted(JobId::new("1"))), NOW),
        Stage::Pending => at_stage(Stage::Accepted).observe(&seen(JobState::Queued, Duration::ZERO), NOW),
        Stage::Starting => at_stage(Stage::Pending).observe(&seen(JobState::Running, Duration::ZERO), NOW),
        Stage::Healthy => at_stage(Stage::Starting).observe(&pinged(Echo::Answered), NOW),
        Stage::Unhealthy => at_stage(Stage::Healthy).observe(&pinged(silence()), NOW),
    }
}

/// What a look at the job tells; a running one runs for the first time.
pub(crate) fn seen(state: JobState, running_for: Duration) -> Fact {
    seen_in_run(1, state, running_for)
}

/// The same, in that run of the job.
pub(crate) fn seen_in_run(run: u64, state: JobState, running_for: Duration) -> Fact {
    let running = state == JobState::Running;
    let report = JobReport {
        id: JobId::new("1"),
        word: String::new(),
        node: None,
        reason: None,
        running_for: running.then_some(running_for),
        time_left: None,
        run: running.then_some(run),
        state,
    };
    let place = running.then(place);
    Fact::Job(Sighting { sight: Sight::Seen(report), place, exit: None, at: None })
}

pub(crate) fn pinged(echo: Echo) -> Fact {
    Fact::Ping(Ping { place: place(), echo })
}

pub(crate) fn silence() -> Echo {
    Echo::Silent("refused".into())
}

fn place() -> Place {
    Place { host: "c1".into(), port: 20_000, pid: 1, listening: true, loopback: false }
}

/// The name of a phase in the diagram: what it is called in the code.
pub(crate) fn name(phase: &Phase) -> String {
    match phase {
        Phase::Intent => "Intent".into(),
        Phase::Sending { .. } => "Sending".into(),
        Phase::Live { stage, .. } => format!("{stage:?}"),
        Phase::Ended(ending) => format!("{:?}", ending.status),
    }
}
