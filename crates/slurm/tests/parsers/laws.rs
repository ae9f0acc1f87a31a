//! What holds for every answer whatever. Each law takes the bytes of one command and panics where it is broken.

use towline_core::job::{JobEnd, JobReport, JobState, Place, Sight, Sighting};
use towline_core::ports::Subject;
use towline_core::runner::{parse_attempt, parse_exit, parse_place};
use towline_slurm::state::{Source, job_state};

use crate::answer::{MARK, Parts, UNIT, look, subjects};

/// More rows than these tell nothing new.
const ROWS: usize = 16;

/// Whatever a cluster answers.
pub(crate) fn any_answer(bytes: &[u8]) {
    let subjects = subjects();
    let text = String::from_utf8_lossy(bytes);
    let Ok(seen) = look(bytes.to_vec(), &subjects) else { return };
    for line in ["\u{1e}q0", "\u{1e}r", "\u{1e}."] {
        assert!(text.contains(line), "an answer without {line:?} was taken for whole");
    }
    for (subject, sighting) in subjects.iter().zip(&seen) {
        match &sighting.sight {
            Sight::Seen(report) => is_said(report, subject, &text),
            Sight::Absent => {
                assert!(
                    text.contains(&format!("{MARK}w{}", subject.id)),
                    "accounting was not asked for {subject:?}"
                );
            }
            Sight::Unseen(_) => {}
        }
    }
}

/// Whatever `squeue` printed.
pub(crate) fn any_queue(data: &[u8]) {
    any_rows(&Rows::of_queue(data));
}

/// Whatever `sacct` printed.
pub(crate) fn any_accounting(data: &[u8]) {
    any_rows(&Rows::of_accounting(data));
}

/// The rows of one command.
pub(crate) struct Rows {
    source: Source,
    /// What stands before the first.
    noise: String,
    rows: Vec<String>,
}

impl Rows {
    /// Rows as `squeue` prints them: each begins with its mark, and no other line of ours is among them.
    pub(crate) fn of_queue(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data);
        let mut rows = text.split("\u{1e}Q").map(|row| row.replace(MARK, "?"));
        let noise = rows.next().unwrap_or_default();
        Self {
            source: Source::Queue,
            noise,
            rows: rows.take(ROWS).map(|row| format!("{MARK}Q{row}")).collect(),
        }
    }

    /// Lines as `sacct` prints them, each with the mark that it is given then.
    pub(crate) fn of_accounting(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data).replace(MARK, "?");
        let rows = text.lines().take(ROWS).map(|line| format!("{MARK}A{line}\n"));
        Self { source: Source::Accounting, noise: String::new(), rows: rows.collect() }
    }

    fn look(&self, rows: &str, subjects: &[Subject]) -> Vec<Sighting> {
        let bytes = rows.as_bytes();
        let parts = match self.source {
            Source::Queue => Parts { queue: bytes, ..Parts::default() },
            Source::Accounting => Parts { accounting: bytes, ..Parts::default() },
        };
        parts.look(subjects)
    }

    fn text(&self) -> String {
        self.noise.clone() + &self.rows.concat()
    }

    /// What is seen with one of the rows cut off, somewhere.
    fn cut(&self, subjects: &[Subject]) -> Option<(usize, Vec<Sighting>)> {
        let seed = anywhere(self.text().as_bytes());
        let at = seed.checked_rem(self.rows.len())?;
        let mut rows = self.rows.clone();
        let (letter, end) = (2, rows[at].floor_char_boundary(2 + seed / 97 % rows[at].len()));
        rows[at].truncate(end.max(letter));
        rows[at].push('\n');
        Some((at, self.look(&(self.noise.clone() + &rows.concat()), subjects)))
    }
}

/// The number with which a row begins, if it is known to be the whole of it.
fn job(row: &str) -> Option<&str> {
    row.get(2..)?.split_once(UNIT).map(|(job, _)| job)
}

