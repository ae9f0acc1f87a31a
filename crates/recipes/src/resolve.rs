//! From a recipe and what is asked of it to the spec of a service.

use towline_core::ready::Ready;
use towline_core::runner::{SECRET_FILE, check_variable};
use towline_core::spec::{DEFAULT_GRACE, DEFAULT_HEALTH, Secret, ServiceSpec, SpecError};

use crate::contain::{Contained, contain};
use crate::gpus;
use crate::job::filled_up;
use crate::parameter::{Kind, Parameter, Value, check_path};
use crate::recipe::{Recipe, Run};
use crate::request::{Key, Request, SecretValue};
use crate::scope::{SECRET, Scope};
use crate::snapshot::{Stageable, way};
use crate::suggest::nearest;

/// Why a recipe makes no service of what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The recipe has no such parameter.
    #[error("recipe {recipe} has no parameter {name}")]
    Unknown {
        /// The recipe.
        recipe: String,
        /// The word that was given.
        name: String,
        /// The parameter that it probably stands for.
        near: Option<String>,
    },
    /// A parameter, the model, its revision or the image has a value that cannot be.
    #[error("bad {name} {value:?}: {problem}")]
    Bad {
        /// The option or argument.
        name: String,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something must be given.
    #[error("recipe {recipe} needs {what}")]
    Missing {
        /// The recipe.
        recipe: String,
        /// What: `--name` of a parameter, or `a model`.
        what: String,
    },
    /// Something was given that the recipe, or the chosen variant, has no use for.
    #[error("{whom} takes no {what}")]
    Unwanted {
        /// The recipe with its variant.
        whom: String,
        /// What was given.
        what: String,
    },
    /// The spec that results cannot be run.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl Recipe {
    /// Makes the spec of a service.
    ///
    /// What the request says goes before what the recipe says: the recipe's job options, variables, grace period and health
    /// path fill in what is not said. Each word of the command is one word, whatever is in it.
    ///
    /// # Errors
    /// The first thing that is wrong with the request. A spec that is returned passes [`ServiceSpec::check`].
    pub fn resolve(&self, request: &Request) -> Result<ServiceSpec, ResolveError> {
        let mut scope = self.given(request)?;
        let chosen = self.chosen(request, &scope)?;
        chosen.check_parameters()?;
        chosen.set_model(&mut scope)?;
        chosen.spec(scope)
    }

    /// What of a request may lie where the service runs already: nothing of one that is wrong.
    pub fn stageable(&self, request: &Request) -> Stageable {
        let Ok(scope) = self.given(request) else { return Stageable::default() };
        let Ok(chosen) = self.chosen(request, &scope) else { return Stageable::default() };
        let has_way = self.model.as_ref().is_some_and(|model| way(model, chosen.run).is_some());
        let model = request.model.clone().filter(|model| has_way && !is_path(model));
        Stageable { model, image: chosen.stageable_image() }
    }

    fn chosen<'a>(&'a self, request: &'a Request, given: &Scope) -> Result<Chosen<'a>, ResolveError> {
        let variant = match self.selector().and_then(|selector| given.get(&selector.name)) {
            Some(Value::Text(name)) => name.clone(),
            _ => String::new(),
        };
        let run = self.runs.get(&variant).ok_or_else(|| self.missing_selector())?;
        Ok(Chosen { recipe: self, variant, run, request })
    }

    /// All parameters that are set, by name.
    fn given(&self, request: &Request) -> Result<Scope, ResolveError> {
        for name in request.values.keys() {
            if !self.parameters.iter().any(|parameter| parameter.name == *name) {
                let known = self.parameters.iter().map(|parameter| parameter.name.as_str());
                let near = nearest(name, known).map(str::to_owned);
                return Err(ResolveError::Unknown { recipe: self.name.clone(), name: name.clone(), near });
            }
        }
        let mut scope = Scope::default();
        for parameter in &self.parameters {
            let value = match request.values.get(&parameter.name) {
                Some(texts) if !texts.is_empty() => Some(read(parameter, texts)?),
                _ => parameter.default.clone(),
            };
            if let Some(value) = value {
                scope.set(&parameter.name, value);
            }
        }
        Ok(scope)
    }

    fn missing_selector(&self) -> ResolveError {
        let name = self.selector().map_or("", |selector| &selector.name);
        ResolveError::Missing { recipe: self.name.clone(), what: format!("--{name}") }
    }
}

fn read(parameter: &Parameter, texts: &[String]) -> Result<Value, ResolveError> {
    parameter
        .kind
        .value(texts)
        .map_err(|problem| bad(&format!("--{}", parameter.name), &texts.join(" "), problem))
}

