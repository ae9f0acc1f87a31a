//! Every remote command, run by a real shell with stand-ins for Slurm's commands.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test would")]

mod directives;
mod files;
mod garbage;
mod inspect;
mod probe;
mod submit;
mod support;
mod survey;
