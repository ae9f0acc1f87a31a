//! On which side of an SSH connection something failed.

use towline_core::lifecycle::Echo;

use crate::error::SshError;
use crate::forward::ForwardError;
use crate::node::NodeError;

/// A side of an SSH connection, and what to look at when it is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// This machine: its `ssh` and the user's configuration of it, its files, its local ports, its way into the network.
    ThisMachine,
    /// The host that is logged in to: whether it is up and lets the user in, and what it permits.
    SshHost,
    /// What lies behind it: the server, its host, and the network between the two.
    FarSide,
}

impl SshError {
    /// Which side failed.
    pub const fn side(&self) -> Side {
        match self {
            Self::NoProgram(_)
            | Self::BadName { .. }
            | Self::ControlPathTooLong { .. }
            | Self::ControlDir { .. }
            | Self::Files { .. }
            | Self::LaunchInProgress { .. }
            | Self::NobodyToAsk { .. }
            | Self::Interrupted { .. }
            | Self::NotLoggedIn { .. }
            | Self::NotAnswering { .. }
            | Self::Unresolved { .. }
            | Self::NoRoute { .. }
            | Self::Config { .. }
            | Self::Master { .. } => Side::ThisMachine,
            Self::Refused { .. }
            | Self::TimedOut { .. }
            | Self::Closed { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::Denied { .. }
            | Self::NoJobThere { .. }
            | Self::Failed { .. } => Side::SshHost,
        }
    }
}

impl NodeError {
    /// Which side failed: what `ssh` needs of this machine, or the node and the way to it.
    pub const fn side(&self) -> Side {
        match self.source.side() {
            Side::ThisMachine => Side::ThisMachine,
            Side::SshHost | Side::FarSide => Side::FarSide,
        }
    }
}

impl ForwardError {
    /// Which side failed.
    pub const fn side(&self) -> Side {
        match self {
            Self::PortTaken { .. }
            | Self::PortRefused { .. }
            | Self::NoPort
            | Self::BadTarget { .. }
            | Self::BadHandle(_)
            | Self::Late
            | Self::Master(_) => Side::ThisMachine,
            Self::Login(error) => error.side(),
        }
    }
}

/// A server did not answer a GET through a forward with a 2xx.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Miss {
    /// Which side failed.
    pub side: Side,
    /// What was found, as a sentence fragment: an HTTP status, silence, a refused connection, why there is no way.
    pub what: String,
}

/// What became of a ping.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A 2xx.
    Answer,
    /// The server or its host did something else.
    Silence(String),
    /// There was no way to it, by the fault of that side.
    NoRoute(Side, String),
}

impl Found {
    pub(crate) fn no_route(side: Side, why: impl Into<String>) -> Self {
        Self::NoRoute(side, why.into())
    }

    pub(crate) fn into_result(self) -> Result<(), Miss> {
        match self {
            Self::Answer => Ok(()),
            Self::Silence(what) => Err(Miss { side: Side::FarSide, what }),
            Self::NoRoute(side, what) => Err(Miss { side, what }),
        }
    }
}

impl From<Found> for Echo {
    fn from(found: Found) -> Self {
        match found {
            Found::Answer => Self::Answered,
            Found::Silence(what) => Self::Silent(what),
            Found::NoRoute(_, why) => Self::NoRoute(why),
        }
    }
}
