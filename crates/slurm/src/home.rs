//! Where Towline keeps its files on the cluster.

use std::fmt;
use std::str::FromStr;

use towline_core::id::ServiceId;
use towline_core::runner::quote;
use towline_core::spec::SpecError;

/// The directory on the cluster below which every service has its own: `~/.towline`, or an absolute path.
///
/// It must be on a file system that login and compute nodes share, as homes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    text: String,
    word: String,
}

impl Home {
    /// The home as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The home as a word of a shell script: quoted, with a leading `~` as `"$HOME"`.
    pub(crate) fn word(&self) -> &str {
        &self.word
    }

    /// The directory of a service as a word of a shell script.
    pub(crate) fn service_word(&self, id: ServiceId) -> String {
        format!("{}/services/{id}", self.word)
    }
}

impl Default for Home {
    /// `~/.towline`.
    fn default() -> Self {
        Self { text: "~/.towline".to_owned(), word: "\"$HOME\"/.towline".to_owned() }
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Home {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let bad = |problem: &str| Err(SpecError::new("home", format!("{text:?} {problem}")));
        let trimmed = text.trim_end_matches('/');
        if text.chars().any(char::is_control) {
            return bad("holds a control character");
        }
        // sbatch expands these two in the path of the log.
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
    fn a_tilde_is_expanded_on_the_cluster_and_the_rest_is_quoted() {
        let word = |text: &str| text.parse::<Home>().unwrap().word().to_owned();
        assert_eq!(word("~/.towline"), "\"$HOME\"/.towline");
        assert_eq!(word("~"), "\"$HOME\"");
        assert_eq!(word("/scratch/my group/x/"), "'/scratch/my group/x'");
        assert_eq!(word("~/$(id)"), "\"$HOME\"'/$(id)'");
    }

    #[test]
    fn the_default_is_what_its_text_says() {
        assert_eq!(Home::default(), "~/.towline".parse().unwrap());
    }

    #[test]
    fn other_paths_are_refused() {
        for bad in ["", "/", "//", "x", "./x", "~bob/x", "/a/../b", "/a\nb", "/a%u", "/a\\b", "-x"] {
            assert_eq!(bad.parse::<Home>().unwrap_err().field, "home", "{bad}");
        }
    }
}
