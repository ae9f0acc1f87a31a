//! Reading a file of services.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike, Value};
use towline_core::spec::ServiceName;

use super::exact::Exact;
use super::words::{self, EXACT_KEYS, Said};
use crate::config::unquoted;
use crate::exit::{Failure, Kind, Outcome};
use crate::names::{nearest, shown};

/// One service of a file.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: ServiceName,
    /// Where it stands: `FILE:LINE:COLUMN`.
    pub(crate) place: String,
    /// What `run` would be told to start it. May hold secrets.
    pub(crate) words: Vec<String>,
    /// Its recipe, and the parameters that it gives to it with their places.
    pub(crate) recipe: Option<(String, Vec<(String, String)>)>,
    /// What it has if it is told as a whole.
    pub(crate) exact: Option<Exact>,
}

/// Reads all services of a file; `origin` is its name for people.
///
/// # Errors
/// [`Kind::Config`] with line and column for what is no TOML, or no service. No value of the file is in it.
pub(crate) fn read(text: &str, origin: &str) -> Outcome<Vec<Entry>> {
    let reader = Reader { text, origin };
    let document = Document::parse(text).map_err(|error| {
        // The lines that it quotes may hold a secret.
        let complaint = unquoted(error.message());
        reader.failure(&error.span().unwrap_or(0..0), format!("this is no TOML: {complaint}"))
    })?;
    let root = document.as_table();
    if let Some((key, _)) = root.iter().find(|(key, _)| *key != "services") {
        return Err(reader.unknown(root, key, "at the top", &["services"]));
    }
    let services = root.get("services").and_then(Item::as_table_like).filter(|services| !services.is_empty());
    let Some(services) = services else {
        let failure = reader.failure(&(0..0), "there is no service in it".to_owned());
        return Err(failure.hint("a service is a table [services.NAME] with a command or a recipe"));
    };
    let entries = services.iter().map(|(name, item)| entry(&reader, services, name, item));
    entries.collect()
}

fn entry(reader: &Reader<'_>, services: &dyn TableLike, key: &str, item: &Item) -> Outcome<Entry> {
    let at = place(services, key);
    let name: ServiceName =
        key.parse().map_err(|error| reader.failure(&at, format!("services.{}: {error}", shown(key))))?;
    let Some(table) = item.as_table_like() else {
        return Err(reader.failure(&at, format!("services.{name} is no table")));
    };
    let is_exact = matches!(reader.truth(table, "exact")?, Some(true));
    let keys = words::keys();
    let known: Vec<&str> = keys
        .iter()
        .map(|key| key.name.as_str())
        .chain(EXACT_KEYS.into_iter().filter(|_| is_exact))
        .chain(["exact"])
        .collect();
    let mut said = Vec::new();
    for (key, item) in table.iter() {
        let here = format!("in services.{name}");
        if !known.contains(&key) {
            return Err(reader.unknown(table, key, &here, &known));
        }
        if is_exact && EXACT_KEYS.contains(&key) || key == "exact" {
            continue;
        }
        let value = said_of(item).ok_or_else(|| {
            reader.failure(&place(table, key), format!("{key} {here} is of no type that could be"))
        })?;
        said.push((key, value, place(table, key)));
    }
    let words = words::words(&name, &at, &said)
        .map_err(|(at, problem)| reader.failure(&at, format!("services.{name}: {problem}")))?;
    let exact = match is_exact {
        true => Some(Exact::read(table).map_err(|(key, problem)| {
            reader.failure(&place(table, key), format!("{key} in services.{name}: {problem}"))
        })?),
        false => None,
    };
    if is_exact && said.iter().any(|(key, ..)| *key == "recipe") {
        return Err(
            reader.failure(&at, format!("services.{name}: exact goes with a command, not with a recipe"))
        );
    }
    let recipe = table.get("recipe").and_then(Item::as_str).map(|recipe| {
        let parameters = table.get("parameters").and_then(Item::as_table_like);
        let keys = parameters.into_iter().flat_map(|table| {
            table.iter().map(|(key, _)| (key.to_owned(), reader.at(&place(table, key)))).collect::<Vec<_>>()
        });
        (recipe.to_owned(), keys.collect())
    });
    Ok(Entry { name, place: reader.at(&at), words, recipe, exact })
}

