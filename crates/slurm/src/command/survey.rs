//! The survey: queue, records and accounting of any number of services in one remote command.

use std::collections::{BTreeMap, BTreeSet};

use towline_core::id::{JobId, ServiceId};
use towline_core::ports::{ShellOutput, Subject, SurveyError};
use towline_core::time::Timestamp;

use crate::error::ClusterError;
use crate::frame::{self, MARK, PRELUDE, UNIT, split_line};
use crate::home::Home;
use crate::parse::records::{Records, records};
use crate::parse::sacct::{self, AccountingRow};
use crate::parse::squeue::{self, QueueRow};
use crate::parse::table::Table;
use crate::parse::text::{is_number, service};

/// Clocks of this machine and the cluster may differ by this much, in seconds.
pub(crate) const SLACK: i64 = 600;

/// What one survey brought back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// When the queue answered, by the cluster's clock.
    pub(crate) at: Option<Timestamp>,
    pub(crate) queue: Table<QueueRow>,
    pub(crate) accounting: Accounting,
    pub(crate) records: BTreeMap<ServiceId, Records>,
}

/// What accounting said about the jobs that it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Accounting {
    /// Those whose jobs it was asked for, or would have been if the cluster kept any.
    pub(crate) asked: BTreeSet<ServiceId>,
    pub(crate) rows: Table<AccountingRow>,
    /// Why it could not answer in full.
    pub(crate) problem: Option<String>,
}

/// The queue, then accounting for those jobs alone that it misses or calls failed, then the records, but not
/// those of jobs that wait in the queue: what an earlier run has left counts no more.
///
/// Whom accounting is asked for is said as well: the shell's view of the queue and ours must not differ unseen.
/// A job without a known id is looked for by its token among what the user submitted since it was asked for.
/// Listing a directory before its files are opened makes a network file system look again.
const TEXT: &str = r#"command -v squeue >/dev/null 2>&1 || { say n; finish; }
export LC_ALL=C SLURM_TIME_FORMAT=%s
section squeue
# step: queue not asked
queue=$(bounded "$seconds" squeue --me -t all -h -o "$format")
code=$?
# step: queue read
say "q$code"
say "t$(date +%s)"
[ "$code" -eq 0 ] || finish
printf '%s\n' "$queue"
wanted=$(printf '%s\n' "$subjects" -- "$queue" | awk -F "$unit" -v row="${mark}Q" '
  $0 == "--" && !jobs { jobs = 1; next }
  !jobs { split($0, field, " "); id[field[1]] = field[2]; since[field[1]] = field[3]; next }
  NF != 10 || substr($1, 1, 2) != row { next }
  { token = substr($9, length($9) - 35) }
  !(token in id) { next }
  { known[token] = 1 }
  $2 != "PENDING" { begun[token] = 1 }
  $2 == "FAILED" { failed[token] = substr($1, 3); next }
  { seen[token] = 1 }
  END {
    for (token in id) {
      if (!(token in known) || token in begun) print token
      if (!(token in seen)) print token ":" ((token in failed) ? failed[token] : id[token]) ":" since[token]
    }
  }')
ids=
lost=
first=
set -f
for job in $wanted; do
  case $job in *:*) ;; *) continue ;; esac
  token=${job%%:*} id=${job#*:}
  since=${id#*:} id=${id%:*}
  say "w$token"
  if [ "$id" = - ] && [ -s "$services/$token/job.id" ]; then read -r id <"$services/$token/job.id"; fi
  case $id in
    '' | *[!0-9]*)
      lost="$lost -e /$token/s/^/${mark}A/p"
      if [ -z "$first" ] || [ "$since" -lt "$first" ]; then first=$since; fi ;;
    *) ids=$ids,$id ;;
  esac
done
set +f
accounting() {
  section sacct
  rows=$(bounded "$seconds" sacct -X -D -n -p --delimiter="$unit" -u "$(id -u)" -o "$fields" "$@")
  say "a$?"
}
told() { [ -z "$rows" ] || printf '%s\n' "$rows" | sed -n "$@" || say "a$?"; }
if [ -n "$ids$lost" ] && command -v sacct >/dev/null 2>&1; then
  if [ -n "$ids" ]; then
    accounting -j "${ids#,}"
    told -e "s/^/${mark}A/p"
  fi
  if [ -n "$lost" ]; then
    age=$(($(date +%s) - first + slack))
    [ "$age" -gt "$slack" ] || age=$slack
    accounting -S "now-${age}seconds"
    told $lost
  fi
