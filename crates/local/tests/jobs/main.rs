//! Real services on this machine: started, watched, killed.

#![expect(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod bench;
mod contract;
mod damage;
mod ends;
mod hostile;
mod identity;
mod ports;
