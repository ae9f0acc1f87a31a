//! The configuration: where it lies, what it may hold, where each value came from, and how it is changed.

mod blackfish;
mod edit;
mod layers;
mod origins;
mod paths;
mod settings;
mod text;

pub(crate) use blackfish::{Imported, Legacy, read_profiles};
pub(crate) use edit::{ConfigFile, EditError};
pub(crate) use layers::{Flags, Layers, LoadError, said};
pub(crate) use origins::Setting;
pub(crate) use paths::{PathError, Paths};
pub(crate) use settings::{Bind, Config, Container, Kind, LOCAL, Network, Profile, ProfileName, Via};
pub(crate) use text::unquoted;