fi
say r
if cd "$services" 2>/dev/null; then
  for token in $wanted; do
    case $token in *:*) ;; *) printf '%s\n' "$token"/*.json ;; esac
  done | xargs grep -s '' /dev/null
fi
finish
"#;

/// The text of the remote command; `seconds` is what `squeue` and `sacct` are given, each.
pub(crate) fn script(subjects: &[Subject], home: &Home, seconds: u64) -> String {
    let lines: Vec<String> = subjects.iter().map(line).collect();
    format!(
        "{PRELUDE}services={home}/services\nseconds={seconds}\nslack={SLACK}\nfields={fields}\n\
         mark='{MARK}'\nunit='{UNIT}'\nformat='{QUEUE_ROW}{format}'\n\
         subjects='{lines}'\n{TEXT}",
        home = home.word(),
        format = squeue::FORMAT.replace('|', &UNIT.to_string()),
        fields = sacct::FIELDS,
        lines = lines.join("\n"),
    )
}

/// Token, job id or `-`, and UNIX time of the request.
fn line(subject: &Subject) -> String {
    let id = subject.job.as_ref().map(JobId::as_str).filter(|id| is_number(id)).unwrap_or("-");
    let since = subject.created_at.as_micros().div_euclid(1_000_000).max(0);
    format!("{} {id} {since}", subject.id)
}

/// Reads the answer of [`script`]. What it says of the queue is believed as it comes first, since a job's name may look
/// like any line of ours.
pub(crate) fn read(output: &ShellOutput) -> Result<Answer, SurveyError> {
    let garbled = |problem: String| SurveyError::Garbled { problem };
    let all = frame::records(output).ok_or_else(|| garbled(frame::incomplete(output)))?;
    let first = all.iter().position(|(letter, _)| matches!(letter, 'n' | 'q'));
    let (before, after) = all.split_at(first.map_or(0, |first| first + 1));
    let mut answer = Answer::default();
    match before.last().map(|(letter, rest)| (letter, split_line(rest))) {
        Some(('q', ("0", more))) => answer.queue.overhear(more),
        Some(('q', (code, _))) => {
            return Err(SurveyError::Scheduler { words: failure("squeue", code, output) });
        }
        Some(_) => {
            return Err(SurveyError::Unreachable(Box::new(ClusterError::NoSlurm { command: "squeue" })));
        }
        None => return Err(garbled("it says nothing of the queue".to_owned())),
    }
    let files = after.iter().rposition(|(letter, _)| *letter == 'r');
    let files = files.ok_or_else(|| garbled("it says nothing of the jobs' records".to_owned()))?;
    after[..files].iter().for_each(|(letter, rest)| answer.take(*letter, rest, output));
    answer.records = records(after[files].1.lines());
    Ok(answer)
}

/// What begins a row. One that lost the end of its line still begins in the middle of another.
const QUEUE_ROW: &str = "\u{1e}Q";
const ACCOUNTING_ROW: &str = "\u{1e}A";

impl Answer {
    /// Takes in one of our lines and what follows it.
    fn take(&mut self, letter: char, text: &str, output: &ShellOutput) {
        if letter == 'A' {
            return text.split(ACCOUNTING_ROW).for_each(|row| self.accounting.rows.add(row));
        }
        let mut pieces = text.split(QUEUE_ROW);
        let (line, more) = split_line(pieces.next().unwrap_or_default());
        match letter {
            'Q' => return text.split(QUEUE_ROW).for_each(|row| self.queue.add(row)),
            't' if self.at.is_none() => self.at = line.parse().ok().map(Timestamp::from_secs),
            'w' => self.accounting.asked.extend(service(line)),
            'a' => self.accounting.ended(line, output),
            _ => self.queue.overhear(line),
        }
        self.queue.overhear(more);
        pieces.for_each(|row| self.queue.add(row));
    }
}

impl Accounting {
    /// Takes in how one question to it ended, by its exit code.
    fn ended(&mut self, code: &str, output: &ShellOutput) {
        if code == "0" {
            return;
        }
        let words = failure("sacct", code, output);
        // A cluster without accounting has nothing more to say than its queue.
        if !sacct::is_disabled(&words) {
            self.problem = Some(words);
        }
    }
}

/// The words of a command that failed, or what its exit code tells.
pub(super) fn failure(command: &str, code: &str, output: &ShellOutput) -> String {
    let words = frame::words(output, command);
    match (words.is_empty(), code) {
        (true, "124" | "137") => format!("{command} did not answer in time"),
        (true, _) => format!("{command} failed with exit code {code}"),
        (false, _) => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ID, capture, record};

    fn output(stdout: &str, stderr: &str) -> ShellOutput {
        ShellOutput { stdout: stdout.into(), stderr: stderr.into(), code: 0 }
    }

    fn queue_line(job: &str) -> String {
        let name = format!("web-{ID}");
        let fields = [job, "RUNNING", "c2", "None", "1795409830", "1:27", "58:33", "1795409829", &name];
        format!("\u{1e}Q{}\n", record(&fields))
    }

    fn jobs(answer: &Answer) -> Vec<&str> {
        answer.queue.of(ID.parse().unwrap()).iter().map(|row| row.job.as_str()).collect()
    }

    #[test]
    fn a_line_that_cannot_be_read_harms_no_other() {
        let row = queue_line("7");
        for broken in
            ["\u{1e}Qbroken\n", "\u{1e}Q", "\u{1e}Q12\u{1f}RUNN", "\u{1e}\n", "CLUSTER: b\n", "\n\n"]
        {
            let stdout = format!("motd\n\u{1e}q0\n{broken}{row}noise\n{broken}\n\u{1e}r\n\u{1e}.\n");
            assert_eq!(jobs(&read(&output(&stdout, "")).unwrap()), ["7"], "{broken:?}");
        }
    }

    #[test]
    fn a_name_that_looks_like_our_lines_changes_nothing_before_it() {
        let row = queue_line("7");
        for name in ["q1", "n", "t99", "r", ".", "a0"] {
            let odd =
                record(&["9", "RUNNING", "c2", "None", "1", "1", "1", "1", &format!("x\n\u{1e}{name}\ny")]);
            let stdout = format!("\u{1e}q0\n\u{1e}t50\n\u{1e}Q{odd}\n{row}\u{1e}r\n\u{1e}.\n");
            let answer = read(&output(&stdout, "")).unwrap();
            assert_eq!((jobs(&answer), answer.at), (vec!["7"], Some(Timestamp::from_secs(50))), "{name}");
        }
    }

    #[test]
    fn a_job_named_like_a_record_leaves_none() {
        let name = format!("x\n{ID}/exit.json:{{}}");
        let odd = record(&["9", "RUNNING", "c2", "None", "1", "1", "1", "1", &name]);
        let stdout = format!("\u{1e}q0\n\u{1e}Q{odd}\n\u{1e}r\n\u{1e}.\n");
        assert!(read(&output(&stdout, "")).unwrap().records.is_empty());
    }

    #[test]
    fn a_queue_that_failed_is_no_empty_queue() {
        let stderr = format!("\u{1e}squeue\n{}", capture("err.ctld-down.squeue.stderr"));
        match read(&output("\u{1e}q1\n\u{1e}.\n", &stderr)) {
            Err(SurveyError::Scheduler { words }) => {
                assert_eq!(
                    words,
                    "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
                );
            }
            other => panic!("{other:?}"),
        }
        match read(&output("\u{1e}q124\n\u{1e}.\n", "")) {
            Err(SurveyError::Scheduler { words }) => assert_eq!(words, "squeue did not answer in time"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_cut_short_is_none() {
        let whole = format!("\n\u{1e}q0\n{}\u{1e}r\n\u{1e}.\n", queue_line("7"));
        assert!(read(&output(&whole, "")).is_ok());
        for cut in 0..whole.len() - 2 {
            assert!(matches!(read(&output(&whole[..cut], "")), Err(SurveyError::Garbled { .. })), "{cut}");
        }
        for part in ["\u{1e}.\n", "\u{1e}q0\n\u{1e}.\n", "\u{1e}r\n\u{1e}.\n"] {
            assert!(matches!(read(&output(part, "")), Err(SurveyError::Garbled { .. })), "{part:?}");
        }
    }

    #[test]
    fn accounting_may_be_down_or_not_exist() {
        let down = format!("\u{1e}sacct\n{}", capture("err.dbd-down.sacct.stderr"));
        let answer = read(&output("\u{1e}q0\n\u{1e}a1\n\u{1e}r\n\u{1e}.\n", &down)).unwrap();
        assert!(answer.accounting.problem.unwrap().contains("Problem talking to the database"));
        let none = "\u{1e}sacct\nSlurm accounting storage is disabled\n";
        let answer = read(&output("\u{1e}q0\n\u{1e}a1\n\u{1e}r\n\u{1e}.\n", none)).unwrap();
        assert_eq!(answer.accounting.problem, None);
    }

    #[test]
    fn nothing_but_ids_and_numbers_gets_into_the_script() {
        for job in ["7'; id; '", "", "7_1"] {
            let subject = Subject {
                id: ID.parse().unwrap(),
                job: Some(JobId::new(job)),
                created_at: Timestamp::from_secs(-5),
            };
            let text = script(&[subject], &Home::default(), 15);
            assert!(text.contains(&format!("subjects='{ID} - 0'")), "{text}");
        }
    }
}
