//! One thing that is checked.

use serde::Serialize;
use towline_core::engine::error_chain;

use crate::exit::{Failure, Kind};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// All is well.
    Ok,
    /// Services can run, and something is less than it could be.
    Warning,
    /// It has to be put right: no service can run, or others could meddle with those that do.
    Failed,
    /// It could not be looked at, since something before it failed.
    Skipped,
}

/// One thing that was checked, in JSON as it is. Fields may be added, and so may checks; none changes its meaning.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    /// What was checked, in a word.
    pub(crate) check: &'static str,
    /// The profile that it is about; none for this machine.
    pub(crate) profile: Option<String>,
    /// How it came out.
    pub(crate) verdict: Verdict,
    /// What was found, or what is wrong.
    pub(crate) text: String,
    /// What to do about it; none where all is well.
    pub(crate) hint: Option<String>,
    /// In which way it failed.
    #[serde(skip)]
    pub(crate) kind: Kind,
}

impl Check {
    /// All is well.
    pub(crate) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { check, profile: None, verdict: Verdict::Ok, text, hint: None, kind: Kind::Internal }
    }

    /// Something is less than it could be.
    pub(crate) fn warning(check: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, hint: Some(hint.into()), ..Self::ok(check, text) }
    }

    /// It has to be put right.
    pub(crate) fn failed(check: &'static str, failure: &Failure) -> Self {
        let text = error_chain(failure.error.as_ref());
        let hint = failure.hints.first().cloned();
        Self { verdict: Verdict::Failed, hint, kind: failure.kind, ..Self::ok(check, text) }
    }

    /// The same, in words of the check's own. The configuration is wrong, or what it points to.
    pub(crate) fn wrong(check: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, kind: Kind::Config, ..Self::warning(check, text, hint) }
    }

    /// It was not looked at.
    pub(crate) fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::ok(check, why) }
    }

    /// Whether it failed.
    pub(crate) fn is_failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }
}