/// A value without its place.
fn said_of(item: &Item) -> Option<Said> {
    fn of_value(value: &Value) -> Option<Said> {
        Some(match value {
            Value::String(text) => Said::Text(text.value().clone()),
            Value::Integer(number) => Said::Text(number.value().to_string()),
            Value::Float(number) => Said::Text(number.value().to_string()),
            // TOML reads an unquoted 01:30:00 as a time of day.
            Value::Datetime(time) => Said::Text(time.value().to_string()),
            Value::Boolean(truth) => Said::Truth(*truth.value()),
            Value::Array(list) => Said::List(list.iter().map(of_value).collect::<Option<_>>()?),
            Value::InlineTable(table) => of_table(table)?,
        })
    }
    fn of_table(table: &dyn TableLike) -> Option<Said> {
        let fields = table.iter().map(|(key, item)| Some((key.to_owned(), said_of(item)?)));
        Some(Said::Table(fields.collect::<Option<_>>()?))
    }
    match item {
        Item::Value(value) => of_value(value),
        Item::Table(table) => of_table(table),
        Item::None | Item::ArrayOfTables(_) => None,
    }
}

fn place(table: &dyn TableLike, key: &str) -> Range<usize> {
    table.key(key).and_then(toml_edit::Key::span).unwrap_or(0..0)
}

struct Reader<'a> {
    text: &'a str,
    origin: &'a str,
}

