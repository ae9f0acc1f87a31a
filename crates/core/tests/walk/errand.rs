//! What a process was called for, what it is about to do, and what it has learnt.

use towline_core::lifecycle::{Action, EndStatus, Fact, Life, Request, StopWish};
use towline_core::time::Timestamp;

use crate::calls::Reply;

/// What a process was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Start,
    Look,
    StopNow,
    StopLater,
    OpenTunnel,
    CloseTunnel,
}

impl Verb {
    /// Whether to wish for that says anything new of a service that stands like that. To open a tunnel that is wanted
    /// anyway is a look and one more call, to stop once more in the same way is nothing, and one that has ended refuses all
    /// but a look.
    pub(crate) fn is_news(self, row: &Life) -> bool {
        let later = |stop: &StopWish| stop.status == EndStatus::Stopped;
        if row.status().is_terminal() {
            return self == Self::Look;
        }
        match self {
            Self::Start => false,
            Self::Look => true,
            Self::StopNow => row.stop.as_ref().is_none_or(later),
            Self::StopLater => row.stop.is_none(),
            Self::OpenTunnel => row.tunnel_unwanted,
            Self::CloseTunnel => !row.tunnel_unwanted,
        }
    }
}

/// What it is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Record that a submission is about to be sent.
    Announce,
    /// Call the ports; when none is left, fold their answers.
    Act { todo: Vec<Action>, replies: Vec<Reply> },
    /// Record what has changed, and then go on.
    Save(Then),
}

impl Stage {
    /// The calls that are left.
    pub(crate) fn todo(&self) -> &[Action] {
        match self {
            Self::Act { todo, .. } => todo,
            Self::Announce | Self::Save(_) => &[],
        }
    }
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Then {
    /// With the next round.
    Plan,
    /// With what the verb does after its turn.
    Tail,
    /// It is done.
    Finish,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum News {
    Fact(Fact),
    Request(Request),
}

/// News, when they were asked for, and when they were learnt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    pub(crate) news: News,
    pub(crate) asked: Timestamp,
    pub(crate) at: Timestamp,
}
