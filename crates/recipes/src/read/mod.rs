//! Reading the text of a recipe. Every problem is noted with its place, and reading goes on.

mod check;
mod document;
mod parameter;
mod ready;
mod recipe;
mod run;

pub(crate) use recipe::recipe;
