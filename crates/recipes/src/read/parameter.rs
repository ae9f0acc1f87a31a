//! The parameters of a recipe.

use std::collections::BTreeMap;
use std::ops::Range;

use super::document::{Node, Section, suggestion};
use crate::parameter::{Kind, Parameter, Pattern, Value};
use crate::scope::BUILT_IN_NAMES;
use crate::template::is_name;

/// The types, by their names in a recipe, with the keys that each has besides those of all.
const TYPES: [(&str, &[&str]); 8] = [
    ("string", &["pattern"]),
    ("integer", &["min", "max"]),
    ("float", &["min", "max"]),
    ("boolean", &[]),
    ("choice", &["choices"]),
    ("variant", &[]),
    ("path", &[]),
    ("list", &["pattern"]),
];

const KEYS: [&str; 5] = ["type", "help", "default", "required", "only"];

/// Options of `run` itself, and those that it is to have: no parameter can be called so.
const TAKEN: [&str; 42] = [
    "account",
    "api-key",
    "bind",
    "chdir",
    "constraint",
    "container",
    "cpus",
    "detach",
    "dry-run",
    "env",
    "exclude",
    "file",
    "gpus",
    "grace",
    "gres",
    "health",
    "help",
    "image",
    "json",
    "mem",
    "model",
    "mount",
    "name",
    "network",
    "nodelist",
    "nodes",
    "ntasks-per-node",
    "partition",
    "profile",
    "qos",
    "quiet",
    "recipe",
    "requeue",
    "reservation",
    "revision",
    "sbatch-arg",
    "userns",
    "secret",
    "setup",
    "time",
    "verbose",
    "version",
];

/// Whether a parameter cannot be called so, since the program that runs recipes has an option of that name or means to.
pub(crate) fn is_taken(name: &str) -> bool {
    let plain = name.strip_prefix("no-").unwrap_or(name);
    TAKEN.contains(&plain)
}

/// Reads the parameters, in the order of the text, and where each stands. `None` if one could not be read.
pub(super) fn parameters(
    root: Section<'_>,
    variants: &[String],
) -> (Option<Vec<Parameter>>, BTreeMap<String, Range<usize>>) {
    let mut places = BTreeMap::new();
    let mut read = Some(Vec::new());
    if let Some(section) = root.section("parameters") {
        for name in section.keys() {
            let at = section.place(name);
            check_name(section, name, &at);
            places.insert(name.to_owned(), at);
            let parameter = section.section(name).and_then(|table| parameter(name, table, variants));
            match (&mut read, parameter) {
                (Some(read), Some(parameter)) => read.push(parameter),
                (read, _) => *read = None,
            }
        }
    }
    if let Some(read) = &read {
        check_selector(root, read, variants, &places);
    }
    (read, places)
}

fn check_name(section: Section<'_>, name: &str, at: &Range<usize>) {
    let problem = if !is_name(name) {
        "a parameter's name has a-z, 0-9 and '-' alone, begins with a letter, and has at most 40 characters"
    } else if is_taken(name) {
        "that is an option of run itself"
    } else if name.starts_with("no-") {
        "what begins with no- turns a parameter off"
    } else if BUILT_IN_NAMES.iter().any(|(known, _)| *known == name) {
        "that is what the recipe's own places are called"
    } else {
        return;
    };
    section.reader.note(at, format!("{name} cannot be a parameter's name: {problem}"), None);
}

/// A recipe with variants has one parameter that chooses between them; one without has none.
fn check_selector(
    root: Section<'_>,
    parameters: &[Parameter],
    variants: &[String],
    places: &BTreeMap<String, Range<usize>>,
) {
    let selectors: Vec<&Parameter> =
        parameters.iter().filter(|parameter| matches!(parameter.kind, Kind::Variant(_))).collect();
    let place = |name: &str| places.get(name).cloned().unwrap_or(0..0);
    match selectors.as_slice() {
        [] if !variants.is_empty() => {
            let hint = "add one: [parameters.engine] with type = \"variant\" and a default";
            let message = "no parameter chooses between the variants";
            root.reader.note(&root.place("variants"), message, Some(hint.to_owned()));
        }
        [one] if variants.is_empty() => {
            let hint = "add them: [variants.NAME] with a command each";
            root.reader.note(&place(&one.name), "there are no variants to choose", Some(hint.to_owned()));
        }
        [_, more, ..] => {
            root.reader.note(&place(&more.name), "a second parameter of type variant", None);
        }
        _ => {}
    }
    for parameter in selectors {
        if parameter.default.is_none() && !parameter.required {
            let message = format!("{} has no default and is not required", parameter.name);
            root.reader.note(&place(&parameter.name), message, Some("add a default".to_owned()));
        }
    }
}

