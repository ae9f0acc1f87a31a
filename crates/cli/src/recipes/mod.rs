//! Recipes on this machine: where they lie, the options that each has, and what a command line asks of one.

mod engine;
mod job;
mod key;
mod line;
mod options;
mod order;
mod shelf;

pub(crate) use engine::contained;
pub(crate) use job::job_words;
pub(crate) use key::{key, of_file as private_file};
pub(crate) use line::{Unread, Whence, parse, read};
pub(crate) use order::Order;
pub(crate) use shelf::{Found, Shelf, Source, bad_recipe};
