//! Engines and machines that are broken on purpose: the walk must catch each.

use std::borrow::Cow;
use std::time::Duration;

use towline_core::job::Sighting;
use towline_core::lifecycle::{Action, Fact, Life, Phase, Submission, Terms};

use crate::ages::terms;

/// What is wrong with the engine or the machine, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// A submission is sent before it is recorded that it will be.
    SendsUnannounced,
    /// A row is written even if another process has changed it since it was read.
    IgnoresConflicts,
    /// A lost answer counts as a submission that was not sent.
    TakesUnclearForNotSent,
    /// The first look that misses a job ends its service.
    BelievesAbsenceAtOnce,
    /// A service that ends for want of an answer forgets that its job is to be cancelled.
    ForgetsOwedCancels,
    /// A port that the job is only going to try counts as one on which it listens.
    TrustsIntentions,
    /// The tunnel of an ended service stays open.
    LeavesTunnelsOpen,
}

impl Flaw {
    /// The fact as the machine is told it.
    pub(crate) fn hears<'a>(self, fact: &'a Fact) -> Cow<'a, Fact> {
        match (self, fact) {
            (Self::TakesUnclearForNotSent, Fact::Submission(Submission::Unclear(why))) => {
                Cow::Owned(Fact::Submission(Submission::NotSent(why.clone())))
            }
            (Self::TrustsIntentions, Fact::Job(Sighting { place: Some(_), .. })) => {
                let mut fact = fact.clone();
                if let Fact::Job(Sighting { place: Some(place), .. }) = &mut fact {
                    place.listening = true;
                }
                Cow::Owned(fact)
            }
            _ => Cow::Borrowed(fact),
        }
    }

    /// The life as the machine leaves it.
    pub(crate) fn remembers(self, mut life: Life) -> Life {
        if let (Self::ForgetsOwedCancels, Phase::Ended(ending)) = (self, &mut life.phase) {
            ending.owes_cancel = false;
        }
        life
    }

    /// The actions that the machine plans.
    pub(crate) fn plans(self, mut actions: Vec<Action>) -> Vec<Action> {
        if self == Self::LeavesTunnelsOpen {
            actions.retain(|action| !matches!(action, Action::Close { .. }));
        }
        actions
    }

    /// The terms that the service is recorded with.
    pub(crate) fn terms(self) -> Terms {
        match self {
            Self::BelievesAbsenceAtOnce => Terms { settle: Duration::ZERO, ..terms() },
            _ => terms(),
        }
    }
}
