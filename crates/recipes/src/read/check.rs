//! What the parts of a recipe must be to one another.

use std::collections::BTreeMap;
use std::ops::Range;

use super::document::{Section, suggestion};
use crate::command::{Condition, Part};
use crate::parameter::{Kind, Parameter};
use crate::recipe::{Port, Recipe, Run};
use crate::scope::{BUILT_IN_NAMES, SECRET};
use crate::template::Template;

/// Notes what does not fit together in a recipe each part of which is right by itself.
pub(super) fn check(root: Section<'_>, recipe: &Recipe, places: &BTreeMap<String, Range<usize>>) {
    for (variant, run) in &recipe.runs {
        Checked { root, recipe, variant, run }.check();
    }
    for parameter in &recipe.parameters {
        let is_used = recipe.runs.values().any(|run| run.mentions(&parameter.name));
        if !is_used && !matches!(parameter.kind, Kind::Variant(_)) {
            let at = places.get(&parameter.name).cloned().unwrap_or(0..0);
            let hint = format!("write {{{}}} where its value goes, or take it out", parameter.name);
            root.reader.note(&at, format!("parameter {} is used nowhere", parameter.name), Some(hint));
        }
    }
}

struct Checked<'a> {
    root: Section<'a>,
    recipe: &'a Recipe,
    variant: &'a str,
    run: &'a Run,
}

