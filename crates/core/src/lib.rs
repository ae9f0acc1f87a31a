//! The life of an HTTP service behind a batch job.
//!
//! A pure state machine ([`lifecycle`]) decides; an engine carries out what it plans over a few ports ([`ports`]):
//! a scheduler, tunnels, a probe, a ledger and a clock. This crate does no IO, has no runtime, reads no clock and
//! mints no random number.

pub mod container;
mod doubt;
pub mod engine;
mod explain;
pub mod id;
pub mod job;
mod known_job;
pub mod lifecycle;
mod phase_record;
pub mod ports;
pub mod ready;
pub mod resources;
pub mod runner;
pub mod service;
pub mod span;
pub mod spec;
mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
mod tunnel;
pub mod walltime;
pub mod why;
