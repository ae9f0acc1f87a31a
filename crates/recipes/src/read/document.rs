//! TOML with places: tables and values that note a problem, with its line and column, for whatever is not as expected.

use std::cell::RefCell;
use std::ops::Range;

use toml_edit::{Item, TableLike, Value};

use crate::problem::Problem;
use crate::suggest::nearest;

/// The text of a recipe, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    problems: RefCell<Vec<(usize, Problem)>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    /// Notes a problem with what stands at these bytes.
    pub(super) fn note(&self, at: &Range<usize>, message: impl Into<String>, hint: Option<String>) {
        let problem = Problem::new(self.text, at, message.into(), hint);
        let mut problems = self.problems.borrow_mut();
        // What several variants share is looked at for each.
        if !problems.iter().any(|(_, known)| *known == problem) {
            problems.push((at.start, problem));
        }
    }

    /// All problems, in the order of the text.
    pub(super) fn finish(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(at, _)| *at);
        problems.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// A table of the text.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader<'a>,
    table: &'a dyn TableLike,
    /// Where it begins; of the whole text, and of tables that have no header of their own, the beginning of what is around.
    start: usize,
}

/// A value of the text, or a table where one may stand.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// Its key with those of the tables around it.
    pub(super) key: String,
    what: What<'a>,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Item(&'a Item),
    Value(&'a Value),
}

impl<'a> Section<'a> {
    /// The whole text.
    pub(super) fn root(reader: &'a Reader<'a>, table: &'a toml_edit::Table) -> Self {
        Self { reader, table, start: 0 }
    }

    /// Its keys, in the order of the text.
    pub(super) fn keys(self) -> Vec<&'a str> {
        self.table.iter().map(|(key, _)| key).collect()
    }

    /// Where a key stands.
    pub(super) fn place(self, key: &str) -> Range<usize> {
        let span = self.table.key(key).and_then(toml_edit::Key::span);
        span.unwrap_or(self.start..self.start)
    }

    /// Where it begins.
    pub(super) fn begin(self) -> Range<usize> {
        self.start..self.start
    }

    /// Notes every key that is none of these. `whole` is what to call the section: `[job]`, `a recipe`.
    pub(super) fn only(self, whole: &str, known: &[&str]) {
        for key in self.keys().into_iter().filter(|key| !known.contains(key)) {
            let message = format!("unknown key {key} in {whole}");
            self.reader.note(&self.place(key), message, Some(suggestion(key, known)));
        }
    }

    /// What stands under a key.
    pub(super) fn get(self, key: &str) -> Option<Node<'a>> {
        let item = self.table.get(key).filter(|item| !item.is_none())?;
        let at = item.span().unwrap_or_else(|| self.place(key));
        Some(Node { reader: self.reader, key: key.to_owned(), what: What::Item(item), at })
    }

    /// What must stand under a key; its absence is noted. `whole` is what to call the section.
    pub(super) fn need(self, whole: &str, key: &str, hint: &str) -> Option<Node<'a>> {
        let node = self.get(key);
        if node.is_none() {
            self.reader.note(&self.begin(), format!("{whole} has no {key}"), Some(hint.to_owned()));
        }
        node
    }

    pub(super) fn text(self, key: &str) -> Option<String> {
        self.get(key)?.text()
    }

    pub(super) fn truth(self, key: &str) -> Option<bool> {
        self.get(key)?.truth()
    }

    pub(super) fn section(self, key: &str) -> Option<Self> {
        self.get(key)?.section()
    }
}

/// What is allowed, and what a misspelt word probably stands for.
pub(super) fn suggestion(word: &str, known: &[&str]) -> String {
    let allowed = match known {
        [] => "nothing is allowed here".to_owned(),
        known => format!("allowed here: {}", known.join(", ")),
    };
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near}? {allowed}"),
        None => allowed,
    }
}

impl<'a> Node<'a> {
    /// Notes a problem with it.
    pub(super) fn note(&self, message: impl Into<String>, hint: Option<String>) {
        self.reader.note(&self.at, message, hint);
    }

