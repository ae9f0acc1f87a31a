//! Recipes on this machine: where they lie, the options that each has, and what a command line asks of one.

mod line;
mod options;
mod order;
mod shelf;

pub(crate) use line::parse;
pub(crate) use order::{Order, job_words};
pub(crate) use shelf::{Found, Shelf, Source, bad_recipe};
