//! Errors: what failed, its causes, what may explain it, and what to try next.

use super::terminal::Terminal;
use super::words::{clean, clean_line};
use crate::exit::{Failure, Kind};

impl Terminal {
    /// Prints a failure to standard error; a broken pipe says nothing.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.kind != Kind::BrokenPipe {
            self.note(self.report(failure).trim_end());
        }
    }

    fn report(&self, failure: &Failure) -> String {
        let mut causes: Vec<String> = Vec::new();
        for cause in failure.error.chain() {
            let words = clean(&cause.to_string());
            // Some libraries repeat their source in their own message.
            if !causes.last().is_some_and(|last| last.ends_with(&words)) {
                causes.push(words);
            }
        }
        let mut causes = causes.into_iter();
        let mut text =
            format!("{} {}\n", self.paint("error:", "31"), causes.next().unwrap_or_default().trim_end());
        for cause in causes {
            text.push_str("  caused by: ");
            text.push_str(&cause.trim_end().replace('\n', "\n    "));
            text.push('\n');
        }
        if let Some((headline, excerpt)) = &failure.excerpt {
            text.push_str(headline);
            text.push_str(":\n");
            for line in clean(excerpt).lines() {
                text.push_str("  | ");
                text.push_str(line);
                text.push('\n');
            }
        }
        for hint in &failure.hints {
            text.push_str(&self.paint("hint:", "36"));
            text.push(' ');
            text.push_str(&clean_line(hint));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use towline_core::ports::SubmitError;

    use super::*;

    #[test]
    fn a_failure_is_a_line_its_causes_and_hints() {
        let error = SubmitError::NotSent("no route to\nhost \u{1b}[1m".into());
        let failure = Failure::from(error)
            .during("failed to start service web")
            .excerpt("the end of its log", "one\ntwo\n".to_owned())
            .hint("look at the network");
        let expected = "error: failed to start service web\n  \
                        caused by: failed to submit the job: nothing was sent\n  \
                        caused by: no route to\n    host \u{fffd}[1m\n\
                        the end of its log:\n  | one\n  | two\n\
                        hint: look at the network\n";
        assert_eq!(Terminal::default().report(&failure), expected);
    }
}
