//! A whole recipe.

use std::collections::BTreeMap;

use toml_edit::Document;

use super::check::check;
use super::document::{Node, Reader, Section};
use super::parameter::parameters;
use super::run::{KEYS as RUN_KEYS, RawRun, raw_run};
use crate::problem::Problem;
use crate::recipe::{Model, Recipe, Run, check_name};

/// The keys of a recipe besides those of what it runs.
const KEYS: [&str; 5] = ["summary", "help", "model", "parameters", "variants"];

/// Reads a recipe.
///
/// # Errors
/// All problems of the text, at least one.
pub(crate) fn recipe(name: &str, text: &str) -> Result<Recipe, Vec<Problem>> {
    let reader = Reader::new(text);
    if let Err(problem) = check_name(name) {
        reader.note(&(0..0), format!("{name:?} cannot be called so: {problem}"), None);
    }
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = error.span().unwrap_or(0..0);
            let message = error.message().lines().next().unwrap_or("it is no TOML").to_owned();
            reader.note(&at, message, None);
            return Err(reader.finish());
        }
    };
    let read = whole(&reader, name, document.as_table());
    match (reader.finish(), read) {
        (problems, Some(recipe)) if problems.is_empty() => Ok(recipe),
        (problems, _) => Err(problems),
    }
}

fn whole(reader: &Reader<'_>, name: &str, table: &toml_edit::Table) -> Option<Recipe> {
    let root = Section::root(reader, table);
    root.only("a recipe", &[&KEYS[..], &RUN_KEYS[..]].concat());
    let summary = root
        .need("the recipe", "summary", "say in a line what it runs: summary = \"...\"")
        .and_then(|node| node.line());
    let shared = raw_run(root);
    let variants = variants(root);
    let names: Vec<String> = variants.iter().map(|(name, ..)| name.clone()).collect();
    let (parameters, places) = parameters(root, &names);
    let runs: BTreeMap<String, Option<Run>> = match variants.is_empty() {
        true => BTreeMap::from([(String::new(), shared.complete(root, "the recipe"))]),
        false => {
            let complete = |(name, section, own): (String, Section<'_>, RawRun)| {
                let run = own.over(shared.clone()).complete(section, &format!("variant {name}"));
                (name, run)
            };
            variants.into_iter().map(complete).collect()
        }
    };
    // What is missing was noted: with less than the whole nothing more can be said of it.
    let runs: BTreeMap<String, Run> =
        runs.into_iter().map(|(name, run)| run.map(|run| (name, run))).collect::<Option<_>>()?;
    let recipe = Recipe {
        name: name.to_owned(),
        summary: summary?,
        help: root.get("help").and_then(|node| paragraphs(&node)).unwrap_or_default(),
        model: model(root),
        parameters: parameters?,
        runs,
    };
    check(root, &recipe, &places);
    Some(recipe)
}

fn model(root: Section<'_>) -> Option<Model> {
    let section = root.section("model")?;
    section.only("[model]", &["help", "required", "served", "hub"]);
    let help = section.get("help").and_then(|node| node.line());
    Some(Model {
        help: help.unwrap_or_else(|| "Name of the model, or its path, which begins with / or ./".to_owned()),
        required: section.truth("required").unwrap_or(true),
        served: section.text("served"),
        hub: section.text("hub"),
    })
}

/// The variants, in the order of the text: name, table, and what each says.
fn variants<'a>(root: Section<'a>) -> Vec<(String, Section<'a>, RawRun)> {
    let Some(section) = root.section("variants") else { return Vec::new() };
    if section.keys().is_empty() {
        section.reader.note(&root.place("variants"), "variants has no variant in it", None);
    }
    let mut variants = Vec::new();
    for name in section.keys() {
        if let Err(problem) = check_name(name) {
            let message = format!("{name:?} cannot be the name of a variant");
            section.reader.note(&section.place(name), message, Some(problem.replace("a recipe's", "its")));
        }
        if let Some(variant) = section.section(name) {
            variant.only(&format!("variant {name}"), &RUN_KEYS);
            variants.push((name.to_owned(), variant, raw_run(variant)));
        }
    }
    variants
}

/// A text of several lines. What else a terminal obeys is nothing that a recipe may say.
fn paragraphs(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.chars().any(|c| c.is_control() && c != '\n') {
        node.note("help holds a control character", None);
        return None;
    }
    Some(text)
}
