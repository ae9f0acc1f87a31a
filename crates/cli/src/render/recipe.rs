//! Recipes as people and programs see them.

use std::path::Path;

use serde::Serialize;
use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_recipes::{Kind, Parameter, Part, Problem, Recipe, Run, Template, Value};

use super::words::{clean, clean_line};
use crate::recipes::{Found, Source};

/// A row of `recipe ls`, an element of its JSON array. Fields may be added; none changes its meaning or goes away.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ListedRecipe<'a> {
    name: &'a str,
    /// `project`, `user` or `built-in`.
    source: Source,
    /// Its file; `null` if it is built in.
    path: Option<&'a Path>,
    /// What it is; `null` if it cannot be read.
    summary: Option<&'a str>,
    /// Where the recipe is from that is meant by its name instead of it.
    hidden_by: Option<Source>,
    /// What is wrong with it.
    problem: Option<String>,
}

impl<'a> ListedRecipe<'a> {
    /// All of these, which come by name, the strongest first.
    pub(crate) fn all(found: &'a [Found]) -> Vec<Self> {
        let strongest = |name: &str| found.iter().find(|found| found.name == name).map(|found| found.source);
        let listed = |found: &'a Found| Self {
            name: &found.name,
            source: found.source,
            path: found.path.as_deref(),
            summary: found.recipe.as_ref().ok().map(Recipe::summary),
            hidden_by: strongest(&found.name).filter(|source| *source != found.source),
            problem: found.recipe.as_ref().err().map(ToString::to_string),
        };
        found.iter().map(listed).collect()
    }

    /// The cells of its row.
    pub(crate) fn cells(&self) -> [String; 3] {
        let source = match self.hidden_by {
            Some(by) => format!("{}, hidden by {}", self.source.as_str(), by.as_str()),
            None => self.source.as_str().to_owned(),
        };
        let what = match (self.summary, &self.problem) {
            (Some(summary), _) => summary.to_owned(),
            (None, Some(problem)) => format!("bad: {problem}"),
            (None, None) => String::new(),
        };
        [self.name.to_owned(), source, what]
    }
}

/// An element of the JSON array that `recipe check` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheckedRecipe<'a> {
    name: &'a str,
    path: Option<&'a Path>,
    ok: bool,
    problems: Vec<ProblemView<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct ProblemView<'a> {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> From<&'a Found> for CheckedRecipe<'a> {
    fn from(found: &'a Found) -> Self {
        let problems: &[Problem] = found.recipe.as_ref().err().map_or(&[], |bad| &bad.problems);
        let view = |problem: &'a Problem| ProblemView {
            line: problem.line,
            column: problem.column,
            message: &problem.message,
            hint: problem.hint.as_deref(),
        };
        Self {
            name: &found.name,
            path: found.path.as_deref(),
            ok: problems.is_empty(),
            problems: problems.iter().map(view).collect(),
        }
    }
}

/// A recipe in JSON. Fields may be added; none changes its meaning or goes away. What is not said is `null`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RecipeView<'a> {
    name: &'a str,
    source: Source,
    path: Option<&'a Path>,
    summary: &'a str,
    help: &'a str,
    /// The model; `null` if none is given to it.
    model: Option<ModelView<'a>>,
    parameters: Vec<ParameterView<'a>>,
    /// What it runs: one, or one for each variant.
    runs: Vec<RunView<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct ModelView<'a> {
    help: &'a str,
    required: bool,
}

#[derive(Clone, Debug, Serialize)]
struct ParameterView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    help: &'a str,
    /// As the command gets it.
    default: Option<String>,
    required: bool,
    choices: Option<&'a [String]>,
    min: Option<String>,
    max: Option<String>,
    pattern: Option<&'a str>,
    /// The variants that have it; all if empty.
    only: &'a [String],
}

