//! The state machine of a service's life: pure, synchronous, told the time.
//!
//! Three verbs: [`Life::observe`] folds a fact into the state and is never illegal; [`Life::request`] takes a user's
//! wish and may refuse it; [`Life::plan`] derives from the state alone what is to be done now and when to ask again,
//! so that whoever was killed in between plans the same again.

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

pub use fact::{CancelFact, Echo, Fact, Ping, PingRecord, Submission, Tunnel, TunnelFact};
pub use life::{Absence, Doubt, Life, Terms, TunnelRecord};
pub use phase::{Cause, Ending, Job, Phase, Run};
pub use plan::{Action, Plan};
pub use request::{Refusal, Request, StopWish};
pub use stage::Stage;
pub use status::{EndStatus, Status, UnknownStatus};
