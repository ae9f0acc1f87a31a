//! The rows of one of Slurm's commands, by the service whose job they tell of; and those that cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use towline_core::id::{JobId, ServiceId};

use super::text::{is_number, token, tokens};
use crate::frame::{UNIT, split_line};

/// What one command prints of one job.
pub(crate) trait Row: Sized {
    /// How many fields stand before the job's name. The first is the job's number.
    const FIELDS: usize;

    /// Takes the fields before the name; `None` if they are not as many as [`Self::FIELDS`].
    fn read(job: JobId, fields: &[&str]) -> Option<Self>;
}

/// What a command printed, row by row. A row is its fields and then the job's name, each ended by [`UNIT`]: a row that
/// was cut off lacks the last one.
#[derive(Debug)]
pub(crate) struct Table<R> {
    rows: BTreeMap<ServiceId, Vec<R>>,
    /// Text that holds a token and cannot be read.
    of_service: BTreeMap<ServiceId, String>,
    /// Rows that cannot be read but for the number of their job.
    of_job: BTreeMap<JobId, String>,
    /// One of them that was cut off before the end of its name.
    of_some_job: Option<String>,
    /// A row that was cut off before the end of its job's number.
    of_anyone: Option<String>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            of_service: BTreeMap::new(),
            of_job: BTreeMap::new(),
            of_some_job: None,
            of_anyone: None,
        }
    }
}

impl<R: Row> Table<R> {
    /// Takes in one row as it was printed, with its line end and whatever may follow that.
    pub(crate) fn add(&mut self, text: &str) {
        let mut parts = text.splitn(R::FIELDS + 1, UNIT);
        let fields: Vec<&str> = parts.by_ref().take(R::FIELDS).collect();
        let Some((name, whole)) = parts.next().and_then(|rest| name_of(text, rest)) else {
            let (line, more) = split_line(text);
            self.keep_unread(line, &tokens(line), true);
            return self.overhear(more);
        };
        self.overhear(&text[whole.len()..]);
        let found = tokens(whole);
        let clean = !name.contains(UNIT) && !whole.chars().any(is_damage);
        // A second token would say that the row is another service's as well.
        let of = token(name).filter(|_| clean && is_number(fields[0]) && found.len() == 1);
        match of.zip(R::read(JobId::new(fields[0]), &fields)) {
            Some((token, row)) => self.rows.entry(token).or_default().push(row),
            // Somebody else's job.
            None if clean && found.is_empty() => {}
            None => self.keep_unread(whole, &found, false),
        }
    }

    /// Takes in text that is no row. A row that lost its beginning is such a text.
    pub(crate) fn overhear(&mut self, text: &str) {
        for token in tokens(text) {
            self.of_service.entry(token).or_insert_with(|| sample(text));
        }
    }

    /// The rows of a service's jobs.
    pub(crate) fn of(&self, id: ServiceId) -> &[R] {
        self.rows.get(&id).map_or(&[], Vec::as_slice)
    }

    /// A line that cannot be read and tells of this service, or of this job.
    pub(crate) fn unread_of(&self, id: ServiceId, job: &JobId) -> Option<&str> {
        self.of_service.get(&id).or_else(|| self.of_job.get(job)).map(String::as_str)
    }

    /// A line that cannot be read and may be the one that a service misses whose job, if that is known, is `job`.
    pub(crate) fn unread_for(&self, id: ServiceId, job: Option<&JobId>) -> Option<&str> {
        let of_job = match job {
            Some(job) => self.of_job.get(job),
            None => self.of_some_job.as_ref(),
        };
        self.of_service.get(&id).or(of_job).or(self.of_anyone.as_ref()).map(String::as_str)
    }

    /// Keeps a row by what can be read of it.
    fn keep_unread(&mut self, text: &str, tokens: &BTreeSet<ServiceId>, is_cut: bool) {
        let line = || sample(text);
        for &token in tokens {
            self.of_service.entry(token).or_insert_with(line);
        }
        let number = text.split_once(UNIT).map(|(number, _)| number).filter(|number| is_number(number));
        if let Some(number) = number {
            self.of_job.entry(JobId::new(number)).or_insert_with(line);
        }
        if is_cut && tokens.is_empty() {
            let of = if number.is_some() { &mut self.of_some_job } else { &mut self.of_anyone };
            of.get_or_insert_with(line);
        }
    }
}