#[derive(Clone, Debug, Serialize)]
struct RunView<'a> {
    /// Its variant; `null` if the recipe has none.
    variant: Option<&'a str>,
    /// As it is written in the recipe: a text is a word, an array a group, an object a group with its condition.
    command: Vec<serde_json::Value>,
    setup: Vec<serde_json::Value>,
    env: std::collections::BTreeMap<&'a str, String>,
    port: &'static str,
    health: Option<&'a str>,
    grace_seconds: Option<u64>,
    /// What an answer to the health path must be; `null` for any 2xx.
    ready: Option<&'a Ready>,
    job: &'a Resources,
    /// The variable by which it gets its key.
    secret: Option<&'a str>,
    /// Whether it reads the key from a file instead; `null` without a key.
    secret_in_file: Option<bool>,
    container: Option<ContainerView<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct ContainerView<'a> {
    default: Option<&'static str>,
    images: std::collections::BTreeMap<&'static str, &'a str>,
    program: Option<&'a str>,
    mounts: Vec<serde_json::Value>,
    setup: Vec<serde_json::Value>,
}

impl<'a> RecipeView<'a> {
    /// A recipe that was found.
    pub(crate) fn new(recipe: &'a Recipe, found: &'a Found) -> Self {
        Self {
            name: recipe.name(),
            source: found.source,
            path: found.path.as_deref(),
            summary: recipe.summary(),
            help: recipe.help(),
            model: recipe.model().map(|model| ModelView { help: &model.help, required: model.required }),
            parameters: recipe.parameters().iter().map(ParameterView::from).collect(),
            runs: recipe.runs().iter().map(|(variant, run)| RunView::new(variant, run)).collect(),
        }
    }
}

impl<'a> From<&'a Parameter> for ParameterView<'a> {
    fn from(parameter: &'a Parameter) -> Self {
        let (min, max) = match &parameter.kind {
            Kind::Integer { min, max } => (min.map(|min| min.to_string()), max.map(|max| max.to_string())),
            Kind::Float { min, max } => (min.map(|min| min.to_string()), max.map(|max| max.to_string())),
            _ => (None, None),
        };
        Self {
            name: &parameter.name,
            kind: parameter.kind.name(),
            help: &parameter.help,
            default: parameter.default.as_ref().map(Value::to_string),
            required: parameter.required,
            choices: parameter.kind.choices(),
            min,
            max,
            pattern: match &parameter.kind {
                Kind::Text(pattern) | Kind::List(pattern) => pattern.as_ref().map(|pattern| pattern.as_str()),
                _ => None,
            },
            only: &parameter.only,
        }
    }
}

impl<'a> RunView<'a> {
    fn new(variant: &'a str, run: &'a Run) -> Self {
        let lines = |lines: &[towline_recipes::Line]| {
            let line = |line: &towline_recipes::Line| match &line.when {
                Some(when) => serde_json::json!({ "when": when.name, "line": line.line }),
                None => line.line.as_str().into(),
            };
            lines.iter().map(line).collect::<Vec<_>>()
        };
        let container = run.container.as_ref().map(|container| ContainerView {
            default: container.default.map(towline_recipes::Provider::as_str),
            images: container
                .images
                .iter()
                .map(|(engine, image)| (engine.as_str(), image.as_str()))
                .collect(),
            program: container.program.as_deref(),
            mounts: container
                .mounts
                .iter()
                .map(|mount| {
                    serde_json::json!({
                        "source": mount.source.to_string(),
                        "target": mount.target.to_string(),
                        "read_only": mount.read_only,
                    })
                })
                .collect(),
            setup: lines(&container.setup),
        });
        Self {
            variant: Some(variant).filter(|variant| !variant.is_empty()),
            command: run.command.iter().map(part).collect(),
            setup: lines(&run.setup),
            env: run.env.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect(),
            port: run.port.as_str(),
            health: run.health.as_deref(),
            ready: Some(&run.ready).filter(|ready| !ready.is_any_success()),
            grace_seconds: run.grace.map(|grace| grace.as_secs()),
            job: &run.job,
            secret: run.secret.as_ref().map(|secret| secret.env.as_str()),
            secret_in_file: run.secret.as_ref().map(|secret| secret.in_file),
            container,
        }
    }
}

fn part(part: &Part) -> serde_json::Value {
    let words = |words: &[Template]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    match part {
        Part::Word(word) => word.to_string().into(),
        Part::Group(group) => words(group).into(),
        Part::When { when, words: group } => serde_json::json!({ "when": when.name, "words": words(group) }),
        Part::Extra => "{extra}".into(),
    }
}

