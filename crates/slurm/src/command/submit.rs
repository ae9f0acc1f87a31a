//! Submission: files and `sbatch` in one remote command.
//!
//! Asked twice, it submits once: the job's id is kept beside the script, and a trace of an attempt whose answer was
//! never kept makes the next one look for the job in the queue first.

use towline_core::id::{JobId, ServiceId};
use towline_core::ports::{ShellOutput, SubmitError};

use crate::error::ClusterError;
use crate::frame::{self, PRELUDE, here_document};
use crate::home::Home;

/// Before anything is written: the job's id if it is kept, or what an earlier attempt left.
///
/// The file mode mask is restored before `sbatch` is run, which hands it on to the job. A lost connection must not
/// end the script between `sbatch` and the keeping of its answer, hence the trap. The file `submitting` is made by
/// one attempt only (`set -C`) and holds a word once that is over.
const FIRST: &str = r#"command -v sbatch >/dev/null 2>&1 || { say n; finish; }
trap '' HUP PIPE
mask=$(umask)
umask 077
begin() { printf '' 2>/dev/null >"$dir/submitting"; }
over() { printf 'over\n' 2>/dev/null >"$dir/submitting"; }
unwritable() { over || rm -f "$dir/submitting"; say h; finish; }
accepted() {
  # step: job accepted
  printf '%s\n' "$1" >"$dir/job.id.new" && mv -f "$dir/job.id.new" "$dir/job.id"
  # step: id kept
  say "j$1"
  finish
}
put() {
  cat >"$dir/$1.new" && mv -f "$dir/$1.new" "$dir/$1" || unwritable
}
section home
# step: nothing made
[ -d "$dir" ] || mkdir -p "$dir" || unwritable
# step: directory made
if [ -s "$dir/job.id" ]; then
  read -r job <"$dir/job.id"
  say "j$job"
  finish
fi
set -C
if begin; then
  set +C
elif [ ! -e "$dir/submitting" ]; then
  set +C
  touch "$dir/submitting"
  unwritable
else
  # An earlier attempt: it may be at work yet, or its job may be in the queue.
  set +C
  if [ ! -s "$dir/submitting" ] && [ -z "$(find "$dir/submitting" -mmin +2)" ]; then
    say b
    finish
  fi
  begin
  section queue
  queue=$(bounded 15 squeue --me -h -t all -o '%A %j') || { over; say u; finish; }
  job=$(printf '%s\n' "$queue" | awk -v token="$token" 'index($2, token) { print $1; exit }') ||
    { over; say u; finish; }
  [ -z "$job" ] || accepted "$job"
  section home
fi
"#;

/// `sbatch` itself. What its plugins print comes before the id; `--parsable` prints `id` or `id;cluster`.
const LAST: &str = r#"# step: files written
section sbatch
umask "$mask"
cd
answer=$(bounded "$seconds" sbatch --parsable --chdir="$dir" "$dir/job.sh")
code=$?
umask 077
job=${answer##*"$newline"}
job=${job%%;*}
case $job in
  '' | *[!0-9]*) ;;
  *) [ "$code" -ne 0 ] || accepted "$job" ;;
esac
over
say "r$code"
finish
"#;

/// The text of the remote command; `seconds` is what `sbatch` is given.
pub(crate) fn script(id: ServiceId, home: &Home, job_sh: &str, env: &str, seconds: u64) -> String {
    format!(
        "{PRELUDE}dir={dir}\ntoken={id}\nseconds={seconds}\n{FIRST}put job.sh {job_sh}put env {env}{LAST}",
        dir = home.service_word(id),
        job_sh = here_document(job_sh),
        env = here_document(env),
    )
}

