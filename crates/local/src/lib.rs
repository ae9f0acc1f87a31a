//! Services as process groups of this machine, behind the same ports as a cluster.
//!
//! [`LocalScheduler`] is a scheduler without a queue: a submitted job runs at once, as a session of its own that
//! outlives the program that started it, and is found again by the next one. [`DirectTunnels`] reach places that need
//! no tunnel, and [`LocalShell`] runs the scripts of a cluster's adapter where this machine is a login node itself.
//! Linux only: what is known of a job comes from `/proc`.

mod cancel;
mod check;
mod container;
mod job;
mod log;
mod process;
mod scheduler;
mod shell;
mod store;
mod submit;
mod survey;
mod tunnels;

pub use scheduler::LocalScheduler;
pub use shell::LocalShell;
pub use tunnels::DirectTunnels;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
