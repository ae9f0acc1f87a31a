//! The form of every answer: fields that end with NUL between two marks, so that a name may hold anything.

use towline_core::ports::ShellOutput;

use crate::error::StageError;

/// The first field of every answer; what login files print stands before it.
const BEGIN: &[u8] = b"\x1estage";
/// Its last field.
const END: &[u8] = b"\x1eend";
/// Stands alone on a line of standard error before the words that are ours.
const OURS: &str = "\u{1e}";

/// Shell text that begins every script: `field` prints fields, `finish` ends the answer.
pub(crate) const PRELUDE: &str = concat!(include_str!("shell/clean.sh"), include_str!("shell/prelude.sh"));
/// Shell text before all assignments of a script.
pub(crate) const CLEAN: &str = include_str!("shell/clean.sh");

/// The fields of a complete answer.
///
/// # Errors
/// [`StageError::Garbled`] if it was cut off, or the script never came to its end.
pub(crate) fn fields(output: &ShellOutput) -> Result<Vec<Vec<u8>>, StageError> {
    let all: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    let begin = all.iter().position(|field| *field == BEGIN);
    let end = all.iter().rposition(|field| *field == END);
    match (begin, end) {
        (Some(begin), Some(end)) if begin < end => {
            Ok(all[begin + 1..end].iter().map(|field| field.to_vec()).collect())
        }
        _ => {
            let words = words(output);
            let last = words.rsplit("; ").next().filter(|word| !word.is_empty());
            let last = last.unwrap_or("nothing on standard error");
            let problem = format!("it is not complete (exit code {}; {last})", output.code);
            Err(StageError::Garbled { problem })
        }
    }
}

/// What the script's commands said on standard error, as one line.
pub(crate) fn words(output: &ShellOutput) -> String {
    lines(output).join("; ")
}

/// The same, line by line, each once.
pub(crate) fn lines(output: &ShellOutput) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    let ours = text.split(&format!("\n{OURS}\n")).last().unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    for line in ours.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if lines.iter().all(|known| known != line) {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// A field as text; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// A here-document that gives `text` to a command, whatever the text holds but NUL. The text ends in a newline.
///
/// No line of it begins with the delimiter's first character: where a line departs from a delimiter that it began like, dash
/// (0.5.12, Debian 12's `sh`) loses a byte that is not ASCII.
pub(crate) fn here_document(text: &str) -> String {
    let is_free = |first: &char| *first != '\'' && !text.lines().any(|line| line.starts_with(*first));
    let first = std::iter::once('E').chain('A'..='Z').chain('!'..='~').find(is_free).unwrap_or('E');
    let mut delimiter = format!("{first}OF");
    while text.lines().any(|line| line == delimiter) {
        delimiter.push('_');
    }
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("<<'{delimiter}'\n{text}{newline}{delimiter}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn output(stdout: &[u8], stderr: &str) -> ShellOutput {
        ShellOutput { stdout: stdout.into(), stderr: stderr.into(), code: 3 }
    }

    #[test]
    fn fields_stand_between_the_marks() {
        let answer = output(b"Welcome!\n\0\x1estage\0a\nb\0\0\x1eend\0\x1eend\0bye", "");
        assert_eq!(fields(&answer).unwrap(), [b"a\nb".to_vec(), vec![], END.to_vec()]);
    }

    #[test]
    fn an_answer_that_is_not_complete_is_none() {
        for cut in [&b""[..], b"\0\x1estage\0a\0", b"\x1eend\0", b"\x1eend\0\0\x1estage\0"] {
            let told = fields(&output(cut, "motd\n\n\u{1e}\nfirst\nkilled\n")).unwrap_err().to_string();
            assert!(told.ends_with("it is not complete (exit code 3; killed)"), "{told}");
        }
    }

    #[test]
    fn words_are_those_after_the_mark() {
        let answer = output(b"", "motd\n\n\u{1e}\n a \n\na\nb\n");
        assert_eq!(words(&answer), "a; b");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(stdout: Vec<u8>, stderr: Vec<u8>) {
            let output = ShellOutput { stdout, stderr, code: 1 };
            drop(fields(&output));
            drop(words(&output));
        }
    }
}
