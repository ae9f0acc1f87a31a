//! The one way by which text of a user gets into a shell.

use crate::spec::SpecError;

/// Quotes `text` as one word of a POSIX shell script; nothing in it is special to the shell afterwards.
///
/// For scripts only: a terminal may still act on control characters within.
///
/// # Errors
/// Text with a NUL character, which no shell word can hold; the field of the error is `text`.
pub fn quote(text: &str) -> Result<String, SpecError> {
    match shlex::try_quote(text) {
        Ok(word) => Ok(word.into_owned()),
        Err(_) => Err(SpecError::new("text", "it holds a NUL character")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(quote("python3").unwrap(), "python3");
        assert_eq!(quote("/usr/bin/x-1.2").unwrap(), "/usr/bin/x-1.2");
        assert_eq!(quote("").unwrap(), "''");
    }

    #[test]
    fn nothing_is_special_within_quotes() {
        assert_eq!(quote("$(id) `id` *").unwrap(), "'$(id) `id` *'");
        assert_eq!(quote("it's").unwrap(), "\"it's\"");
        assert_eq!(quote("a\nb").unwrap(), "'a\nb'");
        assert_eq!(quote("a\0b").unwrap_err().problem, "it holds a NUL character");
    }

    proptest! {
        #[test]
        fn a_shell_reads_back_the_one_word(text in "[^\0]*") {
            prop_assert_eq!(shlex::split(&quote(&text).unwrap()), Some(vec![text]));
        }
    }
}