fn parameter(name: &str, table: Section<'_>, variants: &[String]) -> Option<Parameter> {
    let whole = format!("[parameters.{name}]");
    let types = TYPES.map(|(name, _)| name);
    let hint = format!("it is one of {}", types.join(", "));
    let node = table.need(&whole, "type", &hint)?;
    let of_type = node.text()?;
    let Some((_, own)) = TYPES.iter().find(|(known, _)| *known == of_type) else {
        node.note(format!("{of_type} is no type of a parameter"), Some(suggestion(&of_type, &types)));
        return None;
    };
    table.only(&format!("{whole} of type {of_type}"), &[&KEYS[..], own].concat());
    let help = table.need(&whole, "help", "say in a line what it is for").and_then(|node| node.line());
    let kind = kind(&of_type, &whole, table, variants)?;
    let default = match table.get("default") {
        Some(node) => {
            let default = default(&kind, &node)?;
            if default.to_string().chars().any(char::is_control) {
                node.note("bad default: it holds a control character", None);
            }
            Some(default)
        }
        None => None,
    };
    let required = table.truth("required").unwrap_or(false);
    if required && default.is_some() {
        table.reader.note(
            &table.place("required"),
            format!("{name} has a default: it is never missing"),
            None,
        );
    }
    let only = table.get("only").map(|node| only(&node, variants)).unwrap_or_default();
    Some(Parameter { name: name.to_owned(), kind, help: help?, default, required, only })
}

fn kind(of_type: &str, whole: &str, table: Section<'_>, variants: &[String]) -> Option<Kind> {
    Some(match of_type {
        "integer" => {
            let bound = |key| table.get(key).map_or(Some(None), |node| node.integer().map(Some));
            let (min, max) = (bound("min")?, bound("max")?);
            in_order(table, min.zip(max).is_some_and(|(min, max)| min > max));
            Kind::Integer { min, max }
        }
        "float" => {
            let bound = |key| table.get(key).map_or(Some(None), |node| node.number().map(Some));
            let (min, max) = (bound("min")?, bound("max")?);
            in_order(table, min.zip(max).is_some_and(|(min, max)| min > max));
            Kind::Float { min, max }
        }
        "boolean" => Kind::Boolean,
        "choice" => {
            let node = table.need(whole, "choices", "list them: choices = [\"a\", \"b\"]")?;
            let words: Vec<String> = node.list()?.iter().map(Node::line).collect::<Option<_>>()?;
            if words.is_empty() {
                node.note("choices has no word in it", None);
                return None;
            }
            Kind::Choice(words)
        }
        "variant" => Kind::Variant(variants.to_vec()),
        "path" => Kind::Path,
        "list" => Kind::List(pattern(table)?),
        _ => Kind::Text(pattern(table)?),
    })
}

fn in_order(table: Section<'_>, is_wrong: bool) {
    if is_wrong {
        table.reader.note(&table.place("max"), "max is below min", None);
    }
}

/// The pattern, if there is one that could be read; `None` if it could not.
fn pattern(table: Section<'_>) -> Option<Option<Pattern>> {
    let Some(node) = table.get("pattern") else { return Some(None) };
    match Pattern::read(&node.text()?) {
        Ok(pattern) => Some(Some(pattern)),
        Err(problem) => {
            node.note(format!("bad pattern: {problem}"), None);
            None
        }
    }
}

fn default(kind: &Kind, node: &Node<'_>) -> Option<Value> {
    let texts = match kind {
        Kind::Boolean => vec![node.truth()?.to_string()],
        Kind::Integer { .. } => vec![node.integer()?.to_string()],
        Kind::Float { .. } => vec![node.number()?.to_string()],
        Kind::List(_) => node.list()?.iter().map(Node::text).collect::<Option<_>>()?,
        Kind::Text(_) | Kind::Choice(_) | Kind::Variant(_) | Kind::Path => vec![node.text()?],
    };
    match kind.value(&texts) {
        Ok(value) => Some(value),
        Err(problem) => {
            let hint = kind.choices().map(|words| {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                suggestion(texts.first().map_or("", String::as_str), &words)
            });
            node.note(format!("bad default: {problem}"), hint);
            None
        }
    }
}

fn only(node: &Node<'_>, variants: &[String]) -> Vec<String> {
    let known: Vec<&str> = variants.iter().map(String::as_str).collect();
    let mut only = Vec::new();
    for element in node.list().unwrap_or_default() {
        let Some(name) = element.text() else { continue };
        if !known.contains(&name.as_str()) {
            element.note(format!("there is no variant {name}"), Some(suggestion(&name, &known)));
        }
        only.push(name);
    }
    only
}