pub(crate) fn bad(name: &str, value: &str, problem: impl Into<String>) -> ResolveError {
    ResolveError::Bad { name: name.to_owned(), value: value.to_owned(), problem: problem.into() }
}

fn is_path(model: &str) -> bool {
    ["/", "./", "../", "~"].iter().any(|start| model.starts_with(start))
}

/// A recipe with the variant that was chosen.
pub(crate) struct Chosen<'a> {
    pub(crate) recipe: &'a Recipe,
    variant: String,
    pub(crate) run: &'a Run,
    pub(crate) request: &'a Request,
}

impl Chosen<'_> {
    fn whom(&self) -> String {
        match self.recipe.selector() {
            Some(selector) => {
                format!("recipe {} with --{} {}", self.recipe.name, selector.name, self.variant)
            }
            None => format!("recipe {}", self.recipe.name),
        }
    }

    pub(crate) fn unwanted(&self, what: impl Into<String>) -> ResolveError {
        ResolveError::Unwanted { whom: self.whom(), what: what.into() }
    }

    fn check_parameters(&self) -> Result<(), ResolveError> {
        for parameter in &self.recipe.parameters {
            let given = self.request.values.get(&parameter.name).is_some_and(|texts| !texts.is_empty());
            let applies = parameter.only.is_empty() || parameter.only.contains(&self.variant);
            if given && !applies {
                return Err(self.unwanted(format!("--{}", parameter.name)));
            }
            let is_selector = matches!(parameter.kind, Kind::Variant(_));
            if parameter.required && applies && !given && !is_selector {
                let what = format!("--{}", parameter.name);
                return Err(ResolveError::Missing { recipe: self.recipe.name.clone(), what });
            }
        }
        if !self.request.extra.is_empty() && !self.run.takes_extra() {
            return Err(self.unwanted("arguments after --"));
        }
        if matches!(self.request.key, Key::Given(_)) && self.run.secret.is_none() {
            return Err(self.unwanted("key"));
        }
        Ok(())
    }

    /// Sets what stands for the model: in the forms in which this variant takes it.
    fn set_model(&self, scope: &mut Scope) -> Result<(), ResolveError> {
        if let Some(revision) = &self.request.revision {
            if !self.run.mentions("revision") {
                return Err(self.unwanted("--revision"));
            }
            check_revision(revision).map_err(|problem| bad("--revision", revision, problem))?;
            scope.set("revision", Value::Text(revision.clone()));
        }
        let Some(model) = &self.request.model else {
            return match &self.recipe.model {
                Some(known) if known.required => Err(ResolveError::Missing {
                    recipe: self.recipe.name.clone(),
                    what: "a model".to_owned(),
                }),
                _ => Ok(()),
            };
        };
        if self.recipe.model.is_none() {
            return Err(self.unwanted(format!("model ({model})")));
        }
        let [either, by_name, by_path] = self.run.model_forms();
        let is_path = is_path(model);
        let (form, taken) = if is_path { ("model-path", by_path) } else { ("model-name", by_name) };
        let checked = if is_path { check_path(model) } else { check_model_name(model) };
        checked.map_err(|problem| bad("model", model, problem))?;
        if !taken && !either {
            let problem = match is_path {
                true => format!("{} takes the name of a model, not a path", self.whom()),
                false => format!("{} takes the path of a model, which begins with / or ./", self.whom()),
            };
            return Err(bad("model", model, problem));
        }
        if is_path && self.request.revision.is_some() {
            return Err(bad("--revision", model, "a path has no revisions: leave it out"));
        }
        scope.set("model", Value::Text(model.clone()));
        scope.set(form, Value::Text(model.clone()));
        let way = self.recipe.model.as_ref().and_then(|known| way(known, self.run));
        if let (Some(snapshot), Some(way), false) = (&self.request.snapshot, way, is_path) {
            snapshot.set(way, model, scope);
        }
        Ok(())
    }

    fn spec(&self, mut scope: Scope) -> Result<ServiceSpec, ResolveError> {
        let around = &self.request.around;
        let resources = match self.request.job_options {
            true => filled_up(&around.resources, &self.run.job),
            false => around.resources.clone(),
        };
        let gpus = gpus::count(&resources);
        let mut set = |name: &str, count: Option<u64>| {
            if let Some(count) = count {
                scope.set(name, Value::Text(count.to_string()));
            }
        };
        set("gpus", gpus);
        set("extra", Some(self.request.extra.len() as u64).filter(|count| *count > 0));
        set("cpus", resources.cpus.map(u64::from));
        let key = self.key()?;
        if key.as_ref().is_some_and(|(secret, _)| secret.in_file) {
            scope.set(SECRET, Value::Text(SECRET_FILE.to_owned()));
        }
        let contained = self.contained(&scope, gpus.is_some())?;
        let mut command = self.words(&scope)?;
        let lines = match &contained {
            Some(contained) => contained.prepare(&mut command),
            None => &self.run.setup,
        };
        for name in around.env.keys() {
            check_variable(name).map_err(|error| bad("variable", name, error.problem))?;
        }
        let mut env = self.env(&scope);
        let typed = |name: &String| self.is_typed(name) && !self.request.said_env.contains(name);
        let theirs = around.env.iter().filter(|(name, _)| !env.contains_key(*name) || !typed(name));
        let theirs: Vec<_> = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
        env.extend(theirs);
        let secret = key.map(|(secret, key)| {
            env.insert(secret.env.clone(), key);
            Secret { env: secret.env.clone(), in_file: secret.in_file }
        });
        let lines = lines.iter().filter(|line| line.when.as_ref().is_none_or(|when| when.holds(&scope)));
        let setup = around.setup.iter().cloned().chain(lines.map(|line| line.line.clone())).collect();
        let health = around.health.clone().or_else(|| self.run.health.clone());
        // Who names another path asks for its status alone.
        let ready = if around.health.is_some() { Ready::default() } else { self.run.ready.clone() };
        let spec = ServiceSpec {
            name: around.name.clone(),
            profile: around.profile.clone(),
            command,
            setup,
            env,
            secret,
            chdir: around.chdir.clone(),
            container: None,
            bind: around.bind,
            health: health.unwrap_or_else(|| DEFAULT_HEALTH.to_owned()),
            ready,
            grace: around.grace.or(self.run.grace).unwrap_or(DEFAULT_GRACE),
            resources,
        };
        spec.check()?;
        match contained {
            Some(Contained { provider, config, .. }) => Ok(contain(spec, provider, config)?),
            None => Ok(spec),
        }
    }

    /// The key that clients must send, and how the server gets it.
    fn key(&self) -> Result<Option<(&crate::recipe::Secret, String)>, ResolveError> {
        let Some(secret) = &self.run.secret else { return Ok(None) };
        let said = self.request.around.env.get(&secret.env);
        let key = match (&self.request.key, said) {
            (Key::Given(key), _) | (Key::IfTaken(key), None) => key.clone(),
            (Key::None, None) => return Ok(None),
            // An empty variable is how one says that there is to be none.
            (Key::None | Key::IfTaken(_), Some(key)) if key.is_empty() => return Ok(None),
            (Key::None | Key::IfTaken(_), Some(key)) => SecretValue::new(key.as_str())
                .map_err(|what| SpecError::new("secret", format!("{}: {what}", secret.env)))?,
        };
        Ok(Some((secret, key.text().to_owned())))
    }

    fn env(&self, scope: &Scope) -> std::collections::BTreeMap<String, String> {
        let set = self.run.env.iter().filter_map(|(name, value)| Some((name.clone(), value.text(scope)?)));
        set.collect()
    }

    /// Whether a variable of the recipe hands on what the user said in an option.
    fn is_typed(&self, variable: &str) -> bool {
        let given = |name: &str| self.request.values.get(name).is_some_and(|texts| !texts.is_empty());
        self.run.env.iter().any(|(name, value)| name == variable && value.names().any(given))
    }

    pub(crate) fn words(&self, scope: &Scope) -> Result<Vec<String>, ResolveError> {
        let words = self.run.command.iter().map(|part| part.words(scope, &self.request.extra));
        let words: Option<Vec<Vec<String>>> = words.collect();
        // A recipe is refused in which a word may be missing; what is left is a model that was not given.
        let missing =
            || ResolveError::Missing { recipe: self.recipe.name.clone(), what: "a model".to_owned() };
        Ok(words.ok_or_else(missing)?.concat())
    }
}

/// The name of a model in a hub or library, such as `Qwen/Qwen3-8B` or `llama3.2:1b`.
fn check_model_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if begins && name.chars().all(plain) && name.len() <= 200 {
        return Ok(());
    }
    Err("a name holds letters, digits and -._/:@ alone; a path begins with /, ./ or ../".to_owned())
}

fn check_revision(revision: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let begins = revision.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && revision.chars().all(plain) {
        return Ok(());
    }
    Err("a revision is a branch, a tag or a commit".to_owned())
}

pub(crate) fn check_image(image: &str) -> Result<(), String> {
    if image.is_empty() || image.starts_with('-') || image.chars().any(char::is_control) {
        return Err("an image is a path or a URI such as docker://name:tag".to_owned());
    }
    check_path(image)
}
