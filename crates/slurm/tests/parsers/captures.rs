//! Answers that a real cluster gave to the survey: see `../captures/README.md`.

use towline_core::job::{JobEnd, JobState, Sight, Sighting};
use towline_core::ports::Subject;
use towline_core::time::Timestamp;

use crate::answer::{MARK, UNIT, look, subject};

/// The services of the recorded answers, by number, with their jobs.
const JOBS: [(u32, &str); 14] = [
    (1, "17"),
    (2, "18"),
    (3, "19"),
    (4, "20"),
    (5, "21"),
    (6, "22"),
    (7, "23"),
    (8, "24"),
    (9, "25"),
    (10, "26"),
    (15, "31"),
    (16, "33"),
    (17, "35"),
    (90, "4"),
];

pub(crate) fn service(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The subjects of every recorded answer but the one of lost ids; the last has no job.
pub(crate) fn subjects() -> Vec<Subject> {
    let mut all: Vec<_> = JOBS.iter().map(|&(number, job)| subject(&service(number), Some(job))).collect();
    all.push(subject(&service(91), None));
    all
}

/// A recorded answer by its name.
pub(crate) fn recorded(name: &str) -> String {
    let path = format!("{}/tests/captures/survey-{name}.answer", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// In a few words: the job and its state, its exit, or why there is none.
fn told(sighting: &Sighting) -> String {
    match &sighting.sight {
        Sight::Absent => "absent".to_owned(),
        Sight::Unseen(why) => why.clone(),
        Sight::Seen(report) => match &report.state {
            JobState::Ended(JobEnd { exit: Some(exit), .. }) => {
                format!("{} {} {exit}", report.id, report.word)
            }
            _ => format!("{} {}", report.id, report.word),
        },
    }
}

fn all_told(name: &str, subjects: &[Subject]) -> Vec<String> {
    look(recorded(name).into_bytes(), subjects).expect("a whole answer").iter().map(told).collect()
}

#[test]
fn a_queue_is_read_as_it_was() {
    let expected = [
        "17 RUNNING",
        "18 PENDING",
        "19 PENDING",
        "20 COMPLETED",
        "21 FAILED exit code 3",
        "22 FAILED signal 11",
        "23 RUNNING",
        "24 CANCELLED",
        "25 CANCELLED",
        "26 PENDING",
        "31 PENDING",
        "33 RUNNING",
        "35 PENDING",
        "absent",
        "absent",
    ];
    assert_eq!(all_told("queue", &subjects()), expected);
}

#[test]
fn a_requeued_job_runs_anew_and_those_that_left_the_queue_are_in_accounting() {
    let seen = look(recorded("requeued").into_bytes(), &subjects()).unwrap();
    let of = |number: u32| &seen[JOBS.iter().position(|(other, _)| *other == number).unwrap()];
    assert_eq!(
        (told(of(17)), told(of(7)), told(of(4))),
        ("35 RUNNING".into(), "23 TIMEOUT".into(), "20 COMPLETED exit code 0".into())
    );
    let run = |sighting: &Sighting| match &sighting.sight {
        Sight::Seen(report) => report.run,
        other => panic!("{other:?}"),
    };
    assert_eq!((run(of(17)), run(of(1))), (Some(1_795_421_128), Some(1_795_420_996)));
    assert!(seen.iter().all(|seen| seen.at == Some(Timestamp::from_secs(1_795_421_193))));
}

#[test]
fn of_a_requeued_job_accounting_s_last_record_counts() {
    let told = all_told("vanished", &subjects());
    assert_eq!(
        (&*told[0], &*told[6], &*told[12]),
        ("17 CANCELLED signal 15", "23 TIMEOUT", "35 CANCELLED signal 15")
    );
    assert_eq!(told[13..], ["absent", "absent"]);
}

#[test]
fn jobs_whose_ids_were_lost_are_told_by_their_tokens() {
    let lost = [5, 17, 11, 91].map(|number| subject(&service(number), None));
    let told = all_told("lost", &lost);
    assert_eq!(
        (&*told[0], &*told[1], &*told[3]),
        ("21 FAILED exit code 3", "35 CANCELLED signal 15", "absent")
    );
    // The second line of a name that somebody else chose: no row, and no absence.
    assert!(told[2].contains("accounting has a line"), "{}", told[2]);
}

/// As many as Slurm's largest queues hold.
#[test]
fn a_hundred_thousand_jobs_in_one_answer_are_all_seen() {
    const JOBS: u32 = 100_000;
    let row = |n: u32| {
        let (job, name) = ((n + 1000).to_string(), format!("web-{}", service(n)));
        let word = if n.is_multiple_of(2) { "RUNNING" } else { "PENDING" };
        let fields = [&job, word, "c1", "None", "1795420996", "0:09", "29:51", "1795420996", &name];
        let broken =
            if n.is_multiple_of(1000) { format!("{MARK}Q{job}{UNIT}RUN\nnoise\n") } else { String::new() };
        format!("{broken}{MARK}Q{}\n", fields.map(|field| format!("{field}{UNIT}")).concat())
    };
    let rows: String = (0..JOBS).map(row).collect();
    let answer = format!("\n{MARK}q0\n{MARK}t1795421000\n{rows}{MARK}r\n{MARK}.\n");
    let subjects: Vec<_> = (0..JOBS).map(|n| subject(&service(n), Some(&(n + 1000).to_string()))).collect();
    let seen = look(answer.into_bytes(), &subjects).unwrap();
    let running = seen.iter().filter(|seen| told(seen).ends_with("RUNNING")).count();
    let pending = seen.iter().filter(|seen| told(seen).ends_with("PENDING")).count();
    assert_eq!((running, pending), (50_000, 50_000));
}
