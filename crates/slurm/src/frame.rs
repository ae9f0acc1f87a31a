//! The form of every answer: lines that begin with a record separator and a letter.
//!
//! Whatever else comes (what login files print, lines that a job's name breaks into) is no line of ours. Standard
//! error is cut into sections by the same kind of line, so that each command's words are known.

use towline_core::ports::ShellOutput;

/// ASCII record separator: begins each of our lines.
pub(crate) const MARK: char = '\u{1e}';

/// ASCII unit separator: ends each field of a record. No job's name is known to hold one; names stand last.
pub(crate) const UNIT: char = '\u{1f}';

/// The letter of the last line of a complete answer.
const END: char = '.';

/// Shell text that begins every script: how lines are printed, and commands are run for a limited time.
///
/// `say TEXT` prints a line of ours; `section NAME` begins a section of standard error; `finish` ends the answer;
/// `bounded SECONDS COMMAND` runs a command, from which it keeps standard input: that is the script. Variables by which
/// users change what Slurm's commands mean or print are removed; which exist is asked of the shell, as every Slurm has
/// some more. Here and elsewhere what the shell can do by itself starts no program: on a busy login host that costs more
/// than Slurm's own command.
pub(crate) const PRELUDE: &str = r#"say() { printf '\036%s\n' "$1"; }
section() { printf '\n\036%s\n' "$1" >&2; }
finish() { say .; exit 0; }
if command -v timeout >/dev/null 2>&1; then
  bounded() { timeout -k 2 "$@" </dev/null; }
else
  bounded() { shift; "$@" </dev/null; }
fi
newline='
'
set -f
IFS=$newline
for name in $(export -p); do
  name=${name#export }
  name=${name#declare -x }
  name=${name%%=*}
  case $name in
    *[!A-Z0-9_]*) ;;
    SBATCH_* | SQUEUE_* | SACCT_* | SCANCEL_* | SINFO_* | SCONTROL_*) unset "$name" ;;
  esac
done
unset IFS SLURM_CLUSTERS SLURM_EXIT_ERROR SLURM_EXIT_IMMEDIATE SLURM_HINT SLURM_UMASK SLURM_TIME_FORMAT
set +f
printf '\n'
"#;

/// Our lines of a complete answer, in order, each with its letter and with the lines up to the next one of ours (a
/// job's name may hold the end of a line); without the last.
///
/// `None` if the answer is not complete: it was cut off, or the script never came to its end.
pub(crate) fn records(output: &ShellOutput) -> Option<Vec<(char, String)>> {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut records: Vec<(char, String)> = Vec::new();
    for line in text.split('\n') {
        if let Some((letter, rest)) = line.strip_prefix(MARK).and_then(split_letter) {
            records.push((letter, rest.to_owned()));
        } else if let Some((_, rest)) = records.last_mut() {
            rest.extend(["\n", line]);
        }
    }
    // The last end counts: a part of a job's name may look like one.
    let end = records.iter().rposition(|(letter, rest)| *letter == END && split_line(rest).0.is_empty())?;
    records.truncate(end);
    Some(records)
}

/// The same, each without what follows its line.
pub(crate) fn lines(output: &ShellOutput) -> Option<Vec<(char, String)>> {
    let records = records(output)?;
    Some(records.iter().map(|(letter, rest)| (*letter, split_line(rest).0.to_owned())).collect())
}

/// The first line and the rest. A terminal on the way would have ended lines with a carriage return as well.
pub(crate) fn split_line(text: &str) -> (&str, &str) {
    let (line, more) = text.split_once('\n').unwrap_or((text, ""));
    (line.strip_suffix('\r').unwrap_or(line), more)
}

fn split_letter(line: &str) -> Option<(char, &str)> {
    let mut chars = line.chars();
    Some((chars.next()?, chars.as_str()))
}

/// What was printed on standard error in the section `name`, as one line for people.
///
/// Slurm's own prefixes say nothing to them and are left out.
pub(crate) fn words(output: &ShellOutput, name: &str) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let mut inside = false;
    let mut words: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(section) = line.strip_prefix(MARK) {
            inside = section == name;
        } else if inside {
            let line = clean(line);
            if !line.is_empty() && !words.contains(&line) {
                words.push(line);
            }
        }
    }
    words.join("; ")
}

fn clean(line: &str) -> &str {
    let mut line = line.trim();
    for prefix in ["sbatch: ", "squeue: ", "sacct: ", "scancel: ", "sinfo: ", "error: ", "fatal: "] {
        line = line.strip_prefix(prefix).unwrap_or(line);
    }
    line.strip_prefix("Batch job submission failed: ").unwrap_or(line)
}

/// What to say of an answer that is not complete.
pub(crate) fn incomplete(output: &ShellOutput) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("nothing on standard error");
    format!("it is not complete (exit code {}; {last})", output.code)
}