/// A recipe for people.
pub(crate) fn recipe_details(view: &RecipeView<'_>) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut say = |key: &str, value: String| lines.push((key.to_owned(), value));
    say("name", view.name.to_owned());
    say(
        "source",
        match view.path {
            Some(path) => format!("{}: {}", view.source.as_str(), path.display()),
            None => view.source.as_str().to_owned(),
        },
    );
    say("summary", view.summary.to_owned());
    if let Some(model) = &view.model {
        say("model", format!("{}{}", model.help, if model.required { "" } else { " (may be left out)" }));
    }
    for parameter in &view.parameters {
        say("option", parameter_line(parameter));
    }
    for run in &view.runs {
        run_lines(run, &mut say);
    }
    let mut text: String =
        lines.iter().map(|(key, value)| format!("{key:12}{}\n", clean_line(value))).collect();
    if !view.help.trim().is_empty() {
        text.extend(["\n", &clean(view.help.trim()), "\n"]);
    }
    text
}

fn parameter_line(parameter: &ParameterView<'_>) -> String {
    let values = match (parameter.kind, parameter.choices) {
        ("boolean", _) => String::new(),
        (_, Some(choices)) => format!(" {}", choices.join("|")),
        (kind, None) => format!(" {}", kind.to_ascii_uppercase()),
    };
    let mut words = vec![format!("--{}{values}", parameter.name), parameter.help.to_owned()];
    match (&parameter.min, &parameter.max) {
        (Some(min), Some(max)) => words.push(format!("({min} to {max})")),
        (Some(min), None) => words.push(format!("({min} or more)")),
        (None, Some(max)) => words.push(format!("({max} at most)")),
        (None, None) => {}
    }
    words.extend(parameter.default.as_ref().map(|default| format!("[default: {default}]")));
    if parameter.required {
        words.push("(must be given)".to_owned());
    }
    if !parameter.only.is_empty() {
        words.push(format!("({} only)", parameter.only.join(", ")));
    }
    words.join(" ")
}

fn run_lines(run: &RunView<'_>, say: &mut dyn FnMut(&str, String)) {
    if let Some(variant) = run.variant {
        say("variant", variant.to_owned());
    }
    let parts: Vec<String> = run
        .command
        .iter()
        .map(|part| match part.as_str() {
            Some(word) => visible(word),
            None => words_of(part),
        })
        .collect();
    say("command", parts.join(" "));
    for line in &run.setup {
        say("setup", words_of(line));
    }
    for (name, value) in &run.env {
        say("variable", format!("{name}={value}"));
    }
    let grace = run.grace_seconds.map(|grace| format!(" within {grace} s")).unwrap_or_default();
    say("health", format!("{}{grace}", run.health.unwrap_or(towline_core::spec::DEFAULT_HEALTH)));
    let asked = crate::recipes::job_words(run.job);
    if !asked.is_empty() {
        say("job", asked.join(" "));
    }
    match (run.secret, run.secret_in_file) {
        (Some(_), Some(true)) => say("key", "in a file".to_owned()),
        (Some(secret), _) => say("key", format!("by the variable {secret}")),
        (None, _) => {}
    }
    for (engine, image) in run.container.iter().flat_map(|container| &container.images) {
        say("image", format!("{image} ({engine})"));
    }
}

/// A part of a command, or a line of setup, as it is written, with its condition behind it.
fn words_of(part: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let words = |list: &serde_json::Value| {
        let words: Vec<String> =
            list.as_array().into_iter().flatten().map(|word| visible(&text(word))).collect();
        format!("[{}]", words.join(" "))
    };
    match part {
        serde_json::Value::Array(_) => words(part),
        serde_json::Value::Object(fields) => {
            let what = fields.get("words").map(words).or_else(|| fields.get("line").map(text));
            let when = fields.get("when").map(text).unwrap_or_default();
            format!("{}?{when}", what.unwrap_or_default())
        }
        _ => text(part),
    }
}

/// A word so that one sees where it ends.
fn visible(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) { format!("{word:?}") } else { word.to_owned() }
}
