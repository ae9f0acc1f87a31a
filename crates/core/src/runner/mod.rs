//! The text that runs a service where its job runs, and the records that it leaves there.
//!
//! Every scheduler that starts bash on a Linux host can share it: the scheduler's adapter puts its own first lines
//! in front of [`render`]'s, writes [`env_file`] beside it as `env`, and reads `place.json`, `attempt.json` and
//! `exit.json` back through [`parse_place`], [`parse_attempt`] and [`parse_exit`]. Text in, text out.

mod directory;
mod published;
mod quote;
mod script;

pub use directory::Directory;
pub use published::{PublishedExit, PublishedPlace, RecordError, parse_attempt, parse_exit, parse_place};
pub use quote::quote;
pub use script::{Runner, SECRET_FILE, check_variable, env_file, render};
