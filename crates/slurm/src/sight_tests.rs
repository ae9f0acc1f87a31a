use std::slice::from_ref;
use std::time::Duration;

use towline_core::job::{ExitStatus, JobEnd};

use super::*;
use crate::parse::records;
use crate::testing::{ID, record};

const CREATED: i64 = 1_795_409_800;

fn subject(job: Option<&str>) -> Subject {
    Subject { id: ID.parse().unwrap(), job: job.map(JobId::new), created_at: Timestamp::from_secs(CREATED) }
}

fn queue_line(job: &str, word: &str, start: i64) -> String {
    let (start, submitted, name) = (start.to_string(), CREATED.to_string(), format!("web-{ID}"));
    record(&[job, word, "c2", "None", &start, "1:27", "58:33", &submitted, &name])
}

fn accounting_line(job: &str, word: &str, exit: &str, submitted: i64) -> String {
    let (submitted, start) = (submitted.to_string(), (submitted + 1).to_string());
    record(&[job, word, exit, &submitted, &start, "c2", &format!("web-{ID}")])
}

fn place_line(job: &str, at: i64) -> String {
    format!(
        r#"{ID}/place.json:{{"job":"{job}","restarts":0,"published_at":{at},"host":"c2","node":"c2","port":23456,"pid":9,"address":"*","loopback":false}}"#
    )
}

fn exit_line(job: &str, at: i64, code: u8) -> String {
    format!(
        r#"{ID}/exit.json:{{"job":"{job}","restarts":0,"ended_at":{at},"code":{code},"signal":null,"time_limit":false}}"#
    )
}

fn answer(queue: &[String], accounting: &[String], files: &[String]) -> Answer {
    let mut answer = Answer::default();
    queue.iter().for_each(|row| answer.queue.add(row));
    accounting.iter().for_each(|row| answer.accounting.rows.add(row));
    answer.accounting.asked.insert(ID.parse().unwrap());
    answer.records = records::records(files.iter().map(String::as_str));
    answer
}

fn report(sighting: &Sighting) -> &JobReport {
    match &sighting.sight {
        Sight::Seen(report) => report,
        other => panic!("{other:?}"),
    }
}

fn end(sighting: &Sighting) -> &JobEnd {
    match &report(sighting).state {
        JobState::Ended(end) => end,
        other => panic!("{other:?}"),
    }
}

