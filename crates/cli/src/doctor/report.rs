//! The checks so far, each shown as soon as it is done.

use super::check::Check;
use crate::exit::{Failure, Outcome};
use crate::render::{Terminal, check_lines};

/// What was checked so far.
pub(crate) struct Report {
    terminal: Terminal,
    json: bool,
    profile: Option<String>,
    checks: Vec<Check>,
}

impl Report {
    /// An empty one, about this machine.
    pub(crate) fn new(terminal: Terminal, json: bool) -> Self {
        Self { terminal, json, profile: None, checks: Vec::new() }
    }

    /// What follows is about that profile.
    pub(crate) fn turn_to(&mut self, profile: &str) {
        self.profile = Some(profile.to_owned());
    }

    /// Takes a check, and shows it. Returns whether it did not fail.
    ///
    /// # Errors
    /// Those of standard output.
    pub(crate) fn add(&mut self, check: Check) -> Outcome<bool> {
        let check = Check { profile: self.profile.clone(), ..check };
        if !self.json {
            self.terminal.data(&check_lines(&check))?;
        }
        let is_fine = !check.is_failed();
        self.checks.push(check);
        Ok(is_fine)
    }

    /// Notes those of `checks` as skipped that were not done yet, since `what` failed.
    ///
    /// # Errors
    /// Those of standard output.
    pub(crate) fn skip(&mut self, checks: &[&'static str], what: &str) -> Outcome<()> {
        for name in checks {
            let is_done =
                self.checks.iter().any(|check| check.check == *name && check.profile == self.profile);
            if !is_done {
                self.add(Check::skipped(name, format!("not looked at: {what} failed")))?;
            }
        }
        Ok(())
    }

    /// Ends it: prints JSON if that was wanted.
    ///
    /// # Errors
    /// If any check failed, with the kind of the first; and those of standard output.
    pub(crate) fn finish(self) -> Outcome<()> {
        if self.json {
            self.terminal.json(&self.checks)?;
        }
        let failed: Vec<&Check> = self.checks.iter().filter(|check| check.is_failed()).collect();
        let of = |check: &Check| match &check.profile {
            Some(profile) => format!("{} of profile {profile}", check.check),
            None => check.check.to_owned(),
        };
        match failed.as_slice() {
            [] => Ok(()),
            [one] => Err(Failure::new(one.kind, format!("the check of {} failed", of(one)))),
            [first, ..] => {
                let message = format!("{} checks failed, first {}", failed.len(), of(first));
                Err(Failure::new(first.kind, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::exit::Kind;

    /// One that prints nothing as it goes.
    fn report(checks: Vec<Check>) -> Report {
        let mut report = Report { checks, ..Report::new(Terminal::default(), true) };
        report.turn_to("lab");
        report
    }

    #[test]
    fn the_exit_code_is_that_of_the_first_failure() {
        let failed = |kind| Check::failed("x", &Failure::new(kind, "y"));
        let checks = vec![Check::ok("a", "b"), failed(Kind::Unreachable), failed(Kind::Config)];
        let report = Report { json: false, ..report(checks) };
        assert_eq!(report.finish().unwrap_err().kind, Kind::Unreachable);
    }

    #[test]
    fn what_was_not_done_is_skipped_once_for_each_profile() {
        let mut report = report(vec![Check::ok("clock", "of this machine")]);
        assert!(!report.add(Check::wrong("host", "no", "do")).unwrap());
        report.skip(&["host", "clock"], "host").unwrap();
        report.turn_to("other");
        report.skip(&["clock"], "host").unwrap();
        let told: Vec<_> = report
            .checks
            .iter()
            .map(|check| (check.check, check.profile.as_deref(), check.verdict))
            .collect();
        assert_eq!(
            told,
            [
                ("clock", None, Verdict::Ok),
                ("host", Some("lab"), Verdict::Failed),
                ("clock", Some("lab"), Verdict::Skipped),
                ("clock", Some("other"), Verdict::Skipped),
            ]
        );
        report.json = false;
        let failure = report.finish().unwrap_err();
        assert_eq!(
            (failure.kind, failure.error.to_string().as_str()),
            (Kind::Config, "the check of host of profile lab failed")
        );
    }
}
