//! The state machine of a service's life: pure, synchronous, told the time.
//!
//! Three verbs: [`Life::observe`] folds a fact into the state and is never illegal; [`Life::request`] takes a user's
//! wish and may refuse it; [`Life::plan`] derives from the state alone what is to be done now and when to ask again,
//! so that whoever was killed in between plans the same again.

#![deny(clippy::wildcard_enum_match_arm)]

mod fact;
mod fold;
mod fold_ping;
mod fold_sight;
mod life;
mod phase;
mod plan;
mod request;
mod stage;
mod status;

pub use fact::{CancelFact, Echo, Fact, Ping, PingRecord, Submission, TunnelFact};
pub use life::{Life, TunnelRecord};
pub use phase::{Cause, Ending, Phase};
pub use plan::{Action, Plan};
pub use request::{Refusal, Request, StopWish};
pub use stage::Stage;
pub use status::{EndStatus, Status};

pub use crate::doubt::{Absence, Doubt};
pub use crate::explain::UnknownStatus;
pub use crate::known_job::{Job, Run};
pub use crate::terms::Terms;
pub use crate::tunnel::Tunnel;