fn any_rows(rows: &Rows) {
    let (subjects, text) = (subjects(), rows.text());
    let seen = rows.look(&text, &subjects);
    let noise = rows.look(&rows.noise, &subjects);
    let alone: Vec<_> = rows.rows.iter().map(|row| rows.look(row, &subjects)).collect();
    let cut = rows.cut(&subjects);
    for (n, subject) in subjects.iter().enumerate() {
        let token = subject.id.to_string();
        match &seen[n].sight {
            Sight::Seen(report) => {
                is_said(report, subject, &text);
                is_meant(report, rows.source);
            }
            Sight::Absent => assert!(!text.contains(&token), "{token} is there:\n{text:?}"),
            Sight::Unseen(_) => {}
        }
        let alone: Vec<&Sighting> = alone.iter().map(|seen| &seen[n]).collect();
        is_what_the_rows_say(&seen[n], &noise[n], &alone, rows);
        no_other_row_is_lost(&seen[n], &alone, &token, rows);
        if let Some((at, cut)) = &cut {
            a_cut_adds_nothing(&seen[n], &cut[n], subject, *at, rows);
        }
    }
}

/// A report is of the service and the job that the text names, in its words.
fn is_said(report: &JobReport, subject: &Subject, text: &str) {
    let token = subject.id.to_string();
    for said in [&token, report.id.as_str(), &report.word, report.node.as_deref().unwrap_or_default()] {
        assert!(text.contains(said), "{said:?} of {report:?} is not in\n{text:?}");
    }
}

/// A state is the one that the word means.
fn is_meant(report: &JobReport, source: Source) {
    let plain = match report.state.clone() {
        JobState::Ended(end) => JobState::Ended(JobEnd { exit: None, reason: None, ..end }),
        other => other,
    };
    assert_eq!(Some(plain), job_state(&report.word, source), "{report:?}");
}

/// All rows together say what one of them says alone, and leave in doubt what one of them leaves in doubt.
fn is_what_the_rows_say(seen: &Sighting, noise: &Sighting, alone: &[&Sighting], rows: &Rows) {
    let every_absent = noise.sight == Sight::Absent && alone.iter().all(|alone| alone.sight == Sight::Absent);
    let unseen = |sighting: &Sighting| matches!(sighting.sight, Sight::Unseen(_));
    match &seen.sight {
        Sight::Seen(_) => assert!(alone.contains(&seen), "no row says {seen:?}"),
        Sight::Absent => {}
        Sight::Unseen(why) => {
            // A row that was cut off may be the next run of a job whose end another row tells.
            let mut jobs: Vec<_> = rows.rows.iter().filter_map(|row| job(row)).collect();
            let all = jobs.len();
            jobs.sort_unstable();
            jobs.dedup();
            let in_doubt = unseen(noise) || alone.iter().any(|alone| unseen(alone)) || jobs.len() < all;
            assert!(in_doubt, "every row can be read, and yet: {why}");
        }
    }
    assert_eq!(seen.sight == Sight::Absent, every_absent, "{seen:?}");
}

/// The only row that names a service and its job is read as if it were alone.
fn no_other_row_is_lost(seen: &Sighting, alone: &[&Sighting], token: &str, rows: &Rows) {
    for (at, alone) in alone.iter().enumerate() {
        let Sight::Seen(report) = &alone.sight else { continue };
        let others = rows.rows.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, row)| row);
        let mut others = others.chain([&rows.noise]);
        if !others.any(|row| row.contains(token) || job(row) == Some(report.id.as_str())) {
            assert_eq!(seen, *alone, "the others changed it");
        }
    }
}

/// A row that is cut off says what it said before or nothing certain; what others say stays.
fn a_cut_adds_nothing(before: &Sighting, after: &Sighting, subject: &Subject, at: usize, rows: &Rows) {
    let token = subject.id.to_string();
    let cut = &rows.rows[at];
    let named = rows.rows.iter().chain([&rows.noise]).filter(|row| row.contains(&token)).count();
    match &before.sight {
        Sight::Absent => assert!(!matches!(after.sight, Sight::Seen(_)), "{after:?}"),
        // The row that was cut is of another job.
        Sight::Seen(report) if !cut.contains(&token) && job(cut) != Some(report.id.as_str()) => {
            assert_eq!(before, after, "{cut:?} was cut");
        }
        Sight::Seen(report) if cut.contains(&token) && named == 1 => {
            let unseen = matches!(after.sight, Sight::Unseen(_));
            let own = subject.job.as_ref().is_none_or(|job| *job == report.id);
            assert!(unseen || before == after || !own, "{cut:?} was cut: {after:?}");
        }
        _ => {}
    }
}