/// A here-document that gives `text` to a command, whatever the text holds but NUL. The text ends in a newline.
///
/// No line of it begins like the delimiter, not even with its first character: where a line departs from a delimiter
/// that it began like, dash (0.5.12, Debian 12's `sh`) loses a byte that is not ASCII. Only a text whose lines begin with
/// every printable character of ASCII leaves no such delimiter.
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
    use std::process::Command;

    use super::*;
    use proptest::prelude::*;

    fn output(stdout: &str, stderr: &str) -> ShellOutput {
        ShellOutput { stdout: stdout.into(), stderr: stderr.into(), code: 0 }
    }

    #[test]
    fn noise_around_our_lines_is_no_line_of_ours() {
        let answer =
            output("Welcome!\nno newline\n\u{1e}q0\nbroken name\n\u{1e}\n\u{1e}Qx\n\u{1e}.\nbye", "");
        let expected = vec![('q', "0".to_owned()), ('Q', "x".to_owned())];
        assert_eq!(lines(&answer), Some(expected));
    }

    #[test]
    fn a_job_named_like_the_end_ends_nothing() {
        let answer = output("\u{1e}Qodd\n\u{1e}.\n\u{1e}Qx\n\u{1e}.\n", "");
        assert_eq!(lines(&answer).unwrap().last(), Some(&('Q', "x".to_owned())));
    }

    #[test]
    fn a_record_goes_on_to_the_next_and_a_line_ends_with_its_line() {
        let answer = output("x\n\u{1e}Qodd\nname\u{1f}\n\u{1e}r\na\r\nb\n\u{1e}.\n", "");
        let all = vec![('Q', "odd\nname\u{1f}".to_owned()), ('r', "\na\r\nb".to_owned())];
        assert_eq!(records(&answer), Some(all));
        let first = vec![('Q', "odd".to_owned()), ('r', String::new())];
        assert_eq!(lines(&answer), Some(first));
    }

    #[test]
    fn a_terminals_line_ends_are_read_as_well() {
        let answer = output("\u{1e}q0\r\n\u{1e}.\r\n", "");
        assert_eq!(lines(&answer), Some(vec![('q', "0".to_owned())]));
    }

    #[test]
    fn an_answer_without_its_end_is_none() {
        assert_eq!(lines(&output("\u{1e}q0\n", "")), None);
        assert_eq!(lines(&output("\u{1e}q0\n\u{1e}.\u{1f}\n", "")), None, "the end of a job's name");
        assert_eq!(lines(&output("", "")), None);
    }

    #[test]
    fn words_are_those_of_their_section() {
        let stderr = "motd\n\n\u{1e}a\nsbatch: error: x: y\nsbatch: error: Batch job submission failed: z\nz\n\n\u{1e}b\nw\n";
        assert_eq!(words(&output("", stderr), "a"), "x: y; z");
        assert_eq!(words(&output("", stderr), "b"), "w");
        assert_eq!(words(&output("", stderr), "c"), "");
    }

    #[test]
    fn of_an_answer_that_is_not_complete_the_last_words_are_told() {
        let told = |stderr: &str| incomplete(&ShellOutput { code: 255, ..output("", stderr) });
        assert_eq!(told("motd\nkilled\n\n "), "it is not complete (exit code 255; killed)");
        assert_eq!(told(" \n"), "it is not complete (exit code 255; nothing on standard error)");
    }

    #[test]
    fn a_here_document_ends_only_at_its_end() {
        assert_eq!(here_document("a"), "<<'EOF'\na\nEOF\n");
        assert_eq!(here_document("EOF\n"), "<<'AOF'\nEOF\nAOF\n");
        assert_eq!(here_document(""), "<<'EOF'\nEOF\n");
        let all: String = ('!'..='~').map(|first| format!("{first}OF\n")).collect();
        assert_eq!(here_document(&all), format!("<<'EOF_'\n{all}EOF_\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_reads_a_here_document_as_it_was(
            lines in prop::collection::vec(prop_oneof!["[A-E]OF_{0,2}", "[^\u{0}]{0,9}"], 0..5),
            shell in prop::sample::select(vec!["sh", "bash"]),
        ) {
            let text = lines.join("\n");
            let output = Command::new(shell).args(["-c", &format!("cat {}", here_document(&text))]).output().unwrap();
            let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), text + newline);
        }

        #[test]
        fn a_line_that_begins_like_the_delimiter_is_left_whole(
            begin in "[EA]?O?F?", rest in "[é-\u{10ffff}]{1,3}", shell in prop::sample::select(vec!["sh", "bash"]),
        ) {
            let text = format!("{begin}{rest}\nEOF\n");
            let output = Command::new(shell).args(["-c", &format!("cat {}", here_document(&text))]).output().unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&output.stdout), text);
        }

        #[test]
        fn any_bytes_are_read(stdout: Vec<u8>, stderr: Vec<u8>) {
            let output = ShellOutput { stdout, stderr, code: 1 };
            drop(lines(&output));
            drop(words(&output, "x"));
            drop(incomplete(&output));
        }
    }
}
