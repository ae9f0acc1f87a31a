//! Lines of `squeue`.

use std::time::Duration;

use towline_core::id::JobId;
use towline_core::walltime::clock;

use super::table::Row;
use super::text::{epoch, told};

/// The format of a line, as `squeue -o` takes it, with `|` where the unit separator belongs.
///
/// Job, state, batch host, reason, start, time used, time left, submission; the name stands last, as it may hold
/// anything, and is ended by one separator more: a line without it was cut off. The letters mean the same in every
/// Slurm from 20.11 to 26.05.
pub(crate) const FORMAT: &str = "%A|%T|%B|%r|%S|%M|%L|%V|%j|";

/// One of the user's jobs, with a token in its name, as the queue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueRow {
    pub(crate) job: JobId,
    pub(crate) word: String,
    pub(crate) host: Option<String>,
    pub(crate) reason: Option<String>,
    /// UNIX time; of a waiting job only expected.
    pub(crate) start: Option<i64>,
    pub(crate) used: Option<Duration>,
    /// `Some` of a job with a time limit.
    pub(crate) left: Option<Duration>,
    pub(crate) submitted: Option<i64>,
}

impl Row for QueueRow {
    const FIELDS: usize = 8;

    fn read(job: JobId, fields: &[&str]) -> Option<Self> {
        let &[_, word, host, reason, start, used, left, submitted] = fields else { return None };
        Some(Self {
            job,
            word: word.to_owned(),
            host: told(host).map(str::to_owned),
            reason: told(reason).map(str::to_owned),
            start: epoch(start),
            used: clock(used),
            left: time_left(left),
            submitted: epoch(submitted),
        })
    }
}

/// `INVALID` is printed once the limit is over, before Slurm enforces it.
fn time_left(text: &str) -> Option<Duration> {
    if text == "INVALID" { Some(Duration::ZERO) } else { clock(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::table::Table;
    use crate::state::{Source, job_state};
    use crate::testing::{ID, capture, captures, record};

    fn good() -> String {
        let name = format!("web-{ID}");
        record(&["7", "RUNNING", "c2", "None", "1795409830", "1:27", "58:33", "1795409829", &name])
    }

    fn row(text: &str) -> Option<QueueRow> {
        let mut table = Table::default();
        table.add(text);
        table.of(ID.parse().unwrap()).first().cloned()
    }

    #[test]
    fn the_format_is_as_many_fields_as_are_read_and_the_name() {
        assert_eq!(FORMAT.matches('|').count(), QueueRow::FIELDS + 1);
        assert!(FORMAT.ends_with("%j|"));
    }

    #[test]
    fn reads_a_running_job() {
        let row = row(&good()).unwrap();
        assert_eq!((row.job.as_str(), row.word.as_str()), ("7", "RUNNING"));
        assert_eq!((row.host.as_deref(), row.reason), (Some("c2"), None));
        assert_eq!((row.start, row.submitted), (Some(1_795_409_830), Some(1_795_409_829)));
        assert_eq!(row.used, Some(Duration::from_secs(87)));
        assert_eq!(row.left, Some(Duration::from_secs(58 * 60 + 33)));
    }

    #[test]
    fn no_limit_is_no_time_left_and_a_passed_one_is_zero() {
        let left = |text: &str| row(&good().replace("58:33", text)).unwrap().left;
        assert_eq!(left("UNLIMITED"), None);
        assert_eq!(left("NOT_SET"), None);
        assert_eq!(left("INVALID"), Some(Duration::ZERO));
        assert_eq!(left("1-00:00:01"), Some(Duration::from_secs(86_401)));
    }

    /// The captures' own format: their `|` was the separator, so that only lines without one in a name are told apart.
    fn captured(text: &str) -> String {
        let f: Vec<&str> = text.split('|').collect();
        let name = format!("{}-{ID}", f[3]);
        record(&[f[1], f[7], f[12], f[9], "N/A", f[13], f[15], "N/A", &name])
    }

    #[test]
    fn reads_every_captured_state() {
        let mut seen = 0;
        for file in captures(".squeue-long") {
            for text in capture(&file).lines().filter(|text| !text.contains("odd |")) {
                let row = row(&captured(text)).unwrap_or_else(|| panic!("{file}: {text}"));
                let state = job_state(&row.word, Source::Queue);
                assert!(state.is_some(), "{file}: {}", row.word);
                seen += 1;
            }
        }
        assert!(seen >= 20, "{seen}");
    }

    #[test]
    fn a_reason_may_hold_commas_and_spaces() {
        let text = capture("PENDING-node-down.squeue-long");
        let row = row(&captured(text.trim_end())).unwrap();
        assert_eq!(row.reason.as_deref(), Some("ReqNodeNotAvail, UnavailableNodes:c2"));
        assert_eq!(row.host, None);
    }
}
