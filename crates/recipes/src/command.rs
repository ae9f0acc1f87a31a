//! The parts of a command, and lines of shell that are there or not.

use std::ops::Range;

use crate::scope::Scope;
use crate::template::Template;

/// A part of a command.
#[derive(Clone, Debug)]
pub enum Part {
    /// A word that is always there.
    Word(Template),
    /// Words that are there if all parameters in them are set.
    Group(Vec<Template>),
    /// Words that are there when a parameter is set (and true, if it is a truth value).
    When {
        /// The parameter.
        when: Condition,
        /// The words.
        words: Vec<Template>,
    },
    /// The arguments that the user gave after `--`.
    Extra,
}

impl Part {
    /// All templates in it.
    pub fn templates(&self) -> &[Template] {
        match self {
            Self::Word(word) => std::slice::from_ref(word),
            Self::Group(words) | Self::When { words, .. } => words,
            Self::Extra => &[],
        }
    }

    /// Its words. `None` if a parameter is unset without which it cannot be.
    pub(crate) fn words(&self, scope: &Scope, extra: &[String]) -> Option<Vec<String>> {
        let all = |words: &[Template]| -> Option<Vec<String>> {
            let words: Option<Vec<Vec<String>>> = words.iter().map(|word| word.words(scope)).collect();
            Some(words?.concat())
        };
        match self {
            Self::Word(word) => word.words(scope),
            Self::Group(words) => Some(all(words).unwrap_or_default()),
            Self::When { when, words } if when.holds(scope) => all(words),
            Self::When { .. } => Some(Vec::new()),
            Self::Extra => Some(extra.to_vec()),
        }
    }
}

/// The parameter that must be set, and true if it is a truth value, for something to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its name.
    pub name: String,
    /// Where it stands in the text of its recipe.
    pub(crate) at: Range<usize>,
}

impl Condition {
    pub(crate) fn holds(&self, scope: &Scope) -> bool {
        scope.holds(&self.name)
    }
}

/// A line of shell that is run before the command. No parameter is ever written into it: those reach it as variables of
/// the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The parameter that must be set for it to be there.
    pub when: Option<Condition>,
    /// The line.
    pub line: String,
}
