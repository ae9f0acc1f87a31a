//! What a caller asks of a recipe.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use towline_core::container::{Mount, Network};
use towline_core::resources::Resources;
use towline_core::spec::{Bind, ServiceName};

use crate::recipe::Provider;
use crate::snapshot::Snapshot;

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
    /// The model where it lies, if it was found there under its name.
    pub snapshot: Option<Snapshot>,
    /// The arguments after `--`.
    pub extra: Vec<String>,
    /// The key by which it is to know its clients.
    pub key: Key,
    /// What it is to run in.
    pub container: Containing,
    /// The image to run, instead of the recipe's.
    pub image: Option<String>,
    /// What else is said of the container.
    pub options: ContainerOptions,
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
            snapshot: None,
            extra: Vec::new(),
            key: Key::None,
            container: Containing::AsRecipe,
            image: None,
            options: ContainerOptions::default(),
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

/// What a user and a place say of a container, whatever the recipe.
#[derive(Clone, Debug, Default)]
pub struct ContainerOptions {
    /// What is mounted besides what the recipe mounts; of two at one target this one is.
    pub mounts: Vec<Mount>,
    /// The network of a container that an adapter looks after; others are in the host's.
    pub network: Network,
    /// The user namespace, in the words of the engine.
    pub user_namespace: Option<String>,
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

/// The key by which a service is to know its clients.
///
/// Whatever is asked for here, a value that is given to the recipe's variable in [`Around::env`] is the key, unless
/// [`Key::Given`] replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// None, even if it could check one.
    None,
    /// That one. A service that can check none is refused.
    Given(SecretValue),
    /// That one, if it can check one: what makes a service private unless told otherwise.
    IfTaken(SecretValue),
}

/// A key: one word of ASCII characters. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    /// A key of that text.
    ///
    /// # Errors
    /// What a key is, if the text is none. The text is not in it.
    pub fn new(text: impl Into<String>) -> Result<Self, &'static str> {
        let text = text.into();
        // At a comma llama.cpp's server takes one key for two; no header can hold what is not ASCII.
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic() && c != ',') {
            return Err("a key is one word of ASCII characters without a comma");
        }
        Ok(Self(text))
    }

    /// Its text, to be handed to the server and to nobody else.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