/// Reads the answer of [`script`].
pub(crate) fn read(output: &ShellOutput, home: &Home) -> Result<JobId, SubmitError> {
    let Some(lines) = frame::lines(output) else {
        let problem = frame::incomplete(output);
        return Err(SubmitError::Unclear(Box::new(ClusterError::Garbled { problem })));
    };
    let Some((letter, rest)) = lines.last() else {
        let problem = "it says nothing of the job".to_owned();
        return Err(SubmitError::Unclear(Box::new(ClusterError::Garbled { problem })));
    };
    match letter {
        'j' => accepted(rest),
        'n' => Err(SubmitError::NotSent(Box::new(ClusterError::NoSlurm { command: "sbatch" }))),
        'h' => {
            let words = or_silence(frame::words(output, "home"));
            Err(SubmitError::NotSent(Box::new(ClusterError::Home { home: home.to_string(), words })))
        }
        'b' => Err(SubmitError::Unclear(Box::new(ClusterError::Busy))),
        'u' => {
            let words = or_silence(frame::words(output, "queue"));
            Err(SubmitError::Unclear(Box::new(ClusterError::Unknown { words })))
        }
        _ => Err(refusal(rest.parse().unwrap_or(-1), or_silence(frame::words(output, "sbatch")))),
    }
}

fn accepted(id: &str) -> Result<JobId, SubmitError> {
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(JobId::new(id));
    }
    let problem = format!("{id:?} is no job id");
    Err(SubmitError::Unclear(Box::new(ClusterError::Garbled { problem })))
}

/// What stands in the place of words that were not said.
const SILENCE: &str = "it gave no reason";

fn or_silence(words: String) -> String {
    if words.is_empty() { SILENCE.to_owned() } else { words }
}

