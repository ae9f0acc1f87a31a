//! Every word that Slurm has for a job's state, from 20.11 to 26.05.
//!
//! A job has one base state and any number of flags; `squeue` and `sacct` print one word, the first flag that is set
//! or else the base (`job_state_string` in Slurm's `src/common/slurm_protocol_defs.c`). The meanings are those of
//! `job_state_codes.shtml`.

use towline_core::job::{ExitStatus, JobEnd, JobState, Outcome};

/// Who said the word: some are final only in accounting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The controller's queue (`squeue`).
    Queue,
    /// The accounting database (`sacct`).
    Accounting,
}

/// What a word means for the one job that it is said of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Queued,
    Configuring,
    Running,
    Suspended,
    Leaving,
    Ended(Outcome),
}

impl Standing {
    /// The state of a job that stands so, and that ended (if it did) with `exit` and `reason`.
    pub(crate) fn state(self, exit: Option<ExitStatus>, reason: Option<String>) -> JobState {
        match self {
            Self::Queued => JobState::Queued,
            Self::Configuring => JobState::Configuring,
            Self::Running => JobState::Running,
            Self::Suspended => JobState::Suspended,
            Self::Leaving => JobState::Leaving,
            Self::Ended(outcome) => JobState::Ended(JobEnd { outcome, exit, reason }),
        }
    }
}

/// Reads a state as Slurm prints it: long or compact, or with something behind it as in `CANCELLED by 1000`.
/// `None` for a word that no Slurm up to 26.05 has.
///
/// ```
/// use towline_core::job::JobState;
/// use towline_slurm::state::{Source, job_state};
///
/// assert_eq!(job_state("COMPLETING", Source::Queue), Some(JobState::Leaving));
/// assert_eq!(job_state("HIBERNATING", Source::Queue), None);
/// ```
pub fn job_state(word: &str, source: Source) -> Option<JobState> {
    standing(word, source).map(|standing| standing.state(None, None))
}

pub(crate) fn standing(word: &str, source: Source) -> Option<Standing> {
    // sacct's column cut at its width ends in '+'.
    let first = word.split_whitespace().next()?.trim_end_matches('+');
    Some(match first {
        "PENDING" | "PD" | "REQUEUED" | "RQ" | "REQUEUE_FED" | "RF" | "REQUEUE_HOLD" | "RH"
        | "SPECIAL_EXIT" | "SE" | "RESV_DEL_HOLD" | "RD" | "EXPEDITING" => Standing::Queued,
        "CONFIGURING" | "CF" | "POWER_UP_NODE" => Standing::Configuring,
        "RUNNING" | "R" | "RESIZING" | "RS" | "SIGNALING" | "SI" => Standing::Running,
        "SUSPENDED" | "S" | "STOPPED" | "ST" => Standing::Suspended,
        // The last three are flags of jobs whose launch failed; they are requeued, held or ended next.
        "COMPLETING" | "CG" | "STAGE_OUT" | "SO" | "LAUNCH_FAILED" | "RECONFIG_FAIL" | "GETENV_FAILED" => {
            Standing::Leaving
        }
        // "May move to another state": requeued, suspended or gone, by the site's PreemptMode.
        "PREEMPTED" | "PR" if source == Source::Queue => Standing::Leaving,
        "PREEMPTED" | "PR" => Standing::Ended(Outcome::Preempted),
        "COMPLETED" | "CD" => Standing::Ended(Outcome::Completed),
        // REVOKED: in a federation, another cluster started its sibling.
        "CANCELLED" | "CA" | "REVOKED" | "RV" => Standing::Ended(Outcome::Cancelled),
        "FAILED" | "F" => Standing::Ended(Outcome::Failed),
        "TIMEOUT" | "TO" => Standing::Ended(Outcome::TimeLimit),
        "NODE_FAIL" | "NF" => Standing::Ended(Outcome::NodeFail),
        "BOOT_FAIL" | "BF" => Standing::Ended(Outcome::BootFail),
        "DEADLINE" | "DL" => Standing::Ended(Outcome::Deadline),
        // squeue's default column holds two letters of it.
        "OUT_OF_MEMORY" | "OOM" | "OO" => Standing::Ended(Outcome::OutOfMemory),
        _ => return None,
    })
}

/// Reads accounting's `code:signal`.
///
/// `0:0` of a job that did not end by itself, and the number that Slurm invents where a signal should stand for an
/// out-of-memory kill (125), tell nothing and give `None`.
pub(crate) fn exit_status(text: &str, outcome: Outcome) -> Option<ExitStatus> {
    let (code, signal) = text.split_once(':')?;
    let (code, signal) = (code.parse::<u8>().ok()?, signal.parse::<u8>().ok()?);
    let by_itself = matches!(outcome, Outcome::Completed | Outcome::Failed);
    match (code, signal) {
        (0, 0) if !by_itself => None,
        (code, 0) => Some(ExitStatus { code, signal: None }),
        (code, 1..=64) => Some(ExitStatus { code, signal: Some(signal) }),
        _ => None,
    }
}

/// What accounting says of an end, or what the job said of it itself if that is the same.
///
/// Of an exit code of 128 and more `sacct` prints what it exceeds 128 by, without a signal: `127:0` of 255 and `9:0` of 137
/// (seen on 22.05).
pub(crate) fn whole_exit(accounted: Option<ExitStatus>, own: Option<ExitStatus>) -> Option<ExitStatus> {
    let is_the_same = |accounted: ExitStatus, own: ExitStatus| {
        accounted.signal.is_none() && accounted.code.checked_add(128) == Some(own.code)
    };
    own.filter(|own| accounted.is_some_and(|accounted| is_the_same(accounted, *own))).or(accounted)
}

