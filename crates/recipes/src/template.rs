//! A text with places that parameters fill in.

use std::ops::Range;

use crate::parameter::Value;
use crate::scope::Scope;

/// What the runner fills in where the service runs: they stay in the text, whatever a recipe calls its parameters.
pub(crate) const RUNNERS: [&str; 2] = ["port", "host"];

/// A text in which `{name}` stands for the value of a parameter. `{{` and `}}` are single braces; `{port}` and `{host}`
/// are left to the runner.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
    /// Where it stands in the text of its recipe.
    pub(crate) at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Template {
    /// Reads a template that stands at these bytes of its recipe.
    ///
    /// # Errors
    /// What is wrong with its braces.
    pub(crate) fn read(text: &str, at: Range<usize>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(found) = rest.find(['{', '}']) {
            let (before, tail) = rest.split_at(found);
            plain.push_str(before);
            if let Some(name) = RUNNERS.iter().find(|name| tail.starts_with(&format!("{{{{{name}}}}}"))) {
                return Err(format!(
                    "{{{name}}} is filled in wherever it stands, so that it cannot stand for itself"
                ));
            } else if let Some(tail) = tail.strip_prefix("{{") {
                plain.push('{');
                rest = tail;
            } else if let Some(tail) = tail.strip_prefix("}}") {
                plain.push('}');
                rest = tail;
            } else if let Some((name, tail)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) {
                if RUNNERS.contains(&name) {
                    plain.extend(["{", name, "}"]);
                } else if is_name(name) {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Name(name.to_owned()));
                } else {
                    return Err(format!("{{{name}}} names no parameter"));
                }
                rest = tail;
            } else {
                return Err("a brace has no other".to_owned());
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces, at })
    }

    /// The names of the parameters in it, each as often as it stands there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The name, if one parameter is all that is in it.
    pub(crate) fn only_name(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// Whether the runner fills something in: `{port}`, or `{host}`.
    pub(crate) fn leaves_to_runner(&self, mark: &str) -> bool {
        let mark = format!("{{{mark}}}");
        self.pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(&mark)))
    }

    /// The words that it stands for: one, or one for each item of the list in it. `None` if a parameter in it is unset.
    pub(crate) fn words(&self, scope: &Scope) -> Option<Vec<String>> {
        let mut words = vec![String::new()];
        for piece in &self.pieces {
            let items = match piece {
                Piece::Text(text) => vec![text.clone()],
                Piece::Name(name) => match scope.get(name)? {
                    Value::Text(text) => vec![text.clone()],
                    Value::Truth(truth) => vec![truth.to_string()],
                    Value::List(items) => items.clone(),
                },
            };
            words =
                words.iter().flat_map(|word| items.iter().map(move |item| format!("{word}{item}"))).collect();
        }
        Some(words)
    }

    /// The one text that it stands for; the items of a list stand one beside the other, with commas between.
    pub(crate) fn text(&self, scope: &Scope) -> Option<String> {
        self.words(scope).map(|words| words.join(","))
    }
}

impl std::fmt::Display for Template {
    /// As it is written in a recipe.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Name(name) => write!(f, "{{{name}}}")?,
                Piece::Text(text) => {
                    let escaped = text.replace('{', "{{").replace('}', "}}");
                    let left = RUNNERS.iter().fold(escaped, |text, name| {
                        text.replace(&format!("{{{{{name}}}}}"), &format!("{{{name}}}"))
                    });
                    f.write_str(&left)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a text can be the name of a parameter: `[a-z][a-z0-9-]*`, at most 40 characters, no hyphen at its end.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
        && !text.ends_with('-')
        && text.len() <= 40
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let mut scope = Scope::default();
        scope.set("model", Value::Text("a b".into()));
        scope.set("fast", Value::Truth(true));
        scope.set("stop", Value::List(vec!["x".into(), "y".into()]));
        scope
    }

    fn words(text: &str) -> Option<Vec<String>> {
        Template::read(text, 0..0).unwrap().words(&scope())
    }

    #[test]
    fn a_word_stays_a_word() {
        assert_eq!(words("--model={model}").unwrap(), ["--model=a b"]);
        assert_eq!(words("{fast}").unwrap(), ["true"]);
        assert_eq!(words("").unwrap(), [""]);
        assert_eq!(words("{missing}"), None);
    }

    #[test]
    fn a_list_makes_a_word_for_each_item() {
        assert_eq!(words("--stop={stop}").unwrap(), ["--stop=x", "--stop=y"]);
        assert_eq!(Template::read("{stop}", 0..0).unwrap().text(&scope()).unwrap(), "x,y");
    }

    #[test]
    fn braces_are_doubled_and_the_runners_names_left() {
        assert_eq!(words("{{\"a\": {{}}}}").unwrap(), ["{\"a\": {}}"]);
        assert_eq!(words("{host}:{port}").unwrap(), ["{host}:{port}"]);
        let template = Template::read("{host}:{port}", 0..0).unwrap();
        assert!(template.leaves_to_runner("port") && template.names().next().is_none());
        for text in ["{{\"a\": {{}}}}", "{host}:{port}", "x{model}y", ""] {
            assert_eq!(Template::read(text, 0..0).unwrap().to_string(), text);
        }
    }

    #[test]
    fn odd_braces_are_told() {
        for text in
            ["{{port}}", "x{{host}}", "{", "}", "a{b", "{}", "{A}", "{a b}", "{-a}", "{a-}", "{model}}"]
        {
            assert!(Template::read(text, 0..0).is_err(), "{text}");
        }
    }
}