/// What no row of ours has in it. Text that is not UTF-8 was read with replacements.
fn is_damage(c: char) -> bool {
    (c.is_control() && c != UNIT) || c == char::REPLACEMENT_CHARACTER
}

/// From what follows the fields: the name, and the row up to the name's end. `None` if the row has no end of its own.
fn name_of<'a>(text: &'a str, rest: &'a str) -> Option<(&'a str, &'a str)> {
    let is_end =
        |after: &str| matches!(after, "" | "\r") || after.starts_with('\n') || after.starts_with("\r\n");
    let (end, _) = rest.match_indices(UNIT).find(|(at, unit)| is_end(&rest[at + unit.len()..]))?;
    let (name, whole) = (&rest[..end], &text[..text.len() - rest.len() + end]);
    // A name may hold the end of a line; then what has separators as well is the end of another row.
    let is_torn = whole[..whole.len() - end].contains('\n') || (name.contains('\n') && name.contains(UNIT));
    (!is_torn).then_some((name, whole))
}

/// The beginning of a text, for people.
fn sample(text: &str) -> String {
    const CHARS: usize = 120;
    text.trim().chars().take(CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::testing::ID;

    const OTHER: &str = "11111111-1111-4111-8111-111111111111";

    /// A job, by its number and one field more.
    #[derive(Debug, PartialEq)]
    struct Pair(JobId, String);

    impl Row for Pair {
        const FIELDS: usize = 2;

        fn read(job: JobId, fields: &[&str]) -> Option<Self> {
            let &[_, word] = fields else { return None };
            Some(Self(job, word.to_owned()))
        }
    }

    fn table(rows: &[String]) -> Table<Pair> {
        let mut table = Table::default();
        rows.iter().for_each(|row| table.add(&row.replace('|', "\u{1f}")));
        table
    }

    fn id(text: &str) -> ServiceId {
        text.parse().unwrap()
    }

    fn good() -> String {
        format!("7|R|web-{ID}|")
    }

    #[test]
    fn a_row_is_its_services_whatever_ends_its_line() {
        for end in ["", "\n", "\r\n", "\r", "\nsome noise", "\n\nCLUSTER: b|\n"] {
            let table = table(&[good() + end]);
            assert_eq!(table.of(id(ID)), [Pair(JobId::new("7"), "R".into())], "{end:?}");
            assert_eq!(table.unread_for(id(ID), None), None, "{end:?}");
        }
    }

    #[test]
    fn whole_rows_without_a_token_are_none_of_ours() {
        let names =
            ["", "web", "two\nlines", "\u{1b}[1mred", "odd, \"q\" é \u{fffd}", "a\u{0}b", "a|b", "a\u{1e}b"];
        for name in
            names.map(|name| format!("9|R|{name}|\n")).into_iter().chain(["JOBID|STATE|NAME|\n".into()])
        {
            let table = table(from_ref(&name));
            assert!(table.of(id(ID)).is_empty(), "{name:?}");
            assert_eq!(table.unread_for(id(ID), None), None, "{name:?}");
        }
    }

    /// Slurm uses the numbers of its jobs again.
    #[test]
    fn a_job_of_somebody_else_may_have_the_number_that_one_of_ours_had() {
        let table = table(&["7|R|theirs|\n".into()]);
        assert_eq!(table.unread_for(id(ID), Some(&JobId::new("7"))), None);
    }

    #[test]
    fn what_cannot_be_read_is_shown() {
        let table = table(&[format!("7|R|web-{ID}"), "8|R|x\nnoise".into(), "9".into()]);
        let shown =
            |id: ServiceId, job: &str| table.unread_for(id, Some(&JobId::new(job))).unwrap().to_owned();
        assert_eq!(shown(id(ID), "6"), format!("7\u{1f}R\u{1f}web-{ID}"));
        assert_eq!((shown(id(OTHER), "8"), shown(id(OTHER), "6")), ("8\u{1f}R\u{1f}x".into(), "9".into()));
    }

    /// A line that holds a token says that the service has a job, and of no other that it has one.
    #[test]
    fn a_token_in_a_line_that_cannot_be_read_is_that_services_doubt_alone() {
        let mut lines = vec![
            format!("7_1|R|web-{ID}|"),
            format!("|R|web-{ID}|"),
            format!("7|R|web-{ID}-b|"),
            format!("7|R|\u{1b}[1mweb-{ID}|"),
            format!("7|R|web\nweb-{ID}|"),
            format!("7|\u{0}R|web-{ID}|"),
            format!("7|web-{ID}|"),
            format!("7|R|web-{ID}"),
        ];
        lines.push(good().replace('|', ","));
        for line in lines {
            let table = table(from_ref(&line));
            assert!(table.of(id(ID)).is_empty(), "{line:?}");
            assert!(table.unread_for(id(ID), None).is_some(), "{line:?}");
            assert_eq!(table.unread_for(id(OTHER), None), None, "{line:?}");
        }
        let both = table(&[format!("7|R|{OTHER}-{ID}|")]);
        assert!(both.of(id(ID)).is_empty());
        assert!(both.unread_for(id(ID), None).is_some() && both.unread_for(id(OTHER), None).is_some());
    }

    #[test]
    fn a_row_cut_before_its_token_is_the_doubt_of_its_job_or_of_a_service_without_one() {
        let row = good();
        for end in 2..row.len() - 2 {
            let table = table(&[row[..end].to_owned()]);
            let (own, other) = (JobId::new("7"), JobId::new("8"));
            assert!(table.unread_for(id(ID), Some(&own)).is_some(), "{end}");
            assert!(table.unread_for(id(ID), None).is_some(), "{end}");
            assert_eq!(table.unread_for(id(OTHER), Some(&other)), None, "{end}");
            assert_eq!(table.unread_of(id(OTHER), &other), None, "{end}");
        }
        for line in ["", "7", "\n"] {
            let table = table(&[line.into()]);
            assert!(table.unread_for(id(OTHER), Some(&JobId::new("8"))).is_some(), "{line:?}");
            assert_eq!(table.unread_of(id(OTHER), &JobId::new("8")), None, "{line:?}");
        }
    }

    #[test]
    fn a_row_that_lost_its_beginning_is_its_services_doubt() {
        for (text, seen) in [(format!("{}\nR|web-{OTHER}|\n", good()), 1), (format!("R|web-{OTHER}|\n"), 0)] {
            let mut table = table(from_ref(&text));
            table.overhear(&text);
            assert_eq!(table.of(id(ID)).len(), seen, "{text:?}");
            assert!(table.unread_for(id(OTHER), None).is_some(), "{text:?}");
        }
    }

    #[test]
    fn a_row_that_took_the_end_of_another_for_its_own_is_a_cut_one() {
        for torn in ["", "7|", "7|R|", "7|R|we"] {
            let table = table(&[format!("{torn}\nx|R|web-{OTHER}|\n")]);
            assert!(table.unread_for(id(ID), None).is_some(), "{torn:?}");
            assert!(table.unread_for(id(ID), Some(&JobId::new("7"))).is_some(), "{torn:?}");
            assert!(table.unread_for(id(OTHER), Some(&JobId::new("8"))).is_some(), "{torn:?}");
        }
    }

    #[test]
    fn two_rows_in_one_are_neither() {
        let table = table(&[format!("7|R8|PD|web-{OTHER}|")]);
        assert!(table.of(id(OTHER)).is_empty());
        assert!(table.unread_for(id(OTHER), None).is_some());
        assert!(table.unread_for(id(ID), Some(&JobId::new("7"))).is_some());
    }

    #[test]
    fn a_row_that_cannot_be_read_harms_no_other() {
        let rows = [format!("6|R|web-{OTHER}"), good(), "8|".into(), format!("7|R|{ID}")];
        assert_eq!(table(&rows).of(id(ID)), [Pair(JobId::new("7"), "R".into())]);
    }

    #[test]
    fn a_hundred_thousand_jobs_are_all_found() {
        let id = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
        let rows: Vec<String> = (0..100_000).map(|n| format!("{}|R|web-{}|\n", n + 1, id(n))).collect();
        let table = table(&rows);
        let found =
            (0..100_000).filter(|&n| table.of(id(n).parse().unwrap())[0].0.as_str() == (n + 1).to_string());
        assert_eq!(found.count(), 100_000);
    }
}