impl Checked<'_> {
    fn check(&self) {
        self.check_names();
        self.check_conditions();
        self.check_words();
        self.check_port();
        self.check_model();
        self.check_secret();
    }

    fn whom(&self) -> String {
        if self.variant.is_empty() { "the recipe".to_owned() } else { format!("variant {}", self.variant) }
    }

    /// Where to point at for the command as a whole.
    fn at_command(&self) -> Range<usize> {
        match self.run.command.first().map(Part::templates) {
            Some([first, ..]) => first.at.clone(),
            _ => self.root.begin(),
        }
    }

    fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.recipe.parameters.iter().find(|parameter| parameter.name == name)
    }

    fn is_list(&self, name: &str) -> bool {
        name == "extra" || self.parameter(name).is_some_and(|parameter| parameter.kind.is_list())
    }

    fn takes_file(&self) -> bool {
        self.run.secret.as_ref().is_some_and(|secret| secret.in_file)
    }

    fn known(&self) -> Vec<&str> {
        let built_in = BUILT_IN_NAMES.iter().map(|(name, _)| *name);
        self.recipe.parameters.iter().map(|parameter| parameter.name.as_str()).chain(built_in).collect()
    }

    /// What is wrong with a name in this variant, and a hint.
    fn misused(&self, name: &str) -> Option<(String, Option<String>)> {
        let is_built_in = BUILT_IN_NAMES.iter().any(|(known, _)| *known == name);
        match self.parameter(name) {
            None if !is_built_in => {
                Some((format!("there is no parameter {name}"), Some(suggestion(name, &self.known()))))
            }
            None if name.starts_with("model") || name == "revision" => {
                let hint = "a recipe whose services serve a model has a table [model]";
                let is_missing = self.recipe.model.is_none();
                is_missing.then(|| (format!("{{{name}}} in a recipe without a model"), Some(hint.to_owned())))
            }
            None if name == SECRET && !self.takes_file() => {
                let hint = "a server that reads its key from a file has it in [secret]: file = true";
                Some((format!("{{{name}}} without a key in a file"), Some(hint.to_owned())))
            }
            None => None,
            Some(parameter) => {
                let applies =
                    parameter.only.is_empty() || parameter.only.iter().any(|known| known == self.variant);
                let message = || format!("{name} is no parameter of {}: see its key only", self.whom());
                (!applies).then(|| (message(), None))
            }
        }
    }

    fn check_names(&self) {
        for template in self.run.templates() {
            let note = |message: String, hint| self.root.reader.note(&template.at, message, hint);
            for name in template.names() {
                if let Some((message, hint)) = self.misused(name) {
                    note(message, hint);
                } else if name == "extra" {
                    let hint = "write \"{extra}\" as a word of the command by itself";
                    note("{extra} is a part of something else".to_owned(), Some(hint.to_owned()));
                }
            }
            if template.names().filter(|name| self.is_list(name)).count() > 1 {
                note("two lists in one word".to_owned(), None);
            }
        }
    }

    fn check_conditions(&self) {
        for Condition { name, at } in self.run.conditions() {
            let of_runner = crate::template::RUNNERS.contains(&name.as_str());
            let unknown = || of_runner.then(|| ("it is not known before it runs".to_owned(), None));
            if let Some((message, hint)) = self.misused(name).or_else(unknown) {
                self.root.reader.note(at, format!("when = {name:?}: {message}"), hint);
            }
        }
    }

    /// Whether a name is set whenever this variant is run.
    fn is_always_set(&self, name: &str) -> bool {
        let needs_model = self.recipe.model.as_ref().is_some_and(|model| model.required);
        match (name, self.run.model_forms()) {
            ("model", _) | ("model-name", [false, true, false]) | ("model-path", [false, false, true]) => {
                needs_model
            }
            _ => self.parameter(name).is_some_and(|parameter| {
                let is_empty_list =
                    matches!(&parameter.default, Some(crate::Value::List(items)) if items.is_empty());
                parameter.required || parameter.default.is_some() && !is_empty_list
            }),
        }
    }

    fn check_words(&self) {
        for part in &self.run.command {
            let (words, when): (&[Template], _) = match part {
                Part::Word(word) => (std::slice::from_ref(word), None),
                Part::When { when, words } => (words, Some(when.name.as_str())),
                Part::Group(_) | Part::Extra => continue,
            };
            for word in words {
                let unset = |name: &&str| Some(*name) != when && !self.is_always_set(name);
                let Some(name) = word.names().find(unset) else { continue };
                if self.misused(name).is_some() {
                    continue;
                }
                let hint = format!(
                    "put the words that need it into a group, [\"--flag\", \"{{{name}}}\"], which is left out without it"
                );
                self.root.reader.note(
                    &word.at,
                    format!("{name} may be unset in {word:?}", word = word.to_string()),
                    Some(hint),
                );
            }
        }
    }

    /// A server that does not learn its port listens on another one, and is never found.
    fn check_port(&self) {
        let mut words =
            self.run.command.iter().filter(|part| matches!(part, Part::Word(_))).flat_map(Part::templates);
        if self.run.port == Port::Argument && !words.any(|word| word.leaves_to_runner("port")) {
            let hint = "write {port} where it goes, or port = \"environment\" for a server that reads $PORT";
            let message = format!("{} does not tell its server the port", self.whom());
            self.root.reader.note(&self.at_command(), message, Some(hint.to_owned()));
        }
    }

    fn check_model(&self) {
        if self.recipe.model.is_some() && self.run.model_forms() == [false; 3] {
            let hint = "write {model}, {model-name} or {model-path} where it goes, or take [model] out";
            let message = format!("the model reaches nothing in {}", self.whom());
            self.root.reader.note(&self.at_command(), message, Some(hint.to_owned()));
        }
        let Some(model) = &self.recipe.model else { return };
        let parameters = [("served", &model.served), ("hub", &model.hub)];
        for (key, name) in parameters.into_iter().filter_map(|(key, name)| Some((key, name.as_ref()?))) {
            let is_text = |it: &Parameter| matches!(it.kind, Kind::Text(_) | Kind::Path);
            if !self.parameter(name).is_some_and(is_text) {
                let message = format!("{key} = {name:?}: it names no parameter that is a string or a path");
                let hint = suggestion(name, &self.known());
                let section = self.root.section("model");
                let at = section.map_or_else(|| self.at_command(), |section| section.place(key));
                self.root.reader.note(&at, message, Some(hint));
            }
        }
    }

    /// Its place is known where it runs alone, so that it can stand in the command, and nowhere else.
    fn check_secret(&self) {
        let in_command = |template: &&Template| {
            self.run.command.iter().flat_map(Part::templates).any(|word| std::ptr::eq(word, *template))
        };
        let mut uses =
            self.run.templates().filter(|template| template.names().any(|name| name == SECRET)).peekable();
        if self.takes_file() && uses.peek().is_none() {
            let hint = "write [\"--api-key-file\", \"{secret-file}\"] into its command, with the option of the server";
            let message = format!("the key reaches nothing in {}", self.whom());
            self.root.reader.note(&self.at_command(), message, Some(hint.to_owned()));
        }
        for template in uses.filter(|template| !in_command(template)) {
            let message = format!("{{{SECRET}}} can only stand in the command");
            self.root.reader.note(&template.at, message, None);
        }
    }
}
