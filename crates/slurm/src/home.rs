//! Where Towline keeps its files on the cluster.

use std::fmt;
use std::str::FromStr;

use towline_core::id::ServiceId;
use towline_core::runner::Directory;
use towline_core::spec::SpecError;

/// The directory on the cluster below which every service has its own: `~/.towline`, or another one.
///
/// It must be on a file system that login and compute nodes share, as homes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home(Directory);

impl Home {
    /// The home as the user wrote it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The home as a word of a shell script.
    pub(crate) fn word(&self) -> &str {
        self.0.word()
    }

    /// The directory of a service as a word of a shell script.
    pub(crate) fn service_word(&self, id: ServiceId) -> String {
        format!("{}/services/{id}", self.word())
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Home {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        text.parse().map(Self).map_err(|error: SpecError| SpecError { field: "home", ..error })
    }
}
