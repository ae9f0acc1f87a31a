use towline_core::id::JobId;
use towline_core::job::Place;

use super::*;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn id() -> ServiceId {
    ID.parse().unwrap()
}

fn report(state: JobState, word: &str) -> JobReport {
    let (id, word) = (JobId::new("42-7"), word.to_owned());
    JobReport { id, state, word, node: None, reason: None, running_for: None, time_left: None, run: None }
}

fn running(listening: bool) -> Sighting {
    let place = Place { host: "127.0.0.1".into(), port: 1, pid: 2, listening, loopback: true };
    let sight = Sight::Seen(report(JobState::Running, "RUNNING"));
    Sighting { sight, place: Some(place), exit: None, at: None }
}

fn gone(exit: Option<ExitStatus>) -> Sighting {
    let end = JobEnd { outcome: Outcome::Failed, exit, reason: None };
    let sight = Sight::Seen(report(JobState::Ended(end), "FAILED"));
    Sighting { sight, place: None, exit, at: None }
}

fn says(state: State) -> Answer {
    Ok(BTreeMap::from([(name(id()), state)]))
}

const KILLED: End = End { code: 137, out_of_memory: true };

/// What is known in the end: the state, or why nobody knows.
fn known(sighting: Sighting, ended: Option<Ended>, answer: &Answer) -> Result<JobReport, String> {
    match verdict(sighting, id(), ended, answer).sight {
        Sight::Seen(report) => Ok(report),
        Sight::Unseen(why) => Err(why),
        Sight::Absent => panic!("a job does not vanish by what an engine says"),
    }
}

fn state(sighting: Sighting, answer: &Answer) -> JobState {
    known(sighting, None, answer).unwrap().state
}

#[test]
fn each_state_of_a_container_whose_job_goes_on_is_told() {
    for (said, told) in [
        (State::Created, JobState::Running),
        (State::Running, JobState::Running),
        (State::Paused, JobState::Suspended),
        (State::Restarting, JobState::Running),
        (State::Leaving("removing".into()), JobState::Leaving),
        (State::Ended(KILLED), JobState::Leaving),
    ] {
        assert_eq!(state(running(true), &says(said.clone())), told, "{said:?}");
    }
    // Another attempt may follow on another port.
    assert_eq!(state(running(false), &says(State::Ended(KILLED))), JobState::Running);
    assert_eq!(state(running(true), &Ok(BTreeMap::new())), JobState::Running, "its job is about to notice");
}

#[test]
fn who_does_not_answer_or_cannot_be_understood_ends_nothing() {
    let missing: Answer = Err(AskError::Missing { engine: "podman".into() });
    for sighting in [running(true), gone(None)] {
        let why = known(sighting.clone(), None, &missing).unwrap_err();
        assert_eq!(why, "podman is not on PATH");
        let why = known(sighting, None, &says(State::Unknown("odd".into()))).unwrap_err();
        assert!(why.contains("\"odd\""), "{why}");
    }
}

#[test]
fn what_a_job_that_is_gone_has_left_still_runs() {
    for said in [State::Running, State::Paused, State::Restarting, State::Leaving("stopping".into())] {
        let report = known(gone(None), None, &says(said)).unwrap();
        assert_eq!(report.state, JobState::Leaving);
        assert!(report.reason.unwrap().contains(&name(id())));
    }
}

#[test]
fn an_end_that_only_the_engine_saw_has_its_exit_code() {
    let JobState::Ended(end) = state(gone(None), &says(State::Ended(KILLED))) else { panic!() };
    assert_eq!(end.outcome, Outcome::OutOfMemory);
    assert_eq!(end.exit, Some(ExitStatus { code: 137, signal: Some(9) }));
    let done = End { code: 0, out_of_memory: false };
    let JobState::Ended(end) = state(gone(None), &says(State::Ended(done))) else { panic!() };
    assert_eq!((end.outcome, end.exit), (Outcome::Completed, Some(ExitStatus { code: 0, signal: None })));
}

#[test]
fn what_the_job_has_told_is_final_whatever_the_engine_says_later() {
    let ended = Some(Ended { is_left: true, end: KILLED });
    let exit = Some(ExitStatus { code: 137, signal: Some(9) });
    let down: Answer = Err(AskError::Missing { engine: "podman".into() });
    for answer in [down, Ok(BTreeMap::new()), says(State::Running)] {
        let JobState::Ended(end) = known(gone(exit), ended, &answer).unwrap().state else { panic!() };
        assert_eq!((end.outcome, end.exit), (Outcome::OutOfMemory, exit));
    }
}