    fn value(&self) -> Option<&'a Value> {
        match self.what {
            What::Item(item) => item.as_value(),
            What::Value(value) => Some(value),
        }
    }

    fn type_name(&self) -> &'static str {
        match self.what {
            What::Item(item) => item.type_name(),
            What::Value(value) => value.type_name(),
        }
    }

    /// Notes that something else is expected.
    pub(super) fn expected(&self, what: &str) {
        self.note(format!("{} is {what}, not {}", self.key, with_article(self.type_name())), None);
    }

    /// A text.
    pub(super) fn text(&self) -> Option<String> {
        let text = self.value().and_then(Value::as_str);
        if text.is_none() {
            self.expected("a text in quotes");
        }
        text.map(str::to_owned)
    }

    /// A text of one line that is not empty.
    pub(super) fn line(&self) -> Option<String> {
        let text = self.text()?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            self.note(format!("{} is one line of text", self.key), None);
            return None;
        }
        Some(text)
    }

    /// A text, or a number, truth value or time of day as the text that it was written as.
    pub(super) fn loose_text(&self) -> Option<String> {
        let text = match self.value() {
            Some(Value::String(text)) => Some(text.value().clone()),
            Some(Value::Integer(number)) => Some(number.value().to_string()),
            Some(Value::Float(number)) => Some(number.value().to_string()),
            Some(Value::Boolean(truth)) => Some(truth.value().to_string()),
            Some(Value::Datetime(time)) => Some(time.value().to_string()),
            Some(Value::Array(_) | Value::InlineTable(_)) | None => None,
        };
        if text.is_none() {
            self.expected("a text in quotes, or a number");
        }
        text
    }

    /// A text, a number or a truth value, as JSON has it.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        let json = match self.value() {
            Some(Value::String(text)) => Some(text.value().as_str().into()),
            Some(Value::Integer(number)) => Some((*number.value()).into()),
            Some(Value::Float(number)) if number.value().is_finite() => Some((*number.value()).into()),
            Some(Value::Boolean(truth)) => Some((*truth.value()).into()),
            Some(Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::InlineTable(_)) | None => {
                None
            }
        };
        if json.is_none() {
            self.expected("a text in quotes, a number, true or false");
        }
        json
    }

    pub(super) fn truth(&self) -> Option<bool> {
        let truth = self.value().and_then(Value::as_bool);
        if truth.is_none() {
            self.expected("true or false");
        }
        truth
    }

    pub(super) fn integer(&self) -> Option<i64> {
        let number = self.value().and_then(Value::as_integer);
        if number.is_none() {
            self.expected("a whole number");
        }
        number
    }

    /// A number, whole or not, that is finite.
    pub(super) fn number(&self) -> Option<f64> {
        let whole = |value: &Value| value.as_integer().and_then(|number| number.to_string().parse().ok());
        let number = self.value().and_then(|value| value.as_float().or_else(|| whole(value)));
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            self.expected("a number");
        }
        number
    }

    /// The elements of an array.
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let Some(array) = self.value().and_then(Value::as_array) else {
            self.expected("a list in brackets");
            return None;
        };
        let element = |value: &'a Value| Node {
            reader: self.reader,
            key: format!("an element of {}", self.key),
            what: What::Value(value),
            at: value.span().unwrap_or_else(|| self.at.clone()),
        };
        Some(array.iter().map(element).collect())
    }

    /// Whether it is an array.
    pub(super) fn is_list(&self) -> bool {
        self.value().is_some_and(Value::is_array)
    }

    /// Whether it is a table.
    pub(super) fn is_section(&self) -> bool {
        match self.what {
            What::Item(item) => item.is_table_like(),
            What::Value(value) => value.is_inline_table(),
        }
    }

    /// The tables of a list, written as an array of tables or as tables in an array.
    pub(super) fn sections(&self) -> Option<Vec<Section<'a>>> {
        if let What::Item(Item::ArrayOfTables(tables)) = self.what {
            let section = |table: &'a toml_edit::Table| Section {
                reader: self.reader,
                table,
                start: table.span().map_or(self.at.start, |span| span.start),
            };
            return Some(tables.iter().map(section).collect());
        }
        self.list()?.iter().map(Node::section).collect()
    }

    /// A table.
    pub(super) fn section(&self) -> Option<Section<'a>> {
        let table: Option<&'a dyn TableLike> = match self.what {
            What::Item(item) => item.as_table_like(),
            What::Value(value) => value.as_inline_table().map(|table| table as &dyn TableLike),
        };
        match table {
            Some(table) => Some(Section { reader: self.reader, table, start: self.at.start }),
            None => {
                self.expected("a table");
                None
            }
        }
    }
}

fn with_article(noun: &str) -> String {
    match noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => format!("an {noun}"),
        false => format!("a {noun}"),
    }
}
