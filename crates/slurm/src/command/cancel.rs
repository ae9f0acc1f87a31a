//! Cancel: `scancel`, once the job has shown by its name that it is the service's own.

use towline_core::id::{JobId, ServiceId};
use towline_core::ports::{CancelError, ShellOutput};

use crate::error::ClusterError;
use crate::frame::{self, PRELUDE};

/// Job ids are used again, so that an old one may be another job's by now. A job that the controller does not know
/// has ended; plain `scancel ID` of an ended job is done at once, by its exit code 0.
const TEXT: &str = r#"command -v scancel >/dev/null 2>&1 || { say n; finish; }
export LC_ALL=C
section squeue
name=$(bounded "$seconds" squeue -h -t all -j "$job" -o %j)
code=$?
if [ "$code" -ne 0 ]; then say "q$code"; finish; fi
case $name in
  *"$token"*) ;;
  *) say o; finish ;;
esac
section scancel
# step: job is ours
bounded "$seconds" scancel "$job"
code=$?
# step: cancel sent
say "c$code"
finish
"#;

/// The text of the remote command; `seconds` is what each command of Slurm is given. `None` if that is no job of
/// Slurm's.
pub(crate) fn script(id: ServiceId, job: &JobId, seconds: u64) -> Option<String> {
    let number = job.as_str();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(format!("{PRELUDE}job={number}\ntoken={id}\nseconds={seconds}\n{TEXT}"))
}

/// Reads the answer of [`script`].
pub(crate) fn read(job: &JobId, output: &ShellOutput) -> Result<(), CancelError> {
    const UNKNOWN: &str = "Invalid job id specified";
    let unreachable = |source| CancelError::Unreachable { job: job.clone(), source: Box::new(source) };
    let Some(lines) = frame::lines(output) else {
        return Err(unreachable(ClusterError::Garbled { problem: frame::incomplete(output) }));
    };
    let refused = |command: &str, code: &str| {
        let mut words = frame::words(output, command);
        if words.is_empty() {
            words = format!("{command} failed with exit code {code}");
        }
        words
    };
    match lines.last().map(|(letter, rest)| (*letter, rest.as_str())) {
        // The job is gone, or its id is another job's now.
        Some(('o', _) | ('c', "0")) => Ok(()),
        Some(('n', _)) => Err(unreachable(ClusterError::NoSlurm { command: "scancel" })),
        Some(('q', code)) => match refused("squeue", code) {
            words if words.contains(UNKNOWN) => Ok(()),
            words => Err(unreachable(ClusterError::Controller { words })),
        },
        Some(('c', code)) => match refused("scancel", code) {
            words if words.contains(UNKNOWN) || words.contains("already completing or completed") => Ok(()),
            words if words.contains("Unable to contact") || words.contains("timed out") => {
                Err(unreachable(ClusterError::Unknown { words }))
            }
            words => Err(CancelError::Refused { job: job.clone(), words }),
        },
        _ => {
            let problem = "it says nothing of the job".to_owned();
            Err(unreachable(ClusterError::Garbled { problem }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ID, capture};

    fn answer(stdout: &str, section: &str, words: &str) -> Result<(), CancelError> {
        let stderr = format!("motd\n\u{1e}{section}\n{words}").into();
        read(&JobId::new("7"), &ShellOutput { stdout: stdout.into(), stderr, code: 0 })
    }

    #[test]
    fn an_unknown_or_foreign_job_is_cancelled_already() {
        assert!(answer("\u{1e}o\n\u{1e}.\n", "squeue", "").is_ok());
        let words = capture("err.unknown-job.squeue.stderr");
        assert!(answer("\u{1e}q1\n\u{1e}.\n", "squeue", &words).is_ok());
        assert!(answer("\u{1e}c0\n\u{1e}.\n", "scancel", "").is_ok());
    }

    #[test]
    fn a_controller_that_is_down_has_not_heard_it() {
        for (letter, name) in [("q1", "squeue"), ("c8", "scancel")] {
            let words = capture(&format!("err.ctld-down.{name}.stderr"));
            let error = answer(&format!("\u{1e}{letter}\n\u{1e}.\n"), name, &words).unwrap_err();
            assert!(matches!(error, CancelError::Unreachable { .. }), "{error:?}");
        }
        assert!(matches!(answer("", "", ""), Err(CancelError::Unreachable { .. })));
        assert!(matches!(answer("\u{1e}.\n", "", ""), Err(CancelError::Unreachable { .. })));
    }

    #[test]
    fn a_refusal_is_in_slurms_words() {
        let words = capture("err.other-users-job.scancel.stderr");
        match answer("\u{1e}c210\n\u{1e}.\n", "scancel", &words) {
            Err(CancelError::Refused { words, .. }) => {
                assert_eq!(words, "Kill job error on job id 301: Access/permission denied");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_number_is_a_job_of_slurms() {
        let id = ID.parse().unwrap();
        assert!(script(id, &JobId::new("7"), 1).is_some());
        for bad in ["", "7_1", "7; id", "-u bob", "1234-5678"] {
            assert!(script(id, &JobId::new(bad), 1).is_none(), "{bad}");
        }
    }
}
