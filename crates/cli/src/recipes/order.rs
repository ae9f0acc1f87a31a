//! What a command line asks of a recipe.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::Value as Json;
use towline_core::spec::ServiceSpec;
use towline_recipes::{
    ContainerOptions, Containing, Key, Kind as Type, Recipe, Request, ResolveError, Snapshot, Stageable,
};

use super::engine::{containing, options};
use super::key::key;
use super::options::{API_KEY, MODEL, NOT_STAGED, REVISION, id, off};
use super::{Found, Source};
use crate::config::{Kind as ProfileKind, Profile};
use crate::exit::{Failure, Kind, Outcome};

/// A recipe with what was said about it on the command line.
#[derive(Clone)]
pub(crate) struct Order {
    recipe: Recipe,
    source: Source,
    origin: String,
    hides: Option<Source>,
    values: BTreeMap<String, Vec<String>>,
    model: Option<String>,
    revision: Option<String>,
    key: Key,
    container: Containing,
    image: Option<String>,
    options: ContainerOptions,
    /// Whether it is to be looked for what lies there already.
    looks: bool,
    snapshot: Option<Snapshot>,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recipe {} with {:?}", self.recipe.name(), self.values)
    }
}

impl Order {
    /// What clap has read for this recipe.
    ///
    /// `hides` is where another one of its name is from, if there is one; `words` is the whole command line,
    /// if it was typed.
    ///
    /// # Errors
    /// Those of a key that cannot be read.
    pub(super) fn new(
        found: Found,
        hides: Option<Source>,
        recipe: Recipe,
        matches: &ArgMatches,
        words: &[OsString],
    ) -> Outcome<Self> {
        let text = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
        let mut values = BTreeMap::new();
        for parameter in recipe.parameters() {
            let id = id(parameter);
            let said = match parameter.kind {
                Type::Boolean => truth(matches, &id, &off(parameter)),
                _ => matches.get_many::<String>(&id).map(|texts| texts.cloned().collect()),
            };
            if let Some(said) = said {
                values.insert(parameter.name.clone(), said);
            }
        }
        Ok(Self {
            source: found.source,
            hides,
            origin: found.path.map(|path| path.display().to_string()).unwrap_or_default(),
            values,
            model: text(MODEL),
            revision: text(REVISION),
            key: key(text(API_KEY).as_deref(), words)?,
            container: Containing::AsRecipe,
            image: None,
            options: ContainerOptions::default(),
            looks: !matches.try_get_one::<bool>(NOT_STAGED).ok().flatten().copied().unwrap_or_default(),
            snapshot: None,
            recipe,
        })
    }

    /// The same in what it is to run in, by the profile with the options of the command line; `is_said` tells whether these
    /// name an engine, and `image` is the one that was named.
    ///
    /// # Errors
    /// [`Kind::Config`] if an engine is to be found and there is none, [`Kind::Usage`] for a mount that is none.
    pub(crate) fn within(mut self, profile: &Profile, is_said: bool, image: Option<&str>) -> Outcome<Self> {
        let containers = || self.recipe.runs().values().filter_map(|run| run.container.as_ref());
        let has_image =
            |provider| image.is_some() || containers().any(|container| container.image(provider).is_some());
        self.container = containing(profile, is_said, self.recipe.has_container(), has_image)?;
        self.options = options(profile)?;
        self.image = image.map(str::to_owned);
        Ok(self)
    }

    /// What of it may lie where the service runs already; nothing if that is not to be looked for.
    pub(crate) fn stageable(&self) -> Stageable {
        match "stageable".parse() {
            Ok(name) if self.looks => self.recipe.stageable(&self.request(Request::new(name, ""))),
            _ => Stageable::default(),
        }
    }

    /// The revision of the model that was asked for.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// The same with what lies there: the model, and the image's file.
    #[must_use]
    pub(crate) fn with_staged(mut self, snapshot: Option<Snapshot>, image: Option<String>) -> Self {
        self.snapshot = snapshot;
        self.image = image.or(self.image);
        self
    }

    /// The same request with all that was said of the recipe itself.
    fn request(&self, mut request: Request) -> Request {
        request.values.clone_from(&self.values);
        request.model.clone_from(&self.model);
        request.revision.clone_from(&self.revision);
        request.snapshot.clone_from(&self.snapshot);
        request.key = self.key.clone();
        request.container = self.container;
        request.image.clone_from(&self.image);
        request.options.clone_from(&self.options);
        request
    }

    /// The name of the recipe.
    pub(crate) fn name(&self) -> &str {
        self.recipe.name()
    }

    /// Which file it is, unless it is built in: a project may have one of its own under a name that one knows.
    pub(crate) fn origin(&self) -> Option<String> {
        match self.source {
            Source::BuiltIn => None,
            Source::Project | Source::User => Some(format!("recipe {}: {}", self.name(), self.origin)),
        }
    }

    /// What it hides, if there is another one of its name: the other may be the one that is meant.
    pub(crate) fn hides(&self) -> Option<String> {
        let hides = match self.hides? {
            Source::BuiltIn => "built-in",
            Source::User => "user's",
            Source::Project => "project's",
        };
        Some(format!("recipe {}: {} hides the {hides} recipe {}", self.name(), self.origin, self.name()))
    }

    /// The service that results, of which `base` is all that the recipe does not say.
    ///
    /// `said` are the options of the command line under the names of the configuration file: of what describes the server
    /// they alone go before the recipe, while in all else the profile does. `extra` are the arguments after `--`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for the first thing that the recipe does not take.
    pub(crate) fn spec(
        &self,
        base: ServiceSpec,
        profile: &Profile,
        said: &serde_json::Map<String, Json>,
        extra: &[String],
    ) -> Outcome<ServiceSpec> {
        let mut request = self.request(Request::new(base.name, base.profile));
        request.around.setup = base.setup;
        request.around.env = base.env;
        request.said_env = said
            .get("env")
            .and_then(Json::as_object)
            .map(|env| env.keys().cloned().collect())
            .unwrap_or_default();
        request.around.chdir = base.chdir;
        request.around.bind = base.bind;
        request.around.health = said.contains_key("health").then_some(base.health);
        request.around.grace = profile.grace.is_some().then_some(base.grace);
        request.around.resources = base.resources;
        request.extra = extra.to_vec();
        request.job_options = profile.kind != ProfileKind::Local;
        self.recipe.resolve(&request).map_err(|error| {
            let hint = match &error {
                ResolveError::Unknown { near: Some(near), .. } => format!("did you mean --{near}?"),
                _ => format!("`towline run {} --help` explains every option", self.name()),
            };
            Failure::from_error(Kind::Usage, error).hint(hint)
        })
    }
}

/// What was said of a yes or no: the last word counts.
fn truth(matches: &ArgMatches, on: &str, off: &str) -> Option<Vec<String>> {
    let said = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    match (said(on), said(off)) {
        (true, _) => Some(vec!["true".to_owned()]),
        (false, true) => Some(vec!["false".to_owned()]),
        (false, false) => None,
    }
}
