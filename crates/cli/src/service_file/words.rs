//! From a service of a file to the command line of `run`: one way to read options, and one set of rules for them.

use std::ops::Range;

use clap::{ArgAction, Args as _, Command};
use towline_core::runner::check_variable;
use towline_core::spec::ServiceName;

use crate::args::JobArgs;

/// A value of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Text(String),
    Truth(bool),
    List(Vec<Self>),
    Table(Vec<(String, Self)>),
}

/// What a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    Number,
    Truth,
    List,
    Table,
}

/// A key of a service.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) takes: Takes,
    pub(super) help: String,
    /// The option that it stands for; nothing for words that are no options.
    long: Option<String>,
}

/// Keys that go with `exact` alone, or mean something else there.
pub(super) const EXACT_KEYS: [&str; 3] = ["container", "ready", "secret"];

/// Keys that go with a recipe alone.
pub(super) const RECIPE_KEYS: [&str; 5] = ["model", "revision", "parameters", "args", "api_key"];

/// Options with a number.
const NUMBERS: [&str; 3] = ["cpus", "nodes", "ntasks_per_node"];

/// All keys but those of `exact`, in the order of their names.
pub(super) fn keys() -> Vec<Key> {
    let own = |name: &str, takes, help: &str, long: Option<&str>| Key {
        name: name.to_owned(),
        takes,
        help: help.to_owned(),
        long: long.map(str::to_owned),
    };
    let mut keys = vec![
        own("profile", Takes::Text, "Where to run it [default: the default profile]", Some("profile")),
        own("chdir", Takes::Text, "Working directory where it runs [default: the home there]", Some("chdir")),
        own("command", Takes::List, "Program and arguments", None),
        own("recipe", Takes::Text, "Recipe to run instead of a command", None),
        own("model", Takes::Text, "The model that a recipe serves", None),
        own("revision", Takes::Text, "Revision of a model that is given by name", Some("revision")),
        own("parameters", Takes::Table, "Parameters of the recipe", None),
        own("args", Takes::List, "Further arguments for the program of a recipe", None),
        own(
            "api_key",
            Takes::Text,
            "The key that clients must send: env:NAME, file:PATH or none",
            Some("api-key"),
        ),
        own("image", Takes::Text, "Image of the container", Some("image")),
        own("pass_env", Takes::List, "Variables whose values are those where towline is run", None),
    ];
    for arg in JobArgs::augment_args(Command::new("run")).get_arguments() {
        let name = arg.get_id().to_string();
        let takes = match (name.as_str(), arg.get_action()) {
            ("no_requeue" | "help", _) => continue,
            ("env", _) => Takes::Table,
            (_, ArgAction::SetTrue) => Takes::Truth,
            (_, ArgAction::Append) => Takes::List,
            _ if NUMBERS.contains(&name.as_str()) => Takes::Number,
            _ => Takes::Text,
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let long = arg.get_long().map(str::to_owned);
        keys.push(Key { name, takes, help, long });
    }
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    keys
}

/// The command line that starts a service, which stands at these bytes.
///
/// # Errors
/// The place of the key and what is wrong with it; no value is in it.
pub(super) fn words(
    name: &ServiceName,
    at: &Range<usize>,
    said: &[(&str, Said, Range<usize>)],
) -> Result<Vec<String>, (Range<usize>, String)> {
    let find = |key: &str| said.iter().find(|(known, ..)| *known == key);
    let (recipe, command) = (find("recipe"), find("command"));
    match (recipe, command) {
        (Some((.., a)), Some((.., b))) => {
            let second = if a.start > b.start { a } else { b };
            return Err((second.clone(), "it has a command or a recipe, not both".to_owned()));
        }
        (None, None) => return Err((at.clone(), "it needs a command or a recipe".to_owned())),
        _ => {}
    }
    let mut before = vec!["towline".to_owned(), "run".to_owned(), format!("--name={name}")];
    let (mut positional, mut after) = (Vec::new(), Vec::new());
    let mut last = Vec::new();
    let keys = keys();
    for key in &keys {
        let Some((_, value, at)) = find(&key.name) else { continue };
        let wrong = |problem: String| (at.clone(), problem);
        if recipe.is_none() && RECIPE_KEYS.contains(&key.name.as_str()) {
            return Err(wrong(format!("{} goes with a recipe", key.name)));
        }
        let options = if RECIPE_KEYS.contains(&key.name.as_str()) { &mut after } else { &mut before };
        match (key.name.as_str(), key.takes) {
            ("command" | "args", _) => last = texts(key, value).map_err(wrong)?,
            ("recipe", _) => positional.insert(0, positional_text(key, value).map_err(wrong)?),
            ("model", _) => positional.push(positional_text(key, value).map_err(wrong)?),
            ("parameters", _) => {
                for (parameter, value) in fields(key, value).map_err(wrong)? {
                    options.extend(parameter_words(parameter, value).map_err(wrong)?);
                }
            }
            ("env", _) => {
                for (variable, value) in fields(key, value).map_err(wrong)? {
                    check_variable(variable).map_err(|error| wrong(error.to_string()))?;
                    let value = scalar(value)
                        .ok_or_else(|| wrong(format!("the value of {variable} in env is a text")))?;
                    options.push(format!("--env={variable}={value}"));
                }
            }
            ("pass_env", _) => {
                for variable in texts(key, value).map_err(wrong)? {
                    check_variable(&variable).map_err(|error| wrong(error.to_string()))?;
                    options.push(format!("--env={variable}"));
                }
            }
            ("api_key", _) => {
                let value = text(key, value).map_err(wrong)?;
                let is_place = value == "none" || value.starts_with("env:") || value.starts_with("file:");
                if !is_place {
                    return Err(wrong(
                        "api_key is env:NAME, file:PATH or none; a key itself belongs into a file of its own"
                            .to_owned(),
                    ));
                }
                options.push(format!("--api-key={value}"));
            }
            (_, Takes::Truth) => match value {
                Said::Truth(true) => options.push(format!("--{}", long(key))),
                Said::Truth(false) => options.push(format!("--no-{}", long(key))),
                _ => return Err(wrong(format!("{} is true or false", key.name))),
            },
            (_, Takes::List) => {
                options.extend(
                    texts(key, value).map_err(wrong)?.iter().map(|text| format!("--{}={text}", long(key))),
                );
            }
            (_, Takes::Text | Takes::Number | Takes::Table) => {
                options.push(format!("--{}={}", long(key), text(key, value).map_err(wrong)?))
            }
        }
    }
    before.extend(positional.into_iter().chain(after));
    if !last.is_empty() {
        before.push("--".to_owned());
        before.extend(last);
    }
    Ok(before)
}

fn long(key: &Key) -> &str {
    key.long.as_deref().unwrap_or(&key.name)
}

fn scalar(value: &Said) -> Option<String> {
    match value {
        Said::Text(text) => Some(text.clone()),
        Said::Truth(truth) => Some(truth.to_string()),
        Said::List(_) | Said::Table(_) => None,
    }
}

fn text(key: &Key, value: &Said) -> Result<String, String> {
    match value {
        Said::Text(text) => Ok(text.clone()),
        _ => Err(format!("{} is a text or a number", key.name)),
    }
}

/// A text that no option is taken for.
fn positional_text(key: &Key, value: &Said) -> Result<String, String> {
    let text = text(key, value)?;
    if text.starts_with('-') {
        return Err(format!("{} begins with a hyphen", key.name));
    }
    Ok(text)
}

/// The texts of a list.
fn texts(key: &Key, value: &Said) -> Result<Vec<String>, String> {
    let wrong = || format!("{} is a list of texts", key.name);
    let Said::List(list) = value else { return Err(wrong()) };
    list.iter().map(|item| scalar(item).ok_or_else(wrong)).collect()
}

fn fields<'a>(key: &Key, value: &'a Said) -> Result<&'a [(String, Said)], String> {
    match value {
        Said::Table(fields) => Ok(fields),
        _ => Err(format!("{} is a table", key.name)),
    }
}

fn parameter_words(name: &str, value: &Said) -> Result<Vec<String>, String> {
    let one = |value: &Said| match value {
        Said::Truth(true) => Some(format!("--{name}")),
        Said::Truth(false) => Some(format!("--no-{name}")),
        Said::Text(text) => Some(format!("--{name}={text}")),
        Said::List(_) | Said::Table(_) => None,
    };
    let words: Option<Vec<String>> = match value {
        Said::List(list) => list.iter().map(one).collect(),
        value => one(value).map(|word| vec![word]),
    };
    words.ok_or_else(|| format!("parameter {name} is a text, a number, true, false, or a list of texts"))
}