/// Whatever lies in the directories of services whose jobs run.
pub(crate) fn any_files(data: &[u8]) {
    let subjects = subjects();
    let text = String::from_utf8_lossy(data).replace(MARK, "?");
    let running = running(&subjects);
    let look = |files: &str| {
        Parts { queue: running.as_bytes(), files: files.as_bytes(), ..Parts::default() }.look(&subjects)
    };
    let (seen, without) = (look(&text), look(""));
    // One after the other, by what stands there.
    let one = anywhere(data) % subjects.len();
    let own = files_of(&text, &subjects[one]);
    assert_eq!(seen[one], look(&own.join("\n"))[one], "files of others change what is told");
    for ((subject, seen), without) in subjects.iter().zip(&seen).zip(&without) {
        let own = files_of(&text, subject);
        let has = |file: &str| own.iter().any(|line| line.starts_with(&format!("{}/{file}:", subject.id)));
        assert_eq!(seen.sight, without.sight, "files change what the scheduler says");
        assert_eq!((&without.place, &without.exit), (&None, &None));
        assert!(seen.exit.is_none() || has("exit.json"), "{:?}", seen.exit);
        if let Some(place) = &seen.place {
            assert!(has(if place.listening { "place.json" } else { "attempt.json" }), "{place:?}");
            assert!(own.concat().contains(&place.port.to_string()), "{place:?}");
            is_an_address(place);
        }
    }
}

fn files_of<'a>(text: &'a str, subject: &Subject) -> Vec<&'a str> {
    let dir = format!("{}/", subject.id);
    text.lines().filter(|line| line.starts_with(&dir)).collect()
}

/// What ssh and a URL can be given.
fn is_an_address(place: &Place) {
    assert!(place.port > 0 && !place.host.is_empty() && !place.host.starts_with('-'), "{place:?}");
    assert!(place.host.chars().all(|c| c.is_ascii_alphanumeric() || ".:_-".contains(c)), "{place:?}");
}

/// A number that is the same for the same bytes.
fn anywhere(data: &[u8]) -> usize {
    data.iter().fold(7, |number: usize, byte| number.wrapping_mul(31).wrapping_add((*byte).into()))
}

/// Whatever stands in a record.
pub(crate) fn any_record(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // Anywhere but at its end.
    let whole = text.trim_end();
    let cut = &whole[..whole.floor_char_boundary(anywhere(data).checked_rem(whole.len()).unwrap_or(0))];
    for parse in [parse_place, parse_attempt] {
        let Ok(told) = parse(&text) else { continue };
        assert!(parse(cut).is_err(), "{cut:?} of {text:?} was read");
        is_an_address(&told.place);
        assert!(text.contains(&told.place.port.to_string()), "{told:?} is not in {text:?}");
    }
    if let Ok(told) = parse_exit(&text) {
        assert!(parse_exit(cut).is_err(), "{cut:?} of {text:?} was read");
        assert!(text.contains(&told.exit.code.to_string()), "{told:?} is not in {text:?}");
    }
}

/// A queue in which each subject's job runs: its own, or one that nobody else has.
fn running(subjects: &[Subject]) -> String {
    let job = |n: usize, subject: &Subject| subject.job.as_ref().map_or(n.to_string(), ToString::to_string);
    let row = |(n, subject): (usize, &Subject)| {
        let (job, name) = (job(n, subject), format!("web-{}", subject.id));
        let fields = [&job, "RUNNING", "c1", "None", "1795420996", "0:09", "29:51", "1795420996", &name];
        format!("{MARK}Q{}\n", fields.map(|field| format!("{field}{UNIT}")).concat())
    };
    subjects.iter().enumerate().map(row).collect()
}