/// What `sbatch` means that gave no id; the texts are those of Slurm's `src/common/slurm_errno.c`.
fn refusal(code: i32, words: String) -> SubmitError {
    /// The request did not get through, or was turned away for now: there is no job, and it can be sent again.
    const NOT_HEARD: [&str; 7] = [
        "(connect failure)",
        "Rate limit exceeded",
        "temporarily unable to accept job",
        "Resource temporarily unavailable",
        "backup controller in standby mode",
        "failed to fetch config",
        "Could not establish a configuration source",
    ];
    /// The request may have been heard.
    const LOST: [&str; 6] = [
        "Unable to contact slurm controller",
        "Socket timed out",
        "Zero Bytes were transmitted or received",
        "Unexpected message received",
        "Transport endpoint is not connected",
        "Connection reset by peer",
    ];
    /// A shell's codes for a command that cannot be run.
    const NO_COMMAND: [i32; 2] = [126, 127];
    /// What a shell makes of an exit code of -1.
    const MISUSED: i32 = 255;
    let says = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    if NO_COMMAND.contains(&code) {
        return SubmitError::NotSent(Box::new(ClusterError::NoSlurm { command: "sbatch" }));
    }
    if says(&LOST) && !words.contains(NOT_HEARD[0]) {
        return SubmitError::Unclear(Box::new(ClusterError::Unknown { words }));
    }
    if says(&NOT_HEARD) {
        return SubmitError::NotSent(Box::new(ClusterError::Controller { words }));
    }
    // sbatch ends with -1 over an option that it does not understand, before it asks anybody.
    if code == MISUSED && words != SILENCE {
        return SubmitError::Refused { words };
    }
    // 124 is timeout's code; from 128 on a signal ended it; 0 came without an id.
    if code == 0 || code == 124 || !(0..128).contains(&code) {
        return SubmitError::Unclear(Box::new(ClusterError::Unknown { words }));
    }
    SubmitError::Refused { words }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::testing::capture;

    fn answer(stdout: &str, stderr: &str) -> Result<JobId, SubmitError> {
        let output = ShellOutput { stdout: stdout.into(), stderr: stderr.into(), code: 0 };
        read(&output, &Home::default())
    }

    fn failed(code: i32, words: &str) -> SubmitError {
        answer(&format!("\n\u{1e}r{code}\n\u{1e}.\n"), &format!("\u{1e}sbatch\n{words}\n")).unwrap_err()
    }

    #[test]
    fn an_id_is_an_accepted_job() {
        assert_eq!(answer("noise\n\u{1e}j4711\n\u{1e}.\n", "warning\n").unwrap(), JobId::new("4711"));
    }

    #[test]
    fn the_captured_refusals_are_refusals_in_slurms_words() {
        let refused = |name: &str| match failed(1, &capture(name)) {
            SubmitError::Refused { words } => words,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(
            refused("err.bad-partition.stderr"),
            "invalid partition specified: nope; Invalid partition name specified"
        );
        assert_eq!(
            refused("err.bad-account.stderr"),
            "Invalid account or account/partition combination specified"
        );
        assert_eq!(refused("err.too-many-gpus.stderr"), "Requested node configuration is not available");
    }

    #[test]
    fn an_option_that_sbatch_does_not_understand_is_refused() {
        for (words, told) in [
            (
                "sbatch: unrecognized option '--nosuch'\nTry \"sbatch --help\" for more information",
                "unrecognized option '--nosuch'",
            ),
            (
                "Invalid time specification (pos=0): foo\nsbatch: error: Invalid --begin specification",
                "Invalid --begin specification",
            ),
        ] {
            let error = failed(255, words);
            assert!(
                matches!(&error, SubmitError::Refused { words } if words.contains(told)),
                "{words}: {error:?}"
            );
        }
    }

    #[test]
    fn a_controller_that_is_down_has_heard_nothing() {
        let error = failed(1, &capture("err.ctld-down.sbatch.stderr"));
        assert!(matches!(error, SubmitError::NotSent(_)), "{error:?}");
        assert!(error.source().unwrap().to_string().contains("connect failure"));
    }

    #[test]
    fn a_slurm_without_configuration_has_heard_nothing() {
        for words in [
            "sbatch: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host\nsbatch: error: fetch_config: DNS SRV lookup failed\nsbatch: error: _establish_config_source: failed to fetch config",
            "sbatch: fatal: Could not establish a configuration source",
        ] {
            assert!(matches!(failed(1, words), SubmitError::NotSent(_)), "{words}");
        }
    }

    #[test]
    fn a_doubtful_answer_is_unclear() {
        for (code, words) in [
            (1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"),
            (1, "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received"),
            (
                1,
                "sbatch: error: Batch job submission failed: Unable to contact slurm controller (receive failure)",
            ),
            (
                1,
                "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\nsbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
            ),
            (124, ""),
            (137, ""),
            (137, "sbatch: error: some words"),
            (255, ""),
            (255, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"),
            (0, ""),
        ] {
            let error = failed(code, words);
            assert!(matches!(error, SubmitError::Unclear(_)), "{code} {words}: {error:?}");
        }
        for cut in ["", "\u{1e}j47", "\u{1e}.\n", "\u{1e}jx\n\u{1e}.\n", "garbage\n"] {
            assert!(matches!(answer(cut, ""), Err(SubmitError::Unclear(_))), "{cut:?}");
        }
    }

    #[test]
    fn no_slurm_and_no_home_are_told_apart() {
        let source = |error: SubmitError| match error {
            SubmitError::NotSent(source) => *source.downcast::<ClusterError>().unwrap(),
            other => panic!("{other:?}"),
        };
        let no_slurm = source(answer("\u{1e}n\n\u{1e}.\n", "").unwrap_err());
        assert!(matches!(no_slurm, ClusterError::NoSlurm { command: "sbatch" }));
        let stderr = "\u{1e}home\nmkdir: cannot create directory '/x': Permission denied\n";
        let home = source(answer("\u{1e}h\n\u{1e}.\n", stderr).unwrap_err());
        assert!(home.to_string().ends_with("Permission denied"), "{home}");
        assert!(matches!(source(failed(127, "sbatch: not found")), ClusterError::NoSlurm { .. }));
    }
}
