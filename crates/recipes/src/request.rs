//! What a caller asks of a recipe.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use towline_core::resources::Resources;
use towline_core::spec::{Bind, ServiceName};

use crate::recipe::Provider;

/// A service to be made by a recipe.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the place and the user say about it, whatever the recipe.
    pub around: Around,
    /// The values of parameters as they were given, by name: one text, or those of a list.
    pub values: BTreeMap<String, Vec<String>>,
    /// The model: a name, or a path if it begins with `/`, `./` or `../`.
    pub model: Option<String>,
    /// The revision of the model.
    pub revision: Option<String>,
    /// The arguments after `--`.
    pub extra: Vec<String>,
    /// The key by which it is to know its clients.
    pub secret: Option<SecretValue>,
    /// What it is to run in.
    pub container: Containing,
    /// The image to run, instead of the recipe's.
    pub image: Option<String>,
    /// The names of the variables in [`Around::env`] that were asked for this time, and not by a profile: they alone go before
    /// an option that the recipe hands on in a variable of that name.
    pub said_env: BTreeSet<String>,
    /// Whether the job options of the recipe hold. Where no scheduler takes them, they do not.
    pub job_options: bool,
}

impl Request {
    /// A service of that name in that profile, with nothing said about it.
    pub fn new(name: ServiceName, profile: impl Into<String>) -> Self {
        Self {
            around: Around {
                name,
                profile: profile.into(),
                setup: Vec::new(),
                env: BTreeMap::new(),
                chdir: None,
                bind: Bind::default(),
                health: None,
                grace: None,
                resources: Resources::default(),
            },
            values: BTreeMap::new(),
            model: None,
            revision: None,
            extra: Vec::new(),
            secret: None,
            container: Containing::AsRecipe,
            image: None,
            said_env: BTreeSet::new(),
            job_options: true,
        }
    }
}

/// All of a service that is not its recipe's. What is said here goes before what the recipe says.
#[derive(Clone, Debug)]
pub struct Around {
    /// The name of the service.
    pub name: ServiceName,
    /// The profile that it runs in.
    pub profile: String,
    /// Lines of shell before those of the recipe.
    pub setup: Vec<String>,
    /// Variables of the environment.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub chdir: Option<String>,
    /// Where it listens.
    pub bind: Bind,
    /// Health path.
    pub health: Option<String>,
    /// Grace period.
    pub grace: Option<Duration>,
    /// What is asked of the scheduler; each field that is unset is the recipe's.
    pub resources: Resources,
}

/// What a service runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containing {
    /// What the recipe has as its default.
    AsRecipe,
    /// No container.
    Bare,
    /// A container of that engine.
    In(Provider),
}

/// A secret. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(pub String);

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
