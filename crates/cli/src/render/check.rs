//! A check of `doctor` for people.

use super::words::clean_line;
use crate::doctor::{Check, Verdict};

/// A line with its verdict, what was checked and what was found; a second one with what to do about it.
pub(crate) fn check_lines(check: &Check) -> String {
    let verdict = match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Failed => "failed",
        Verdict::Skipped => "skipped",
    };
    let mut text = format!("{verdict:8} {:14} {}\n", check.check, clean_line(&check.text));
    if let Some(hint) = &check.hint {
        text.push_str(&format_args!("{:23} hint: {}\n", "", clean_line(hint)).to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line_and_its_hint_another() {
        let ok = check_lines(&Check::ok("clock", "0.1 s apart"));
        assert_eq!(ok, "ok       clock          0.1 s apart\n");
        let failed = check_lines(&Check::wrong("noise", "prints \u{1b}[31m\nred", "be quiet"));
        assert_eq!(
            failed,
            "failed   noise          prints \u{fffd}[31m red\n                        hint: be quiet\n"
        );
        let skipped = check_lines(&Check::skipped("authentication", "not looked at: host failed"));
        assert_eq!(skipped, "skipped  authentication not looked at: host failed\n");
    }
}
