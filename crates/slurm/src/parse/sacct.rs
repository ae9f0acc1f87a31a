//! Lines of `sacct`.

use towline_core::id::JobId;

use super::table::Row;
use super::text::{epoch, told};

/// The fields of a line, for `sacct -o`. Slurm 20.11 knows them all; one unknown name would spoil the whole answer.
/// Under `-p` (and not `-P`) the last is followed by one separator more: a line without it was cut off.
pub(crate) const FIELDS: &str = "JobIDRaw,State,ExitCode,Submit,Start,NodeList,JobName";

/// One of the user's jobs, with a token in its name, as accounting has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountingRow {
    pub(crate) job: JobId,
    /// With what follows it, as in `CANCELLED by 1000`.
    pub(crate) word: String,
    /// `code:signal`.
    pub(crate) exit: String,
    /// UNIX time of the submission, or of the requeue that made this record.
    pub(crate) submitted: Option<i64>,
    pub(crate) start: Option<i64>,
    /// The first host where there are several is not told apart.
    pub(crate) host: Option<String>,
}

impl Row for AccountingRow {
    const FIELDS: usize = 6;

    fn read(job: JobId, fields: &[&str]) -> Option<Self> {
        let &[_, word, exit, submitted, start, host] = fields else { return None };
        Some(Self {
            job,
            word: word.to_owned(),
            exit: exit.to_owned(),
            submitted: epoch(submitted),
            start: epoch(start),
            host: told(host).map(str::to_owned),
        })
    }
}

/// Whether these words of `sacct` say that the cluster keeps no accounting at all, so that there is none to wait for.
pub(crate) fn is_disabled(words: &str) -> bool {
    words.contains("accounting storage is disabled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::table::Table;
    use crate::state::{Source, job_state};
    use crate::testing::{ID, capture, captures, record};

    fn good() -> String {
        let name = format!("web-{ID}");
        record(&["5", "NODE_FAIL", "1:0", "1795409419", "1795409420", "c2", &name])
    }

    fn row(text: &str) -> Option<AccountingRow> {
        let mut table = Table::default();
        table.add(text);
        table.of(ID.parse().unwrap()).first().cloned()
    }

    #[test]
    fn the_fields_are_as_many_as_are_read_and_the_name() {
        assert_eq!(FIELDS.split(',').count(), AccountingRow::FIELDS + 1);
        assert!(FIELDS.ends_with(",JobName"));
    }

    #[test]
    fn reads_an_ended_job() {
        let row = row(&good()).unwrap();
        assert_eq!((row.job.as_str(), row.word.as_str(), row.exit.as_str()), ("5", "NODE_FAIL", "1:0"));
        assert_eq!((row.submitted, row.start), (Some(1_795_409_419), Some(1_795_409_420)));
        assert_eq!(row.host.as_deref(), Some("c2"));
    }

    #[test]
    fn steps_arrays_and_strangers_are_no_rows_of_ours() {
        assert_eq!(row(&good().replacen('5', "5.batch", 1)), None);
        assert_eq!(row(&good().replacen('5', "5_2", 1)), None);
        assert_eq!(row(&good().replace(ID, "other")), None);
        assert_eq!(row("JobIDRaw|State"), None);
    }

    #[test]
    fn reads_every_captured_state() {
        let mut seen = 0;
        for file in captures(".sacct-long") {
            let text = capture(&file);
            let mut lines = text.lines();
            assert!(
                lines
                    .next()
                    .unwrap()
                    .starts_with("JobID|JobIDRaw|JobName|User|Account|Partition|State|ExitCode")
            );
            for line in lines.filter(|line| !line.contains("odd |") && !line.contains("batch|batch")) {
                let f: Vec<&str> = line.split('|').collect();
                // Steps of srun have a dot in their number and are no jobs.
                if f[1].contains('.') {
                    continue;
                }
                let name = format!("{}-{ID}", f[2]);
                let line = record(&[f[1], f[6], f[7], "Unknown", "Unknown", f[16], &name]);
                let row = row(&line).unwrap_or_else(|| panic!("{file}: {line}"));
                assert!(job_state(&row.word, Source::Accounting).is_some(), "{file}: {}", row.word);
                seen += 1;
            }
        }
        assert!(seen >= 20, "{seen}");
    }

    #[test]
    fn only_missing_accounting_is_disabled_accounting() {
        assert!(is_disabled("Slurm accounting storage is disabled"));
        assert!(!is_disabled(&capture("err.dbd-down.sacct.stderr")));
    }
}
