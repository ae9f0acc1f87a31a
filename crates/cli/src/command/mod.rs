//! The verbs: one file each, with its options (their doc comments are the help) and what it does.

mod completion;
mod config;
mod db;
mod doctor;
mod events;
mod follow;
mod keep;
mod logs;
mod ls;
mod man;
mod profile;
mod profile_import;
mod profile_login;
mod prune;
mod recipe;
mod refresh;
mod rm;
mod run;
mod show;
mod stop;
mod tunnel;
mod url;
mod verb;
mod wait;
mod why;

pub(crate) use run::RunArgs;
pub(crate) use verb::Verb;
