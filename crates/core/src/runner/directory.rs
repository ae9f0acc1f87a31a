//! Directories where services run, as users name them.

use std::fmt;
use std::str::FromStr;

use super::quote::quote;
use crate::spec::SpecError;

/// A directory of the host where services run: absolute, or below the user's home there (`~`, `~/models`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    text: String,
    word: String,
}

impl Directory {
    /// The directory as the user wrote it, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The directory as a word of a shell script: quoted, with a leading `~` as `"$HOME"`.
    pub fn word(&self) -> &str {
        &self.word
    }
}

impl Default for Directory {
    /// `~/.towline`, where Towline keeps its files unless told otherwise.
    fn default() -> Self {
        Self { text: "~/.towline".to_owned(), word: "\"$HOME\"/.towline".to_owned() }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Directory {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let bad = |problem: &str| Err(SpecError::new("directory", format!("{text:?} {problem}")));
        let trimmed = text.trim_end_matches('/');
        if text.chars().any(char::is_control) {
            return bad("holds a control character");
        }
        // sbatch expands these two in the path of a log.
        if text.contains(['%', '\\']) {
            return bad("holds a '%' or a '\\', which Slurm expands in paths");
        }
        if trimmed.split('/').any(|part| part == "..") {
            return bad("holds '..'");
        }
        if trimmed.is_empty() {
            return bad("is not a directory of its own");
        }
        if trimmed != "~" && !trimmed.starts_with("~/") && !trimmed.starts_with('/') {
            return bad("is neither absolute nor below '~/'");
        }
        let word = match trimmed.strip_prefix('~') {
            Some("") => "\"$HOME\"".to_owned(),
            Some(rest) => format!("\"$HOME\"{}", quote(rest)?),
            None => quote(trimmed)?,
        };
        Ok(Self { text: trimmed.to_owned(), word })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_expanded_there_and_the_rest_is_quoted() {
        let word = |text: &str| text.parse::<Directory>().unwrap().word().to_owned();
        assert_eq!(word("~/.towline"), "\"$HOME\"/.towline");
        assert_eq!(word("~"), "\"$HOME\"");
        assert_eq!(word("/scratch/my group/x/"), "'/scratch/my group/x'");
        assert_eq!(word("~/$(id)"), "\"$HOME\"'/$(id)'");
    }

    #[test]
    fn the_default_is_what_its_text_says() {
        assert_eq!(Directory::default(), "~/.towline".parse().unwrap());
    }

    #[test]
    fn other_paths_are_refused() {
        for bad in ["", "/", "//", "x", "./x", "~bob/x", "/a/../b", "/a\nb", "/a%u", "/a\\b", "-x"] {
            assert_eq!(bad.parse::<Directory>().unwrap_err().field, "directory", "{bad}");
        }
    }
}