impl Reader<'_> {
    /// `FILE:LINE:COLUMN`, both from 1, in characters.
    fn at(&self, at: &Range<usize>) -> String {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        format!("{}:{line}:{column}", self.origin)
    }

    fn failure(&self, at: &Range<usize>, problem: String) -> Failure {
        Failure::new(Kind::Config, format!("{}: {problem}", self.at(at)))
    }

    fn unknown(&self, table: &dyn TableLike, key: &str, whence: &str, known: &[&str]) -> Failure {
        let failure = self.failure(&place(table, key), format!("there is no key {} {whence}", shown(key)));
        match nearest(key, known.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure.hint("`towline schema` prints all keys that there are; parameters of a recipe stand in a table parameters"),
        }
    }

    fn truth(&self, table: &dyn TableLike, key: &str) -> Outcome<Option<bool>> {
        let Some(item) = table.get(key) else { return Ok(None) };
        match item.as_bool() {
            Some(truth) => Ok(Some(truth)),
            None => Err(self.failure(&place(table, key), format!("{key} is true or false"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match read(text, "s.toml") {
            Ok(entries) => panic!("{} entries", entries.len()),
            Err(failure) => format!("{:#} {:?}", failure.error, failure.hints),
        }
    }

    #[test]
    fn a_service_is_what_run_would_be_told() {
        let text = "[services.web]\ncommand = ['serve', '--port', '{port}']\nhealth = '/'\ncpus = 2\ntime = 01:30:00\n\
                    requeue = false\nsetup = ['a b', 'c']\nsbatch_args = ['--nice=1']\nenv = { K = 'v=w', N = 1 }\npass_env = ['PATH']\n\
                    [services.chat]\nrecipe = 'text-generation'\nmodel = 'Qwen/Qwen3-8B'\nargs = ['--x', '-1']\napi_key = 'none'\n\
                    [services.chat.parameters]\ncontext-length = 8192\noffline = true\nstop = ['a', 'b']\n";
        let entries = read(text, "s.toml").unwrap_or_else(|failure| panic!("{:#}", failure.error));
        assert_eq!(
            entries.iter().map(|entry| entry.place.as_str()).collect::<Vec<_>>(),
            ["s.toml:1:11", "s.toml:11:11"]
        );
        let words = |index: usize| entries[index].words.join(" ");
        assert_eq!(
            words(0),
            "towline run --name=web --cpus=2 --env=K=v=w --env=N=1 --health=/ --env=PATH --no-requeue --sbatch-arg=--nice=1 \
             --setup=a b --setup=c --time=01:30:00 -- serve --port {port}"
        );
        assert_eq!(
            words(1),
            "towline run --name=chat text-generation Qwen/Qwen3-8B --api-key=none --context-length=8192 --offline --stop=a --stop=b \
             -- --x -1"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, words) in [
            ("", &["s.toml:1:1", "no service", "[services.NAME]"][..]),
            ("x = ", &["s.toml:1:", "no TOML"]),
            ("service = 1", &["s.toml:1:1", "no key service at the top", "did you mean services?"]),
            ("[services]\nA = {}", &["s.toml:2:1", "may hold only"]),
            ("[services]\na = 1", &["s.toml:2:1", "services.a is no table"]),
            (
                "[services.a]\ncomand = ['x']",
                &["s.toml:2:1", "no key comand in services.a", "did you mean command?"],
            ),
            ("[services.a]\n", &["s.toml:1:11", "a command or a recipe"]),
            ("[services.a]\ncommand = ['x']\nrecipe = 'y'", &["s.toml:3:1", "not both"]),
            ("[services.a]\ncommand = 'x'", &["s.toml:2:1", "command is a list"]),
            ("[services.a]\ncommand = ['x', ['y']]", &["s.toml:2:1", "command is a list of texts"]),
            ("[services.a]\ncommand = ['x']\nmodel = 'm'", &["s.toml:3:1", "model goes with a recipe"]),
            ("[services.a]\ncommand = ['x']\ncpus = true", &["s.toml:3:1", "cpus is a text or a number"]),
            ("[services.a]\ncommand = ['x']\nrequeue = 'no'", &["s.toml:3:1", "requeue is true or false"]),
            ("[services.a]\nrecipe = 'r'\napi_key = 'hush'", &["s.toml:3:1", "file:PATH"]),
            ("[services.a]\nrecipe = 'r'\nexact = true", &["exact goes with a command"]),
            ("[services.a]\ncommand = ['x']\nready = {}", &["no key ready"]),
            (
                "[services.a]\ncommand = ['x']\nexact = true\nready = { staus = [200] }",
                &["s.toml:4:1", "staus"],
            ),
            ("[[services]]\n", &["no service in it"]),
            ("[services]\n", &["no service in it"]),
            ("[services.a]\nrecipe = 'r'\nmodel = '--help'", &["s.toml:3:1", "model begins with a hyphen"]),
            (
                "[services.a]\ncommand = ['x']\nenv = { 'A=B' = 'c' }",
                &["s.toml:3:1", "not a variable's name"],
            ),
            ("[services.a]\ncommand = ['x']\npass_env = ['A=B']", &["s.toml:3:1", "not a variable's name"]),
            (
                "[services.a]\ncommand = ['x']\nexact = true\nsecret = { env = 'K', infile = true }",
                &["s.toml:4:1", "infile"],
            ),
        ] {
            let told = told(text);
            for word in words {
                assert!(told.contains(word), "no {word} in {told} of {text}");
            }
        }
    }

    #[test]
    fn no_value_of_a_file_is_told() {
        for text in [
            "[services.a]\nexact = true\ncommand = ['x']\nsecret = 'hush'",
            "[services.a]\nexact = true\ncommand = ['x']\nready = { status = 'hush' }",
            "[services.a]\nexact = true\ncommand = ['x']\ncontainer = { engine = 'e', image = 'i', network = 'hush' }",
            "[services.a]\nenv = { K = 'hush",
            "[services.a]\nenv = { K = ['hush'] }",
            "[services.a]\nenv = 'hush'",
            "[services.a]\napi_key = 'hush'\nrecipe = 'x'",
        ] {
            assert!(!told(text).contains("hush"), "{}", told(text));
        }
    }
}
