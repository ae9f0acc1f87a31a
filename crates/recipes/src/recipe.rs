//! What a recipe says.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use towline_core::ready::Ready;
use towline_core::resources::Resources;

use crate::command::{Condition, Line, Part};
use crate::parameter::{Kind, Parameter};
use crate::problem::BadRecipe;
use crate::template::Template;

/// A kind of service.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) help: String,
    pub(crate) model: Option<Model>,
    pub(crate) parameters: Vec<Parameter>,
    /// By the names of the variants; of a recipe without variants, one under the empty name.
    pub(crate) runs: BTreeMap<String, Run>,
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// `name` is what people call it by, `origin` where the text came from, for errors.
    ///
    /// # Errors
    /// All that is wrong with the text, each with its line and column.
    pub fn read(name: &str, text: &str, origin: &str) -> Result<Self, BadRecipe> {
        crate::read::recipe(name, text).map_err(|problems| BadRecipe { origin: origin.to_owned(), problems })
    }

    /// What people call it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in a line.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// What one should know to use it; may be empty.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// The model that its services serve, if that is given to them.
    pub fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// Its parameters, in the order of the recipe.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// What it runs, by the names of its variants; under the empty name if it has no variants.
    pub fn runs(&self) -> &BTreeMap<String, Run> {
        &self.runs
    }

    /// The parameter that chooses between its variants.
    pub fn selector(&self) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| matches!(parameter.kind, Kind::Variant(_)))
    }

    /// Whether one of its variants runs in a container.
    pub fn has_container(&self) -> bool {
        self.runs.values().any(|run| run.container.is_some())
    }

    /// Whether one of its variants takes a secret.
    pub fn takes_secret(&self) -> bool {
        self.runs.values().any(|run| run.secret.is_some())
    }

    /// Whether one of its variants takes the revision of a model.
    pub fn takes_revision(&self) -> bool {
        self.runs.values().any(|run| run.mentions("revision"))
    }

    /// Whether one of its variants takes arguments after `--`.
    pub fn takes_extra(&self) -> bool {
        self.runs.values().any(Run::takes_extra)
    }
}

/// The model of a service.
#[derive(Clone, Debug)]
pub struct Model {
    /// What to give, in a line.
    pub help: String,
    /// Whether it must be given.
    pub required: bool,
    /// The parameter that tells the server the name of a model which it is given as a directory, because it lies there already.
    pub served: Option<String>,
    /// The parameter that tells the server the cache of Hugging Face in which a model lies.
    pub hub: Option<String>,
}

/// What one variant of a recipe runs.
#[derive(Clone, Debug)]
pub struct Run {
    /// The command.
    pub command: Vec<Part>,
    /// Lines of shell before it, outside of a container.
    pub setup: Vec<Line>,
    /// Variables of its environment; each is there if all parameters in it are set.
    pub env: Vec<(String, Template)>,
    /// How the server learns its port.
    pub port: Port,
    /// Health path.
    pub health: Option<String>,
    /// Grace period.
    pub grace: Option<Duration>,
    /// What an answer to the health path must be.
    pub ready: Ready,
    /// What it asks of a scheduler unless told otherwise.
    pub job: Resources,
    /// The key by which it knows its clients.
    pub secret: Option<Secret>,
    /// The container that it can run in.
    pub container: Option<Container>,
}

impl Run {
    /// Every template in it.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let mounts = self.container.iter().flat_map(|container| &container.mounts);
        let mounts = mounts.flat_map(|mount| [&mount.source, &mount.target]);
        let words = self.command.iter().flat_map(Part::templates);
        words.chain(self.env.iter().map(|(_, value)| value)).chain(mounts)
    }

    /// Every condition in it.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let words = self.command.iter().filter_map(|part| match part {
            Part::When { when, .. } => Some(when),
            Part::Word(_) | Part::Group(_) | Part::Extra => None,
        });
        let lines = self.setup.iter().chain(self.container.iter().flat_map(|container| &container.setup));
        words.chain(lines.filter_map(|line| line.when.as_ref()))
    }

    /// Whether a placeholder stands anywhere in it.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.templates().any(|template| template.names().any(|known| known == name))
            || self.conditions().any(|known| known.name == name)
    }

    /// Whether its command takes the arguments after `--`.
    pub fn takes_extra(&self) -> bool {
        self.command.iter().any(|part| matches!(part, Part::Extra))
    }

    /// In which forms it takes a model: as whatever was given, as a name, as a path.
    pub(crate) fn model_forms(&self) -> [bool; 3] {
        ["model", "model-name", "model-path"].map(|name| self.mentions(name))
    }
}

/// How a server learns its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// By a word of its command, in which `{port}` stands.
    Argument,
    /// By the variable `PORT` of its environment.
    Environment,
}

impl Port {
    /// Its name in a recipe.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Environment => "environment",
        }
    }
}

/// A key by which a server knows its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The variable that holds it.
    pub env: String,
    /// Whether the server reads it from a file, whose path stands for `{secret-file}`, and not from that variable.
    pub in_file: bool,
    /// What it is for, in a line.
    pub help: String,
}

/// A container that a command can run in.
#[derive(Clone, Debug)]
pub struct Container {
    /// What it runs in unless told otherwise; `None` is no container.
    pub default: Option<Provider>,
    /// The image for each engine.
    pub images: BTreeMap<Provider, String>,
    /// The program in these images, instead of the first word of the command; `None` if it is found by that.
    pub program: Option<String>,
    /// What of its host it sees besides what the engine shows by itself.
    pub mounts: Vec<Mount>,
    /// Lines of shell before the engine is called, on the host.
    pub setup: Vec<Line>,
}

/// A directory or file of the host in a container.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where it is on the host. The mount is there if all parameters in it are set.
    pub source: Template,
    /// Where it is in the container.
    pub target: Template,
    /// Whether it can only be read there.
    pub read_only: bool,
}

/// A program that runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// Apptainer: a container is a plain process of the user's.
    Apptainer,
    /// Docker: a daemon has the containers. On this machine alone.
    Docker,
    /// Podman: containers without a daemon. On this machine alone.
    Podman,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Apptainer, Self::Docker, Self::Podman];

    /// Its name in recipes, and of its program.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apptainer => "apptainer",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// Whether its program runs containers by itself, as a plain command does; else an adapter has to look after them.
    pub const fn is_plain(self) -> bool {
        match self {
            Self::Apptainer => true,
            Self::Docker | Self::Podman => false,
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }
}

impl Container {
    /// The image for an engine. Podman takes Docker's if there is none of its own.
    pub fn image(&self, provider: Provider) -> Option<&str> {
        let others = match provider {
            Provider::Podman => self.images.get(&Provider::Docker),
            Provider::Apptainer | Provider::Docker => None,
        };
        self.images.get(&provider).or(others).map(String::as_str)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Checks the name of a recipe, which is also that of its file: `[a-z0-9-]`, 1 to 40 characters, a letter or digit at both
/// ends.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    if plain && (1..=40).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(());
    }
    Err("a recipe's name has 1 to 40 characters of a-z, 0-9 and '-', and '-' at neither end".to_owned())
}
