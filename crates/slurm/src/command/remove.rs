//! Removal of a service's directory.

use towline_core::id::ServiceId;
use towline_core::ports::{FilesError, ShellOutput};

use crate::error::ClusterError;
use crate::frame::{self, PRELUDE};
use crate::home::Home;

const TEXT: &str = r#"export LC_ALL=C
section rm
rm -rf -- "$dir"
if [ -e "$dir" ] || [ -h "$dir" ]; then say left; else say gone; fi
finish
"#;

/// The text of the remote command. The directory's name ends in the service's id, which is never empty.
pub(crate) fn script(id: ServiceId, home: &Home) -> String {
    format!("{PRELUDE}dir={}\n{TEXT}", home.service_word(id))
}

/// Reads the answer of [`script`].
pub(crate) fn read(output: &ShellOutput, home: &Home) -> Result<(), FilesError> {
    let Some(lines) = frame::lines(output) else {
        let problem = frame::incomplete(output);
        return Err(FilesError::Unreachable(Box::new(ClusterError::Garbled { problem })));
    };
    if lines.iter().any(|(letter, rest)| *letter == 'g' && rest == "one") {
        return Ok(());
    }
    let (home, words) = (home.to_string(), frame::words(output, "rm"));
    Err(FilesError::Failed(Box::new(ClusterError::Home { home, words })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_gone_is_removed() {
        let answer = |stdout: &str, stderr: &str| {
            read(&ShellOutput { stdout: stdout.into(), stderr: stderr.into(), code: 0 }, &Home::default())
        };
        assert!(answer("\u{1e}gone\n\u{1e}.\n", "").is_ok());
        let failed = answer("\u{1e}left\n\u{1e}.\n", "\u{1e}rm\nrm: cannot remove 'x': Permission denied\n");
        assert!(matches!(failed, Err(FilesError::Failed(_))));
        assert!(matches!(answer("\u{1e}gone\n", ""), Err(FilesError::Unreachable(_))));
    }
}
