//! Kinds of services as data.
//!
//! A [`Recipe`] is read from a TOML text ([`Recipe::read`]) and says how a kind of service is run: its command, what of it
//! depends on which parameters, its health path, what it asks of a scheduler, an image for it. With a [`Request`], the
//! values of its parameters and what the caller knows of the place, it makes the very
//! [`ServiceSpec`](towline_core::spec::ServiceSpec) that a person would have written ([`Recipe::resolve`]).
//!
//! ```
//! # use towline_recipes::{Recipe, Request};
//! let text = "summary = 'Echo'\ncommand = ['echo-server', '{port}', ['--greeting', '{greeting}']]\n\
//!             [parameters.greeting]\ntype = 'string'\nhelp = 'What to say'";
//! let recipe = Recipe::read("echo", text, "echo.toml")?;
//! let mut request = Request::new("web".parse()?, "lab");
//! request.values.insert("greeting".into(), vec!["good $(day)".into()]);
//! assert_eq!(recipe.resolve(&request)?.command, ["echo-server", "{port}", "--greeting", "good $(day)"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Pure: reads no file, no environment and no clock; callers hand in text. What a recipe may hold is described in
//! `docs/recipes.md`; those that come with this crate are in [`BUILT_IN`].

mod apptainer;
mod built_in;
mod command;
mod contain;
mod gpus;
mod job;
mod parameter;
mod problem;
mod read;
mod recipe;
mod request;
mod resolve;
mod scope;
mod snapshot;
mod suggest;
mod template;

pub use built_in::{BUILT_IN, BuiltIn, EXAMPLE};
pub use command::{Condition, Line, Part};
pub use contain::contain;
pub use parameter::{Kind, Parameter, Pattern, Value};
pub use problem::{BadRecipe, Problem};
pub use recipe::{Container, Model, Mount, Port, Provider, Recipe, Run, Secret, check_name};
pub use request::{Around, ContainerOptions, Containing, Key, Request, SecretValue};
pub use resolve::ResolveError;
pub use snapshot::{Snapshot, Stageable};
pub use suggest::nearest;
pub use template::Template;

/// The example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
