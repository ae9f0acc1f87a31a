//! What tests of this crate and of its adapters share (feature `testing`).

mod break_off;
mod ledger_contract;
mod memory_ledger;
mod memory_turnstile;
mod samples;
mod scenes;
mod scheduler_bench;
mod scheduler_contract;
mod scheduler_doubt;
mod scheduler_watch;
pub mod strategies;
mod tunnels_bench;
mod tunnels_contract;
mod world;

pub use ledger_contract::ledger_contract;
pub use memory_ledger::MemoryLedger;
pub use memory_turnstile::MemoryTurnstile;
pub use samples::{sample_event, sample_lives, sample_service};
pub use scheduler_bench::{SchedulerBench, Trouble, Work};
pub use scheduler_contract::scheduler_contract;
pub use tunnels_bench::TunnelsBench;
pub use tunnels_contract::tunnels_contract;
pub use world::{Accounting, Behaviour, Call, Errand, Faults, Garbage, JobTruth, Mishap, Process, World};
