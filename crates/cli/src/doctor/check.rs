//! What `doctor` finds.

use serde::Serialize;
use towline_core::engine::error_chain;

use crate::exit::{Failure, Kind};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Services can run.
    Ok,
    /// Services can run, and something is less than it could be.
    Warning,
    /// No service can run.
    Failed,
}

/// One thing that was checked.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    /// What was checked, in a word.
    pub(crate) check: &'static str,
    /// How it came out.
    pub(crate) verdict: Verdict,
    /// What was found, or what is wrong.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// In which way it failed.
    #[serde(skip)]
    pub(crate) kind: Kind,
}

impl Check {
    /// All is well.
    pub(crate) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, text: text.into(), hint: None, kind: Kind::Internal }
    }

    /// Something is less than it could be.
    pub(crate) fn warning(check: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, hint: Some(hint.into()), ..Self::ok(check, text) }
    }

    /// No service can run until this is solved.
    pub(crate) fn failed(check: &'static str, failure: &Failure) -> Self {
        let text = error_chain(failure.error.as_ref());
        let hint = failure.hints.first().cloned();
        Self { verdict: Verdict::Failed, hint, kind: failure.kind, ..Self::ok(check, text) }
    }
}
