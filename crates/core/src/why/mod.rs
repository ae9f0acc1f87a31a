//! Why a service stands where it stands, and what to do about it: a sentence, its evidence, and advice.
//!
//! [`explain`] is pure. What it is told beyond the ledger's own record comes as [`Evidence`], which an
//! [`Inspector`](crate::ports::Inspector) gathers where the service runs; all of it may be missing.

mod clues;
mod ending;
mod evidence;
mod explanation;
mod far_end;
mod limits;
mod partitions;
mod pending;
mod reasons;
mod route;
mod waiting;
mod words;

pub use evidence::{Asked, Evidence, Limit, Memory, Position};
pub use explanation::{Explanation, Finding, Outlook, Topic, explain};
pub use far_end::{FarEnd, Reach};
