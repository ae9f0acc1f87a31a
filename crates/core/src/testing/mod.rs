//! What tests of this crate and of its adapters share (feature `testing`).

mod ledger_contract;
mod memory_ledger;
mod samples;
mod scenes;
pub mod strategies;
mod world;

pub use ledger_contract::ledger_contract;
pub use memory_ledger::MemoryLedger;
pub use samples::{sample_event, sample_lives, sample_service};
pub use world::{Accounting, Behaviour, Call, Errand, Faults, Garbage, JobTruth, Mishap, Process, World};
