//! From a recipe and what is asked of it to the spec of a service.

use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::runner::check_variable;
use towline_core::spec::{DEFAULT_GRACE, DEFAULT_HEALTH, ServiceSpec, SpecError};

use crate::apptainer::{self, Bound};
use crate::command::Line;
use crate::gpus;
use crate::parameter::{Kind, Parameter, Value, check_path};
use crate::recipe::{Container, Provider, Recipe, Run};
use crate::request::{Containing, Request};
use crate::scope::Scope;
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
        let given = self.given(request)?;
        let variant = match self.selector().and_then(|selector| given.get(&selector.name)) {
            Some(Value::Text(name)) => name.clone(),
            _ => String::new(),
        };
        let run = self.runs.get(&variant).ok_or_else(|| self.missing_selector())?;
        let chosen = Chosen { recipe: self, variant: &variant, run, request };
        chosen.check_parameters()?;
        let mut scope = given;
        chosen.set_model(&mut scope)?;
        chosen.spec(scope)
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

fn bad(name: &str, value: &str, problem: impl Into<String>) -> ResolveError {
    ResolveError::Bad { name: name.to_owned(), value: value.to_owned(), problem: problem.into() }
}

/// A recipe with the variant that was chosen.
struct Chosen<'a> {
    recipe: &'a Recipe,
    variant: &'a str,
    run: &'a Run,
    request: &'a Request,
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

    fn unwanted(&self, what: impl Into<String>) -> ResolveError {
        ResolveError::Unwanted { whom: self.whom(), what: what.into() }
    }

    fn check_parameters(&self) -> Result<(), ResolveError> {
        for parameter in &self.recipe.parameters {
            let given = self.request.values.get(&parameter.name).is_some_and(|texts| !texts.is_empty());
            let applies = parameter.only.is_empty() || parameter.only.iter().any(|name| name == self.variant);
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
        if self.request.secret.is_some() && self.run.secret.is_none() {
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
        let is_path =
            ["/", "./", "../"].iter().any(|start| model.starts_with(start)) || model.starts_with('~');
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
        let (command, lines) = self.command(&scope, gpus.is_some())?;
        for name in around.env.keys() {
            check_variable(name).map_err(|error| bad("variable", name, error.problem))?;
        }
        let mut env = self.env(&scope);
        let typed = |name: &String| self.is_typed(name) && !self.request.said_env.contains(name);
        let theirs = around.env.iter().filter(|(name, _)| !env.contains_key(*name) || !typed(name));
        let theirs: Vec<_> = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
        env.extend(theirs);
        if let (Some(secret), Some(value)) = (&self.run.secret, &self.request.secret) {
            env.insert(secret.env.clone(), value.0.clone());
        }
        let lines = lines.iter().filter(|line| line.when.as_deref().is_none_or(|when| scope.holds(when)));
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
            chdir: around.chdir.clone(),
            bind: around.bind,
            health: health.unwrap_or_else(|| DEFAULT_HEALTH.to_owned()),
            ready,
            grace: around.grace.or(self.run.grace).unwrap_or(DEFAULT_GRACE),
            resources,
        };
        spec.check()?;
        Ok(spec)
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

    /// The command as it is run, in a container or not, and the lines of shell before it.
    fn command(&self, scope: &Scope, gpus: bool) -> Result<(Vec<String>, &[Line]), ResolveError> {
        let words = self.words(scope)?;
        let Some((provider, container)) = self.container()? else {
            return match self.request.image {
                Some(_) => Err(self.unwanted("--image without a container")),
                None => Ok((words, &self.run.setup)),
            };
        };
        let Some(image) = self.request.image.as_ref().or_else(|| container.images.get(&provider)) else {
            let what = format!("--image, since it names none for {provider}");
            return Err(ResolveError::Missing { recipe: self.recipe.name.clone(), what });
        };
        check_image(image).map_err(|problem| bad("--image", image, problem))?;
        let mut mounts = Vec::new();
        for mount in &container.mounts {
            let (Some(source), Some(target)) = (mount.source.text(scope), mount.target.text(scope)) else {
                continue;
            };
            let whole = |path: &str| path.starts_with('/') && !path.contains(['\n', '\0']);
            if let Some(path) = [&source, &target].into_iter().find(|path| !whole(path)) {
                return Err(bad("mount", path, "in a container a path has to begin with /"));
            }
            let of_model = mount.source.only_name() == Some("model-path") && source == target;
            let source = if of_model { apptainer::with_links(&source) } else { source };
            let target = if of_model { source.clone() } else { target };
            mounts.push(Bound { source, target, read_only: mount.read_only });
        }
        // No scheduler says which GPUs there are; without any, Apptainer warns and goes on.
        let gpus = gpus || !self.request.job_options && gpus::count(&self.run.job).is_some();
        match provider {
            Provider::Apptainer => Ok((apptainer::command(image, &mounts, gpus, words), &container.setup)),
        }
    }

    fn container(&self) -> Result<Option<(Provider, &Container)>, ResolveError> {
        let container = self.run.container.as_ref();
        match (self.request.container, container) {
            (Containing::Bare, _) | (Containing::AsRecipe, None) => Ok(None),
            (Containing::AsRecipe, Some(container)) => Ok(container.default.map(|it| (it, container))),
            (Containing::In(provider), Some(container)) => Ok(Some((provider, container))),
            (Containing::In(_), None) => Err(self.unwanted("container")),
        }
    }

    fn words(&self, scope: &Scope) -> Result<Vec<String>, ResolveError> {
        let words = self.run.command.iter().map(|part| part.words(scope, &self.request.extra));
        let words: Option<Vec<Vec<String>>> = words.collect();
        // A recipe is refused in which a word may be missing; what is left is a model that was not given.
        let missing =
            || ResolveError::Missing { recipe: self.recipe.name.clone(), what: "a model".to_owned() };
        Ok(words.ok_or_else(missing)?.concat())
    }
}

/// What is asked for, with the fields that are unset from `defaults`.
pub(crate) fn filled_up(asked: &Resources, defaults: &Resources) -> Resources {
    let text = |asked: &Option<String>, default: &Option<String>| asked.clone().or_else(|| default.clone());
    // Of the two notations for GPUs the one that was used replaces the other.
    let has_gpus = asked.gpus.is_some() || asked.gres.as_deref().is_some_and(gpus::are_in);
    let unless_gpus = |default: &Option<String>| if has_gpus { None } else { default.clone() };
    // How one says that there are to be none, which is not the same as saying nothing.
    let gpus = asked.gpus.clone().filter(|gpus| gpus != "0");
    Resources {
        time: text(&asked.time, &defaults.time),
        mem: text(&asked.mem, &defaults.mem),
        cpus: asked.cpus.or(defaults.cpus),
        gpus: gpus.or_else(|| unless_gpus(&defaults.gpus)),
        gres: asked.gres.clone().or_else(|| unless_gpus(&defaults.gres)),
        nodes: asked.nodes.or(defaults.nodes),
        ntasks_per_node: asked.ntasks_per_node.or(defaults.ntasks_per_node),
        partition: text(&asked.partition, &defaults.partition),
        constraint: text(&asked.constraint, &defaults.constraint),
        account: text(&asked.account, &defaults.account),
        qos: text(&asked.qos, &defaults.qos),
        reservation: text(&asked.reservation, &defaults.reservation),
        nodelist: text(&asked.nodelist, &defaults.nodelist),
        exclude: text(&asked.exclude, &defaults.exclude),
        requeue: asked.requeue.or(defaults.requeue),
        submit_args: defaults.submit_args.iter().chain(&asked.submit_args).cloned().collect(),
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
