//! Everything that is printed: data to standard output, progress and errors to standard error.

mod check;
mod failure;
mod live;
mod loading;
mod recipe;
mod service;
mod staged;
mod table;
mod terminal;
mod why;
mod words;

pub(crate) use check::check_lines;
pub(crate) use live::Live;
pub(crate) use loading::Loading;
pub(crate) use recipe::{CheckedRecipe, ListedRecipe, RecipeView, recipe_details};
pub(crate) use service::{Row, ServiceView, details, ended_at, listing};
pub(crate) use staged::{AddedModel, images_table, models_json, models_table, partial_words, revision_words};
pub(crate) use table::Columns;
pub(crate) use terminal::Terminal;
pub(crate) use why::{WhyView, answer};
pub(crate) use words::{age, clean, clean_line, moment, size};