/// Who cancelled the job, from accounting's `CANCELLED by 1000`.
pub(crate) fn by_whom(word: &str) -> Option<String> {
    let uid = word.strip_prefix("CANCELLED by ")?;
    Some(format!("by user id {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Base states and flags of `slurm/slurm.h`, 20.11 to 26.05, with their compact forms.
    const WORDS: [(&str, &str, JobState); 20] = [
        ("PENDING", "PD", JobState::Queued),
        ("RUNNING", "R", JobState::Running),
        ("SUSPENDED", "S", JobState::Suspended),
        ("COMPLETED", "CD", ended(Outcome::Completed)),
        ("CANCELLED", "CA", ended(Outcome::Cancelled)),
        ("FAILED", "F", ended(Outcome::Failed)),
        ("TIMEOUT", "TO", ended(Outcome::TimeLimit)),
        ("NODE_FAIL", "NF", ended(Outcome::NodeFail)),
        ("BOOT_FAIL", "BF", ended(Outcome::BootFail)),
        ("DEADLINE", "DL", ended(Outcome::Deadline)),
        ("OUT_OF_MEMORY", "OOM", ended(Outcome::OutOfMemory)),
        ("COMPLETING", "CG", JobState::Leaving),
        ("STAGE_OUT", "SO", JobState::Leaving),
        ("CONFIGURING", "CF", JobState::Configuring),
        ("RESIZING", "RS", JobState::Running),
        ("REQUEUED", "RQ", JobState::Queued),
        ("REQUEUE_FED", "RF", JobState::Queued),
        ("REQUEUE_HOLD", "RH", JobState::Queued),
        ("SPECIAL_EXIT", "SE", JobState::Queued),
        ("STOPPED", "ST", JobState::Suspended),
    ];

    /// The rest of them.
    const MORE: [(&str, &str, JobState); 9] = [
        ("REVOKED", "RV", ended(Outcome::Cancelled)),
        ("RESV_DEL_HOLD", "RD", JobState::Queued),
        ("SIGNALING", "SI", JobState::Running),
        // These have no compact form.
        ("EXPEDITING", "EXPEDITING", JobState::Queued),
        ("POWER_UP_NODE", "POWER_UP_NODE", JobState::Configuring),
        ("LAUNCH_FAILED", "LAUNCH_FAILED", JobState::Leaving),
        ("RECONFIG_FAIL", "RECONFIG_FAIL", JobState::Leaving),
        ("GETENV_FAILED", "GETENV_FAILED", JobState::Leaving),
        // As squeue's default column shows it.
        ("OUT_OF_MEMORY", "OO", ended(Outcome::OutOfMemory)),
    ];

    const fn ended(outcome: Outcome) -> JobState {
        JobState::Ended(JobEnd { outcome, exit: None, reason: None })
    }

    #[test]
    fn every_word_of_every_slurm_is_known_in_both_forms() {
        for source in [Source::Queue, Source::Accounting] {
            for (long, compact, state) in WORDS.into_iter().chain(MORE) {
                assert_eq!(job_state(long, source), Some(state.clone()), "{long}");
                assert_eq!(job_state(compact, source), Some(state), "{compact}");
            }
        }
    }

    #[test]
    fn preemption_is_final_in_accounting_only() {
        for word in ["PREEMPTED", "PR"] {
            assert_eq!(job_state(word, Source::Queue), Some(JobState::Leaving));
            assert_eq!(job_state(word, Source::Accounting), Some(ended(Outcome::Preempted)));
        }
    }

    #[test]
    fn accounting_may_say_who_cancelled() {
        assert_eq!(job_state("CANCELLED by 2001", Source::Accounting), Some(ended(Outcome::Cancelled)));
        assert_eq!(job_state("CANCELLED+", Source::Accounting), Some(ended(Outcome::Cancelled)));
        assert_eq!(by_whom("CANCELLED by 2001").as_deref(), Some("by user id 2001"));
        assert_eq!(by_whom("CANCELLED"), None);
    }

    #[test]
    fn other_words_are_unknown() {
        for word in ["", " ", "running", "HIBERNATING", "RUNNINGX", "C", "+"] {
            assert_eq!(job_state(word, Source::Queue), None, "{word:?}");
        }
    }

    #[test]
    fn exit_codes_that_tell_nothing_are_left_out() {
        let exit = |code, signal| Some(ExitStatus { code, signal });
        assert_eq!(exit_status("3:0", Outcome::Failed), exit(3, None));
        assert_eq!(exit_status("0:11", Outcome::Failed), exit(0, Some(11)));
        assert_eq!(exit_status("0:0", Outcome::Completed), exit(0, None));
        assert_eq!(exit_status("0:0", Outcome::TimeLimit), None);
        assert_eq!(exit_status("0:125", Outcome::OutOfMemory), None);
        for bad in ["", ":", "3", "a:b", "300:0", "-1:0"] {
            assert_eq!(exit_status(bad, Outcome::Failed), None, "{bad}");
        }
    }

    #[test]
    fn a_code_that_accounting_cuts_is_the_job_s_own() {
        let exit = |code, signal| Some(ExitStatus { code, signal });
        assert_eq!(whole_exit(exit(127, None), exit(255, None)), exit(255, None));
        assert_eq!(whole_exit(exit(11, None), exit(139, Some(11))), exit(139, Some(11)));
        for other in [exit(127, None), exit(4, None), None] {
            assert_eq!(whole_exit(exit(127, None), other), exit(127, None), "it says something else");
        }
        assert_eq!(
            whole_exit(exit(0, Some(9)), exit(128, None)),
            exit(0, Some(9)),
            "it was the scheduler's signal"
        );
        assert_eq!(whole_exit(None, exit(255, None)), None);
    }
}
