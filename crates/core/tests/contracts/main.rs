//! The contracts that the simulated world keeps, and what they catch.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has failed its test")]

mod broken;
mod flaws;
mod world_bench;
