//! The engine: carries out what a life plans, over the ports.
//!
//! It awaits ports and nothing else: it never sleeps but by the clock port, never spawns, and keeps no state of its
//! own, so several engines, in several processes, may work on one ledger.

mod error;
mod perform;
mod refresh;
mod site;
mod start;
mod stop;
mod tunnel;
mod turn;
mod wait;

pub use error::{EngineError, error_chain};
pub use site::{Engine, Site, Watch};
