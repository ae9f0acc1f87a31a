//! Services in containers of an engine of this machine.

mod engine;
mod kept;
mod ready;
mod state;
mod verdict;
mod words;

pub(crate) use engine::{ask_all, end, forget, is_up};
pub(crate) use kept::{Contained, Ended, contained, files};
pub(crate) use ready::ready;
pub(crate) use verdict::{Answer, verdict};
pub(crate) use words::{check, derived};
