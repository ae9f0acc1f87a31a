//! Surveys, through a real shell.

use std::fs;

use crate::support::{ID, LoginHost, OTHER, accounting_line, queue_line, subject};
use towline_core::job::{JobState, Outcome, Sight, Sighting};
use towline_core::ports::{Scheduler as _, Subject, SurveyError};

async fn look(host: &LoginHost, subjects: &[Subject]) -> Vec<Sighting> {
    let survey = host.slurm.survey(subjects).await.unwrap();
    subjects.iter().map(|subject| survey.sightings[&subject.id].clone()).collect()
}

fn state(sighting: &Sighting) -> &JobState {
    match &sighting.sight {
        Sight::Seen(report) => &report.state,
        other => panic!("{other:?}"),
    }
}

fn outcome(sighting: &Sighting) -> Outcome {
    match state(sighting) {
        JobState::Ended(end) => end.outcome,
        other => panic!("{other:?}"),
    }
}

fn why(sighting: &Sighting) -> &str {
    match &sighting.sight {
        Sight::Unseen(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_command_sees_them_all() {
    for shell in ["sh", "bash"] {
        let host = LoginHost::with(shell, "~/.tow line");
        host.greet("Welcome, no newline");
        host.set(
            "squeue.out",
            &format!("odd\nname\n{}{}", queue_line(OTHER, "8", "PENDING"), queue_line(ID, "7", "RUNNING")),
        );
        fs::create_dir_all(host.service("")).unwrap();
        let place = r#"{"job":"7","restarts":0,"published_at":1795409832,"host":"c2","node":"c2","port":23456,"pid":9,"address":"*","loopback":false}"#;
        fs::write(host.service("place.json"), place).unwrap();
        let seen = look(&host, &[subject(ID, Some("7")), subject(OTHER, None)]).await;
        assert_eq!((state(&seen[0]), state(&seen[1])), (&JobState::Running, &JobState::Queued));
        assert_eq!(seen[0].place.as_ref().map(|place| place.port), Some(23456));
        assert_eq!((host.runs(), host.calls("squeue").len(), host.calls("sacct").len()), (1, 1, 0));
        assert_eq!(host.environment("squeue"), "SLURM_CONF=/etc/slurm.conf\nSLURM_TIME_FORMAT=%s\n");
    }
}

#[tokio::test]
async fn accounting_is_asked_for_vanished_and_failed_jobs_alone() {
    let host = LoginHost::new();
    let third = "22222222-2222-4222-8222-222222222222";
    host.set("squeue.out", &(queue_line(OTHER, "8", "RUNNING") + &queue_line(third, "9", "FAILED")));
    host.set(
        "sacct.out",
        &(accounting_line(ID, "7", "TIMEOUT") + &accounting_line(third, "9", "FAILED").replace("0:0", "3:0")),
    );
    let subjects = [subject(ID, Some("7")), subject(OTHER, Some("8")), subject(third, Some("9"))];
    let seen = look(&host, &subjects).await;
    assert_eq!(outcome(&seen[0]), Outcome::TimeLimit);
    assert_eq!(state(&seen[1]), &JobState::Running);
    match state(&seen[2]) {
        JobState::Ended(end) => assert_eq!(end.exit.unwrap().code, 3),
        other => panic!("{other:?}"),
    }
    let calls = host.calls("sacct");
    assert_eq!((calls.len(), host.runs()), (1, 1));
    assert!(calls[0].ends_with("-j 7,9") || calls[0].ends_with("-j 9,7"), "{}", calls[0]);
    assert_eq!(host.environment("sacct"), "SLURM_CONF=/etc/slurm.conf\nSLURM_TIME_FORMAT=%s\n");
}

#[tokio::test]
async fn a_job_whose_id_was_lost_is_found_by_the_kept_id_or_by_its_token() {
    let host = LoginHost::new();
    host.set("sacct.out", &(accounting_line(OTHER, "6", "FAILED") + &accounting_line(ID, "7", "COMPLETED")));
    let seen = look(&host, &[subject(ID, None)]).await;
    assert_eq!(outcome(&seen[0]), Outcome::Completed);
    let calls = host.calls("sacct");
    assert!(calls[0].contains(" -S now-") && !calls[0].contains(" -j "), "{}", calls[0]);

    fs::create_dir_all(host.service("")).unwrap();
    fs::write(host.service("job.id"), "7\n").unwrap();
    assert_eq!(outcome(&look(&host, &[subject(ID, None)]).await[0]), Outcome::Completed);
    assert!(host.calls("sacct")[1].ends_with("-j 7"));
}

#[tokio::test]
async fn a_job_that_both_miss_is_absent_and_a_job_that_one_may_know_is_not() {
    let host = LoginHost::new();
    let gone = [subject(ID, Some("7"))];
    assert_eq!(look(&host, &gone).await[0].sight, Sight::Absent);

    host.set("sacct.code", "1");
    host.set("sacct.err", "sacct: error: Problem talking to the database: Connection refused\n");
    assert!(why(&look(&host, &gone).await[0]).contains("Connection refused"));

    host.set("sacct.err", "Slurm accounting storage is disabled\n");
    assert_eq!(look(&host, &gone).await[0].sight, Sight::Absent);

    let host = host.without("sacct");
    assert_eq!(look(&host, &gone).await[0].sight, Sight::Absent);
}

#[tokio::test]
async fn accounting_is_asked_for_what_the_queue_does_not_clearly_list() {
    let host = LoginHost::new();
    let row = queue_line(ID, "7", "RUNNING");
    // Cut off; of another job, whose name has two lines; with one field too many.
    let odd =
        [row.replace("\u{1f}\n", "\n"), row.replace("web-", "x\nweb-"), row.replace("c2", "c2\u{1f}c3")];
    for (n, broken) in odd.iter().enumerate() {
        host.set("squeue.out", &format!("{broken}{}", queue_line(OTHER, "8", "RUNNING")));
        let seen = look(&host, &[subject(ID, Some("7")), subject(OTHER, Some("8"))]).await;
        assert!(why(&seen[0]).contains("the queue has a line"), "{broken:?}");
        assert_eq!(state(&seen[1]), &JobState::Running, "{broken:?}");
        assert_eq!(host.calls("sacct").len(), n + 1, "{broken:?}");
    }
}

#[tokio::test]
async fn an_accounting_that_could_not_be_asked_or_read_denies_nothing() {
    for tool in ["awk", "sed"] {
        let host = LoginHost::new().without(tool);
        host.set("sacct.out", &accounting_line(OTHER, "8", "COMPLETED"));
        let seen = look(&host, &[subject(ID, Some("7")), subject(OTHER, None)]).await;
        assert!(why(&seen[0]).contains("accounting"), "{tool}");
        assert!(why(&seen[1]).contains("accounting"), "{tool}");
    }
}

#[tokio::test]
async fn a_slow_accounting_is_unseen() {
    let host = LoginHost::new();
    host.set("sacct.hook", "exec sleep 60");
    let survey = host.impatient().survey(&[subject(ID, Some("7"))]).await.unwrap();
    let sighting = &survey.sightings[&ID.parse().unwrap()];
    assert!(why(sighting).contains("sacct did not answer in time"), "{sighting:?}");
}

#[tokio::test]
async fn a_queue_that_gives_no_answer_is_an_error_in_its_own_words() {
    let host = LoginHost::new();
    host.set("squeue.code", "1");
    host.set("squeue.err", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n");
    match host.slurm.survey(&[subject(ID, Some("7"))]).await {
        Err(SurveyError::Scheduler { words }) => assert!(words.ends_with("(connect failure)"), "{words}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(host.calls("sacct").len(), 0);

    host.set("squeue.hook", "exec sleep 60");
    match host.impatient().survey(&[subject(ID, Some("7"))]).await {
        Err(SurveyError::Scheduler { words }) => assert_eq!(words, "squeue did not answer in time"),
        other => panic!("{other:?}"),
    }
    let none = LoginHost::new().without("squeue");
    let error = none.slurm.survey(&[subject(ID, Some("7"))]).await.unwrap_err();
    assert!(matches!(error, SurveyError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_thousand_services_are_one_command() {
    let host = LoginHost::new();
    let id = |n: usize| format!("00000000-0000-4000-8000-{n:012}");
    let running: String = (0..500).map(|n| queue_line(&id(n), &(1000 + n).to_string(), "RUNNING")).collect();
    let ended: String =
        (500..999).map(|n| accounting_line(&id(n), &(1000 + n).to_string(), "COMPLETED")).collect();
    host.set("squeue.out", &running);
    host.set("sacct.out", &ended);
    let subjects: Vec<Subject> = (0..1000).map(|n| subject(&id(n), Some(&(1000 + n).to_string()))).collect();
    let seen = look(&host, &subjects).await;
    assert!(seen[..500].iter().all(|seen| state(seen) == &JobState::Running));
    assert!(seen[500..999].iter().all(|seen| outcome(seen) == Outcome::Completed));
    assert_eq!(seen[999].sight, Sight::Absent);
    assert_eq!((host.runs(), host.calls("squeue").len(), host.calls("sacct").len()), (1, 1, 1));
}

#[tokio::test]
async fn nobody_is_asked_about_nothing() {
    let host = LoginHost::new();
    assert!(host.slurm.survey(&[]).await.unwrap().sightings.is_empty());
    assert_eq!(host.runs(), 0);
}
