//! Slurm as text in and text out: batch scripts, one-command submission, one-command survey.
//!
//! [`Slurm`] implements the scheduler and files ports of `towline-core` over any
//! [`RemoteShell`](towline_core::ports::RemoteShell): it writes shell scripts and reads what they print, and neither
//! opens a connection nor starts a process. [`script::render`] and [`state::job_state`] are of use
//! without it.
//!
//! Seen working with Slurm 22.05; the commands, options and words that it rests on are the same from 20.11 to 26.05
//! by Slurm's own manuals and source.

mod access;
mod command;
mod directives;
mod error;
mod findings;
mod frame;
mod home;
mod parse;
pub mod script;
mod sight;
mod slurm;
pub mod state;
#[cfg(test)]
mod testing;

pub use access::{Barrier, Choice, Objection};
pub use error::ClusterError;
pub use findings::{ClusterProbe, Problem};
pub use home::Home;
pub use parse::association::Association;
pub use parse::disk::{Quota, Room};
pub use parse::partition::{Gate, Partition};
pub use slurm::{Slurm, SlurmConfig};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
