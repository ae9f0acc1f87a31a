//! The calls that a process makes of the world, and what can befall one of them.

use std::fmt;
use std::time::Duration;

/// A call that a process makes of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// A submission.
    Submit,
    /// A question to the scheduler.
    Survey,
    /// A cancel.
    Cancel,
    /// The opening of a tunnel.
    Open,
    /// The closing of a tunnel.
    Close,
    /// A ping.
    Ping,
    /// The recording of a new service.
    Insert,
    /// The saving of changes.
    Save,
    /// A reading of the ledger.
    List,
    /// A wait for a time.
    Sleep,
    /// A wait for the turnstile, until it is free or has been waited for long enough.
    Enter,
}

impl fmt::Display for Call {
    /// As a noun phrase with its article, such as `a submission`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Submit => "a submission",
            Self::Survey => "a survey",
            Self::Cancel => "a cancel",
            Self::Open => "the opening of a tunnel",
            Self::Close => "the closing of a tunnel",
            Self::Ping => "a ping",
            Self::Insert => "the recording of a service",
            Self::Save => "a save",
            Self::List => "a reading of the ledger",
            Self::Sleep => "a wait",
            Self::Enter => "a wait for the turnstile",
        })
    }
}

/// What befalls one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mishap {
    /// It never arrives, and fails as if its answer had been lost.
    LostBefore,
    /// It has its effect, and its answer is lost.
    LostAfter,
    /// It fails as if its answer had been lost, and arrives that much later. Only what is sent to the scheduler can;
    /// other calls never arrive.
    Late(Duration),
    /// Just before it another process saves the same services: for [`Call::Save`] alone.
    Overtaken,
}

impl fmt::Display for Mishap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LostBefore => f.write_str("never arrives"),
            Self::LostAfter => f.write_str("has its effect, and its answer is lost"),
            Self::Late(after) => write!(f, "is given up and arrives {} s later", after.as_secs()),
            Self::Overtaken => f.write_str("is overtaken by another process"),
        }
    }
}
