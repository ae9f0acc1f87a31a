//! What a command line asks of a recipe.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;
use rustix::fs::{Mode, OFlags};
use serde_json::Value as Json;
use towline_core::resources::Resources;
use towline_core::spec::ServiceSpec;
use towline_recipes::{Containing, Kind as Type, Provider, Recipe, Request, ResolveError, SecretValue};

use super::options::{API_KEY, CONTAINER, IMAGE, MODEL, NONE, REVISION, id, off};
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
    api_key: Option<String>,
    container: Containing,
    image: Option<String>,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recipe {} with {:?}", self.recipe.name(), self.values)
    }
}

impl Order {
    /// What clap has read for this recipe.
    ///
    /// `hides` is where another one of its name is from, if there is one.
    pub(super) fn new(found: Found, hides: Option<Source>, recipe: Recipe, matches: &ArgMatches) -> Self {
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
        let container = match text(CONTAINER).as_deref() {
            None => Containing::AsRecipe,
            Some(NONE) => Containing::Bare,
            Some(name) => Provider::named(name).map_or(Containing::AsRecipe, Containing::In),
        };
        Self {
            source: found.source,
            hides,
            origin: found.path.map(|path| path.display().to_string()).unwrap_or_default(),
            values,
            model: text(MODEL),
            revision: text(REVISION),
            api_key: text(API_KEY),
            container,
            image: text(IMAGE),
            recipe,
        }
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
    /// [`Kind::Usage`] for the first thing that the recipe does not take, and those of a key that cannot be read.
    pub(crate) fn spec(
        &self,
        base: ServiceSpec,
        profile: &Profile,
        said: &serde_json::Map<String, Json>,
        extra: &[String],
    ) -> Outcome<ServiceSpec> {
        let mut request = Request::new(base.name, base.profile);
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
        request.values.clone_from(&self.values);
        request.model.clone_from(&self.model);
        request.revision.clone_from(&self.revision);
        request.extra = extra.to_vec();
        request.secret = self.api_key.as_deref().map(secret).transpose()?.flatten();
        request.container = self.container;
        request.image.clone_from(&self.image);
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

/// The key that `--api-key` names. Never the key itself: the command line can be read by everybody on this machine.
fn secret(text: &str) -> Outcome<Option<SecretValue>> {
    let (how, what) = text.split_once(':').unwrap_or((text, ""));
    let key = match how {
        NONE if what.is_empty() => return Ok(None),
        "env" => std::env::var(what).map_err(|_| {
            // Who writes env:$KEY has given the key itself, which is printed nowhere.
            Failure::new(Kind::Usage, "bad --api-key: the variable that it names is not set here")
                .hint("write the name of the variable, without $: env:NAME")
        })?,
        "file" => key_file(Path::new(what))?,
        _ => {
            return Err(Failure::new(Kind::Usage, "bad --api-key: it is neither env:NAME, file:PATH nor none")
                .hint("a key itself would be seen by everybody here: put it into a variable or a file of yours alone"));
        }
    };
    let key = key.trim_end_matches(['\r', '\n']).to_owned();
    // At a comma llama.cpp's server takes one key for two.
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic() && c != ',') {
        let message = "bad --api-key: a key is one word of ASCII characters without a comma";
        return Err(Failure::new(Kind::Usage, message));
    }
    Ok(Some(SecretValue(key)))
}

fn key_file(path: &Path) -> Outcome<String> {
    let read = || -> std::io::Result<(String, bool)> {
        let file =
            rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
        let about = rustix::fs::fstat(&file)?;
        let text = std::io::read_to_string(std::io::Read::take(std::fs::File::from(file), 1 << 16))?;
        Ok((text, about.st_mode & 0o077 != 0))
    };
    let what = || format!("failed to read the key's file {}", path.display());
    let (text, is_open) = read()
        .map_err(|error| Failure::from_error(Kind::Config, anyhow::Error::new(error).context(what())))?;
    if is_open {
        return Err(Failure::new(Kind::Config, format!("{} can be read by others", path.display()))
            .hint(format!("chmod 600 {}", path.display())));
    }
    Ok(text)
}

/// What a job asks for, as options of `run`.
pub(crate) fn job_words(job: &Resources) -> Vec<String> {
    let Ok(Json::Object(fields)) = serde_json::to_value(job) else { return Vec::new() };
    let word = |(name, value): (String, Json)| {
        let option = name.replace('_', "-");
        match value {
            Json::Null | Json::Array(_) | Json::Object(_) => None,
            Json::Bool(true) => Some(format!("--{option}")),
            Json::Bool(false) => Some(format!("--no-{option}")),
            Json::Number(number) => Some(format!("--{option} {number}")),
            Json::String(text) => Some(format!("--{option} {text}")),
        }
    };
    let arguments = job.submit_args.iter().map(|argument| format!("--sbatch-arg={argument}"));
    fields.into_iter().filter_map(word).chain(arguments).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_read_from_where_nobody_else_looks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "hush\n").unwrap();
        let of_file = || secret(&format!("file:{}", path.display()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(of_file().unwrap_err().error.to_string().contains("can be read by others"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(of_file().unwrap(), Some(SecretValue("hush".into())));
        std::fs::write(&path, "two words").unwrap();
        let told = of_file().unwrap_err();
        assert!(!format!("{told:?}").contains("two"), "{told:?}");
        std::fs::write(&path, "one,two").unwrap();
        assert!(of_file().is_err());
        assert_eq!(secret("none").unwrap(), None);
        for bad in ["hush", "env:hush", "env:SURELY_NOT_SET", "env:", "file:/nonexistent", "none:x", ""] {
            let told = secret(bad).unwrap_err();
            assert!(!format!("{told:?}").contains("hush"), "{told:?}");
        }
    }

    #[test]
    fn a_job_is_told_in_options() {
        let job = Resources {
            gpus: Some("2".into()),
            cpus: Some(4),
            requeue: Some(false),
            submit_args: vec!["--nice=1".into()],
            ..Resources::default()
        };
        assert_eq!(job_words(&job), ["--cpus 4", "--gpus 2", "--no-requeue", "--sbatch-arg=--nice=1"]);
    }
}
