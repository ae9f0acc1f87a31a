//! What each end means.

use std::fmt::Write as _;

use towline_core::job::{JobEnd, Outcome};
use towline_core::lifecycle::{Cause, EndStatus, Status};

use crate::cases::GRACE;

/// Every cause of an end, with the status in which it leaves a service; a stop leaves it in the one that was asked for.
fn causes() -> Vec<(EndStatus, Cause)> {
    let words = || "...".to_owned();
    let job = |outcome| {
        let end = JobEnd { outcome, exit: None, reason: None };
        (end.status(), Cause::Job(end))
    };
    vec![
        (EndStatus::Stopped, Cause::Requested),
        job(Outcome::Completed),
        job(Outcome::Cancelled),
        job(Outcome::TimeLimit),
        job(Outcome::Deadline),
        (EndStatus::Timeout, Cause::GraceSpent { grace: GRACE }),
        job(Outcome::Failed),
        job(Outcome::OutOfMemory),
        job(Outcome::NodeFail),
        job(Outcome::BootFail),
        job(Outcome::Preempted),
        (EndStatus::Failed, Cause::Refused(words())),
        (EndStatus::Failed, Cause::NotSent(words())),
        (EndStatus::Failed, Cause::Vanished),
    ]
}

/// The causes as a table, in Markdown.
pub(crate) fn markdown() -> String {
    let mut text =
        String::from("| status | why, as `towline show` says it | what that means |\n|---|---|---|\n");
    for (status, cause) in causes() {
        let _ = writeln!(text, "| {} | {cause} | {} |", Status::from(status), cause.meaning());
    }
    text
}
