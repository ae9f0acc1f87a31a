//! What is wrong with a recipe, and where.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong with the text of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the text, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, with the key that it is about.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with what stands at these bytes of the text.
    pub(crate) fn new(text: &str, at: &Range<usize>, message: String, hint: Option<String>) -> Self {
        let before = text.get(..at.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column, message, hint }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// A text that is no recipe: all that is wrong with it, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecipe {
    /// Where the text came from, as the caller named it: a file.
    pub origin: String,
    /// What is wrong with it; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for BadRecipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [] => f.write_str(&self.origin),
            [first] => write!(f, "{}:{first}", self.origin),
            [first, rest @ ..] => write!(f, "{}:{first} (and {} more)", self.origin, rest.len()),
        }
    }
}

impl std::error::Error for BadRecipe {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let at = |text: &str, word: &str| {
            let start = text.find(word).unwrap();
            let problem = Problem::new(text, &(start..start + 1), String::new(), None);
            (problem.line, problem.column)
        };
        assert_eq!(at("x", "x"), (1, 1));
        assert_eq!(at("a = 1\r\nä = 'x'", "x"), (2, 6));
        assert_eq!(at("a\n\n x", "x"), (3, 2));
        assert_eq!(Problem::new("ab", &(9..10), String::new(), None).line, 1, "a place that is not there");
    }
}
