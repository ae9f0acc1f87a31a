//! Parameters of a recipe: their types, and the values that these take.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// How much memory a compiled pattern may take, in bytes. The crate's own limit of 10 MiB is for patterns of one's own.
const PATTERN_SIZE: usize = 1 << 18;

/// A parameter of a recipe: an option of `run` for it.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name: the option without its hyphens.
    pub name: String,
    /// What values it takes.
    pub kind: Kind,
    /// What it is for, in a line.
    pub help: String,
    /// Its value when none is given.
    pub default: Option<Value>,
    /// Whether it must be given.
    pub required: bool,
    /// The variants in which alone it means something; all if empty.
    pub only: Vec<String>,
}

/// What values a parameter takes.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Any text, or one that matches.
    Text(Option<Pattern>),
    /// A whole number between bounds.
    Integer {
        /// The smallest.
        min: Option<i64>,
        /// The largest.
        max: Option<i64>,
    },
    /// A finite number between bounds.
    Float {
        /// The smallest.
        min: Option<f64>,
        /// The largest.
        max: Option<f64>,
    },
    /// Yes or no: an option without a value.
    Boolean,
    /// One of these words.
    Choice(Vec<String>),
    /// The name of a variant of the recipe.
    Variant(Vec<String>),
    /// A path where the service runs.
    Path,
    /// Any number of texts, each of which may have to match: an option that may be repeated.
    List(Option<Pattern>),
}

impl Kind {
    /// Its name in a recipe.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Integer { .. } => "integer",
            Self::Float { .. } => "float",
            Self::Boolean => "boolean",
            Self::Choice(_) => "choice",
            Self::Variant(_) => "variant",
            Self::Path => "path",
            Self::List(_) => "list",
        }
    }

    /// The words that it takes, if these are few.
    pub fn choices(&self) -> Option<&[String]> {
        match self {
            Self::Choice(words) | Self::Variant(words) => Some(words),
            Self::Text(_)
            | Self::Integer { .. }
            | Self::Float { .. }
            | Self::Boolean
            | Self::Path
            | Self::List(_) => None,
        }
    }

    /// Reads one value, for a list one item, and writes it as a command gets it.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence fragment.
    pub(crate) fn read(&self, text: &str) -> Result<String, String> {
        if text.contains('\0') {
            return Err("it holds a NUL character".to_owned());
        }
        match self {
            Self::Text(None) | Self::List(None) => Ok(text.to_owned()),
            Self::Text(Some(pattern)) | Self::List(Some(pattern)) => match pattern.matches(text) {
                true => Ok(text.to_owned()),
                false => Err(format!("it does not match {pattern}")),
            },
            Self::Integer { min, max } => {
                let number = text.parse::<i64>().map_err(|_| "it is not a whole number".to_owned())?;
                within(number, *min, *max)
            }
            Self::Float { min, max } => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                within(number.ok_or_else(|| "it is not a number".to_owned())?, *min, *max)
            }
            Self::Boolean => match text {
                "true" | "false" => Ok(text.to_owned()),
                _ => Err("it is neither true nor false".to_owned()),
            },
            Self::Choice(words) | Self::Variant(words) => match words.iter().any(|word| word == text) {
                true => Ok(text.to_owned()),
                false => Err(format!("it is none of {}", words.join(", "))),
            },
            Self::Path => check_path(text).map(|()| text.to_owned()),
        }
    }

    /// Whether each of its values is a text of its own, of which any number may be given.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }

    /// The value that these texts are, in which no more than one may stand unless it is a list.
    pub(crate) fn value(&self, texts: &[String]) -> Result<Value, String> {
        let read = texts.iter().map(|text| self.read(text)).collect::<Result<Vec<_>, _>>()?;
        match (self, read.as_slice()) {
            (Self::List(_), _) => Ok(Value::List(read)),
            (Self::Boolean, [text]) => Ok(Value::Truth(text == "true")),
            (_, [text]) => Ok(Value::Text(text.clone())),
            (_, []) => Err("it has no value".to_owned()),
            _ => Err("it is given more than once".to_owned()),
        }
    }
}

/// The value of a parameter, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text; numbers as a command gets them.
    Text(String),
    /// Yes or no.
    Truth(bool),
    /// Texts.
    List(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Truth(truth) => truth.fmt(f),
            Self::List(items) => f.write_str(&items.join(", ")),
        }
    }
}

fn within<T: PartialOrd + fmt::Display>(number: T, min: Option<T>, max: Option<T>) -> Result<String, String> {
    match (min, max) {
        (Some(min), _) if number < min => Err(format!("it is below {min}")),
        (_, Some(max)) if number > max => Err(format!("it is above {max}")),
        _ => Ok(number.to_string()),
    }
}

/// A path reaches a program as it is: no shell is there that would know what `~` means.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() || path.contains(['\n', '\0']) {
        return Err("a path is one line of text".to_owned());
    }
    if path.starts_with('~') {
        return Err("nothing replaces ~ where it is used: write the whole path".to_owned());
    }
    Ok(())
}

/// A regular expression that the whole of a text has to match.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Reads a pattern in the notation of the crate `regex`.
    ///
    /// # Errors
    /// What is wrong with it, in a line.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build();
        // By itself first: a bracket too many would close the one around it.
        let regex = build(text).and_then(|_| build(&format!("^(?:{text})$")));
        match regex {
            Ok(regex) => Ok(Self { text: text.to_owned(), regex }),
            Err(error) => {
                let words = error.to_string();
                let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("bad pattern");
                Err(last.trim().trim_start_matches("error: ").to_owned())
            }
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds_and_are_written_plainly() {
        let count = Kind::Integer { min: Some(1), max: Some(9) };
        assert_eq!(count.read("+7").unwrap(), "7");
        for (bad, why) in
            [("0", "below 1"), ("10", "above 9"), ("x", "whole"), ("1.5", "whole"), ("", "whole")]
        {
            assert!(count.read(bad).unwrap_err().contains(why), "{bad}");
        }
        let share = Kind::Float { min: Some(0.0), max: Some(1.0) };
        assert_eq!(share.read("0.90").unwrap(), "0.9");
        for bad in ["nan", "inf", "-0.1", "1.01", "a"] {
            assert!(share.read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_is_for_the_whole_text() {
        let kind = Kind::Text(Some(Pattern::read("a|b+").unwrap()));
        assert!(kind.read("bb").is_ok() && kind.read("a").is_ok());
        for bad in ["ab", "xa", "a\n", ""] {
            assert!(kind.read(bad).is_err(), "{bad:?}");
        }
        for bad in ["(", "a)(b", "a{99999}{99999}", "[z-a]"] {
            let why = Pattern::read(bad).unwrap_err();
            assert!(!why.is_empty() && !why.contains('\n'), "{bad}: {why}");
        }
    }

    #[test]
    fn a_path_is_what_a_program_gets() {
        assert!(Kind::Path.read("/a b/c").is_ok() && Kind::Path.read("c").is_ok());
        for bad in ["", "~/x", "~", "a\nb", "a\0b"] {
            assert!(Kind::Path.read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_come_once_or_as_a_list() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(Kind::List(None).value(&texts(&["a", "b"])).unwrap(), Value::List(texts(&["a", "b"])));
        assert_eq!(Kind::Boolean.value(&texts(&["true"])).unwrap(), Value::Truth(true));
        assert!(Kind::Text(None).value(&texts(&["a", "b"])).is_err());
        assert!(Kind::Text(None).value(&[]).is_err());
        assert!(Kind::Choice(texts(&["a"])).value(&texts(&["b"])).unwrap_err().contains("none of a"));
    }
}
