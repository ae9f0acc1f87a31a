//! Every answer that the world may give to an action, as facts.

use towline_core::id::JobId;
use towline_core::job::{ExitStatus, JobEnd, JobReport, JobState, Place, Sight, Sighting};
use towline_core::lifecycle::{
    Action, CancelFact, Echo, Fact, Job, Life, Ping, Submission, Tunnel, TunnelFact,
};
use towline_core::testing::strategies::OUTCOMES;
use towline_core::time::Timestamp;

/// All answers to `action`, the most fortunate first and the least fortunate last; each is one fact or several in a
/// row.
pub(crate) fn answers(life: &Life, action: &Action) -> Vec<Vec<Fact>> {
    match action {
        Action::Submit => submissions(),
        Action::Survey => sightings(life).into_iter().map(|sighting| vec![Fact::Job(sighting)]).collect(),
        Action::Open { place, local_port, .. } => {
            let forward = |port| Tunnel {
                host: "127.0.0.1".into(),
                port,
                place: place.clone(),
                handle: Some("forward".into()),
            };
            let direct =
                Tunnel { host: place.host.clone(), port: place.port, place: place.clone(), handle: None };
            let wanted = forward(local_port.unwrap_or(40_000));
            [wanted, forward(50_000), direct]
                .map(TunnelFact::Open)
                .into_iter()
                .chain([TunnelFact::Unopened(why())])
                .map(|fact| vec![Fact::Tunnel(fact)])
                .collect()
        }
        Action::Ping { tunnel } => [Echo::Answered, Echo::Silent(why()), Echo::NoRoute(why())]
            .map(|echo| vec![Fact::Ping(Ping { place: tunnel.place.clone(), echo })])
            .into(),
        Action::Cancel { .. } => {
            [CancelFact::Accepted, CancelFact::Failed(why())].map(|fact| vec![Fact::Cancel(fact)]).into()
        }
        Action::Close { .. } => {
            [TunnelFact::Closed, TunnelFact::Unclosed(why())].map(|fact| vec![Fact::Tunnel(fact)]).into()
        }
    }
}

fn why() -> String {
    "no route to host".to_owned()
}

fn submissions() -> Vec<Vec<Fact>> {
    let answers = [
        Submission::Accepted(JobId::new("1")),
        Submission::Refused(why()),
        Submission::Unclear(why()),
        Submission::NotSent(why()),
    ];
    answers.map(|answer| vec![Fact::Submitting, Fact::Submission(answer)]).into()
}

/// Every look at the job of `life`: in each state, in its present run, a later and an untold one, with each place that
/// it may have published.
fn sightings(life: &Life) -> Vec<Sighting> {
    let job = life.phase.job();
    let id = job.map_or_else(|| JobId::new("1"), |job| job.id.clone());
    let mark = job.and_then(|job| job.run.as_ref()).map_or(Some(1), |run| run.mark);
    let marks = [mark, mark.map_or(Some(9), |mark| mark.checked_add(1)), None];
    let mut sightings = Vec::new();
    for state in states() {
        for run in marks {
            for place in places(life) {
                let begun = state != JobState::Queued;
                let report = JobReport {
                    id: id.clone(),
                    word: String::new(),
                    node: None,
                    reason: None,
                    running_for: None,
                    time_left: None,
                    run: run.filter(|_| begun),
                    state: state.clone(),
                };
                let sight = Sight::Seen(report);
                sightings.push(Sighting { sight, place: place.filter(|_| begun), exit: None, at: None });
            }
        }
    }
    let exit = Some(ExitStatus { code: 1, signal: None });
    sightings.extend([Sighting { exit, ..Sighting::absent(None) }, Sighting::absent(None)]);
    sightings.push(Sighting::unseen(why()));
    sightings
}

fn states() -> Vec<JobState> {
    let mut states = vec![
        JobState::Running,
        JobState::Suspended,
        JobState::Configuring,
        JobState::Queued,
        JobState::Leaving,
    ];
    let end = |outcome| JobState::Ended(JobEnd { outcome, exit: None, reason: None });
    states.extend(OUTCOMES.map(end));
    states
}

/// A place that is listened at, the same before it is, another, and none.
fn places(life: &Life) -> [Option<Place>; 4] {
    let known = life.phase.job().and_then(Job::place).cloned();
    let place =
        known.unwrap_or(Place { host: "c1".into(), port: 20_000, pid: 1, listening: true, loopback: false });
    let listening = |listening| Place { listening, ..place.clone() };
    let elsewhere = Place { port: place.port ^ 1, ..listening(true) };
    [Some(listening(true)), Some(listening(false)), Some(elsewhere), None]
}

/// The life after `facts`, all learnt at once.
pub(crate) fn observe_all(life: &Life, facts: &[Fact], now: Timestamp) -> Life {
    facts.iter().fold(life.clone(), |life, fact| life.observe(fact, now))
}