fn why(sighting: &Sighting) -> &str {
    match &sighting.sight {
        Sight::Unseen(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_running_job_is_seen_with_its_place() {
    let start = CREATED + 30;
    let answer = answer(&[queue_line("7", "RUNNING", start)], &[], &[place_line("7", start + 2)]);
    let seen = sighting(&subject(Some("7")), &answer);
    let report = report(&seen);
    assert_eq!((report.state.clone(), report.word.as_str()), (JobState::Running, "RUNNING"));
    assert_eq!((report.node.as_deref(), report.reason.as_deref()), (Some("c2"), None));
    assert_eq!(report.running_for, Some(Duration::from_secs(87)));
    assert_eq!(report.time_left, Some(Duration::from_secs(3513)));
    assert_eq!(report.run, u64::try_from(start).ok());
    assert_eq!(seen.place.map(|place| place.port), Some(23456));
}

#[test]
fn a_job_is_found_by_its_token_alone() {
    let answer = answer(&[queue_line("7", "PENDING", CREATED)], &[], &[]);
    for known in [None, Some("7"), Some("6")] {
        assert_eq!(report(&sighting(&subject(known), &answer)).id, JobId::new("7"), "{known:?}");
    }
}

#[test]
fn a_waiting_job_has_no_place_run_or_times() {
    let start = CREATED + 500;
    for word in ["PENDING", "REQUEUED", "REQUEUE_HOLD", "CONFIGURING"] {
        let answer =
            answer(&[queue_line("7", word, start)], &[], &[place_line("7", start), exit_line("7", start, 0)]);
        let seen = sighting(&subject(Some("7")), &answer);
        let report = report(&seen);
        assert_eq!((report.run, report.running_for, report.time_left), (None, None, None), "{word}");
        assert_eq!((seen.place, seen.exit), (None, None), "{word}");
    }
}

#[test]
fn a_requeued_job_does_not_pass_on_the_place_of_its_earlier_run() {
    let (first, second) = (CREATED + 30, CREATED + 300);
    let files = [place_line("7", first + 2), exit_line("7", first + 9, 1)];
    let answer = answer(&[queue_line("7", "RUNNING", second)], &[], &files);
    let seen = sighting(&subject(Some("7")), &answer);
    assert_eq!((seen.place, seen.exit), (None, None));
}

#[test]
fn the_queue_is_believed_before_accounting() {
    let rows = [accounting_line("7", "CANCELLED by 2001", "0:0", CREATED)];
    let answer = answer(&[queue_line("7", "COMPLETING", CREATED + 1)], &rows, &[]);
    assert_eq!(report(&sighting(&subject(Some("7")), &answer)).state, JobState::Leaving);
}

#[test]
fn a_failure_in_the_queue_has_its_exit_code_from_accounting_or_the_job() {
    let start = CREATED + 1;
    let queue = [queue_line("7", "FAILED", start)];
    let rows = [accounting_line("7", "FAILED", "3:0", CREATED)];
    let told = sighting(&subject(Some("7")), &answer(&queue, &rows, &[exit_line("7", start + 1, 4)]));
    assert_eq!(end(&told).exit, Some(ExitStatus { code: 3, signal: None }));

    let late = [accounting_line("7", "RUNNING", "0:0", CREATED)];
    let own = sighting(&subject(Some("7")), &answer(&queue, &late, &[exit_line("7", start + 1, 4)]));
    assert_eq!(end(&own).exit, Some(ExitStatus { code: 4, signal: None }));

    let silent = sighting(&subject(Some("7")), &answer(&queue, &[], &[exit_line("7", start + 1, 0)]));
    assert_eq!(end(&silent).exit, None, "exit code 0 is no failure");
}

#[test]
fn an_unknown_word_is_kept_and_ends_nothing() {
    let answer_ = answer(&[queue_line("7", "HIBERNATING", CREATED)], &[], &[]);
    assert!(why(&sighting(&subject(Some("7")), &answer_)).contains("HIBERNATING"));
    let answer_ = answer(&[], &[accounting_line("7", "MELTED", "0:0", CREATED)], &[]);
    assert!(why(&sighting(&subject(Some("7")), &answer_)).contains("MELTED"));
}

#[test]
fn a_vanished_job_ends_as_accounting_says() {
    let rows = [
        accounting_line("7", "NODE_FAIL", "0:0", CREATED),
        accounting_line("7", "CANCELLED by 2001", "0:0", CREATED + 200),
    ];
    let seen = sighting(&subject(Some("7")), &answer(&[], &rows, &[]));
    assert_eq!(end(&seen).outcome, Outcome::Cancelled, "the newest record counts");
    assert_eq!(end(&seen).reason.as_deref(), Some("by user id 2001"));
    let preempted = [accounting_line("7", "PREEMPTED", "0:0", CREATED)];
    let seen = sighting(&subject(Some("7")), &answer(&[], &preempted, &[]));
    assert_eq!(end(&seen).outcome, Outcome::Preempted);
}

#[test]
fn late_accounting_is_no_end() {
    for word in ["RUNNING", "PENDING", "SUSPENDED", "REQUEUED"] {
        let answer = answer(&[], &[accounting_line("7", word, "0:0", CREATED)], &[]);
        assert!(why(&sighting(&subject(Some("7")), &answer)).contains("accounting is late"), "{word}");
    }
}

#[test]
fn a_record_from_before_the_request_proves_nothing() {
    let rows = [accounting_line("7", "COMPLETED", "0:0", CREATED - SLACK - 1)];
    assert!(
        why(&sighting(&subject(Some("7")), &answer(&[], &rows, &[]))).contains("before it was asked for")
    );
    let rows = [accounting_line("7", "COMPLETED", "0:0", CREATED - SLACK)];
    assert_eq!(end(&sighting(&subject(Some("7")), &answer(&[], &rows, &[]))).outcome, Outcome::Completed);
}

#[test]
fn absence_needs_both_answers() {
    let mut both = answer(&[], &[], &[exit_line("7", CREATED + 9, 3)]);
    let absent = sighting(&subject(Some("7")), &both);
    assert_eq!(absent.sight, Sight::Absent);
    assert_eq!(absent.exit, Some(ExitStatus { code: 3, signal: None }));
    assert_eq!(sighting(&subject(Some("8")), &both).exit, None, "another job's record");
    both.accounting.problem = Some("Connection refused".into());
    assert!(why(&sighting(&subject(Some("7")), &both)).contains("Connection refused"));
}

#[test]
fn of_two_jobs_with_one_token_the_live_one_counts() {
    let rows = [queue_line("7", "COMPLETED", CREATED), queue_line("8", "RUNNING", CREATED)];
    assert_eq!(report(&sighting(&subject(Some("7")), &answer(&rows, &[], &[]))).id, JobId::new("8"));
}

#[test]
fn a_row_that_cannot_be_read_is_no_absence() {
    let row = queue_line("7", "RUNNING", CREATED);
    let cut = &row[..row.len() - 1];
    for broken in
        [row.replacen('7', "7_1", 1), format!("{cut}\u{1b}[0m\u{1f}"), row.replace('\u{1f}', "|"), cut.into()]
    {
        let answer = answer(from_ref(&broken), &[], &[]);
        for job in [None, Some("7"), Some("6")] {
            assert!(
                why(&sighting(&subject(job), &answer)).contains("the queue has a line"),
                "{broken:?} {job:?}"
            );
        }
    }
    let accounted = accounting_line("7", "COMPLETED", "0:0", CREATED);
    let broken = answer(&[], &[accounted[..accounted.len() - 9].into()], &[]);
    assert!(why(&sighting(&subject(Some("7")), &broken)).contains("accounting has a line"));
    assert_eq!(sighting(&subject(Some("8")), &broken).sight, Sight::Absent, "another job's");
}

/// The queue may know of a run that accounting has not heard of, and of two records the last counts.
#[test]
fn an_end_needs_every_line_of_its_job_to_be_read() {
    let (ended, next) =
        (accounting_line("7", "NODE_FAIL", "0:0", CREATED), queue_line("7", "RUNNING", CREATED));
    let queue_cut = answer(&[next[..20].into()], from_ref(&ended), &[]);
    assert!(why(&sighting(&subject(Some("7")), &queue_cut)).contains("the queue has a line"));
    let twice = answer(&[queue_line("7", "COMPLETED", CREATED), next[..20].into()], &[], &[]);
    assert!(why(&sighting(&subject(Some("7")), &twice)).contains("the queue has a line"));
    let requeue_cut = answer(&[], &[ended.clone(), ended[..20].into()], &[]);
    assert!(why(&sighting(&subject(Some("7")), &requeue_cut)).contains("accounting has a line"));
    let others = answer(&[queue_line("7", "COMPLETED", CREATED), "8\u{1f}RUN".into(), "9".into()], &[], &[]);
    assert_eq!(end(&sighting(&subject(Some("7")), &others)).outcome, Outcome::Completed);

    let failed = queue_line("7", "FAILED", CREATED);
    let record = accounting_line("7", "FAILED", "3:0", CREATED);
    let cut = answer(&[failed], &[record.clone(), record[..20].into()], &[]);
    assert_eq!(end(&sighting(&subject(Some("7")), &cut)).exit, None, "that of another run, perhaps");
}

#[test]
fn what_accounting_was_not_asked_it_does_not_deny() {
    let mut unasked = answer(&[], &[], &[]);
    unasked.accounting.asked.clear();
    assert!(why(&sighting(&subject(Some("7")), &unasked)).contains("accounting was not asked"));
}
