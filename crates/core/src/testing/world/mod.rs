//! A simulated world in virtual time: one cluster, its network, this machine's clock, and all that can go wrong with
//! them, in memory.
//!
//! Nothing waits for real: [`Clock::sleep_until`](crate::ports::Clock::sleep_until) moves the time. A story sets how
//! jobs behave, lets an engine act, breaks something, and looks at what became of the services. [`World`] is
//! scheduler, tunnels, probe and clock in one and answers at once; a [`Process`] uses it call by call, so that others
//! can act between any two steps, and can be killed at each of them. A story that sleeps ten thousand times panics: what
//! it waits for never comes.
//!
//! The scheduler answers as the Slurm adapter does: from a queue that forgets ended jobs, an accounting database, and
//! the records that jobs leave behind; jobs belong to services by their token, whatever their id.

mod behaviour;
mod calls;
mod cluster;
mod controls;
mod errand;
mod faults;
mod job;
mod network;
mod ports;
mod process;
mod process_ports;
mod sight;
mod truth;

pub use behaviour::Behaviour;
pub use calls::{Call, Mishap};
pub use controls::World;
pub use errand::Errand;
pub use faults::{Accounting, Faults, Garbage};
pub use process::Process;
pub use truth::JobTruth;
