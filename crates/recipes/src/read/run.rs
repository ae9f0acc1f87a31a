//! What a recipe or one of its variants runs.

use std::collections::BTreeMap;
use std::time::Duration;

use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::runner::check_variable;
use towline_core::span::Span;
use towline_core::spec::check_health;
use towline_core::walltime::Walltime;

use super::document::{Node, Section, suggestion};
use super::ready::ready;
use crate::command::{Condition, Line, Part};
use crate::recipe::{Container, Mount, Port, Provider, Run, Secret};
use crate::resolve::check_image;
use crate::template::Template;

/// Its keys.
pub(super) const KEYS: [&str; 8] =
    ["command", "setup", "env", "port", "health", "job", "secret", "container"];

/// The variable that holds a key on its way into a file.
const FILE_VARIABLE: &str = "TOWLINE_SECRET";

const JOB_KEYS: [&str; 16] = [
    "time",
    "mem",
    "cpus",
    "gpus",
    "gres",
    "nodes",
    "ntasks_per_node",
    "partition",
    "constraint",
    "account",
    "qos",
    "reservation",
    "nodelist",
    "exclude",
    "requeue",
    "sbatch_args",
];

/// What a table says of it: of a recipe with variants, less than the whole.
#[derive(Clone, Default)]
pub(super) struct RawRun {
    command: Option<Vec<Part>>,
    setup: Option<Vec<Line>>,
    env: BTreeMap<String, Template>,
    port: Option<Port>,
    health: Option<String>,
    grace: Option<Duration>,
    ready: Ready,
    job: Resources,
    secret: Option<Secret>,
    container: Option<Container>,
    /// Whether a key of what is missing was there, with something else than what is wanted.
    is_noted: bool,
}

impl RawRun {
    /// What a variant says, over what its recipe says: variables and job options one by one, all else as a whole.
    pub(super) fn over(self, shared: Self) -> Self {
        let mut env = shared.env;
        env.extend(self.env);
        Self {
            command: self.command.or(shared.command),
            setup: self.setup.or(shared.setup),
            env,
            port: self.port.or(shared.port),
            health: self.health.or(shared.health),
            grace: self.grace.or(shared.grace),
            ready: Ready {
                status: if self.ready.status.is_empty() { shared.ready.status } else { self.ready.status },
                header: self.ready.header.or(shared.ready.header),
                json: self.ready.json.or(shared.ready.json),
            },
            job: crate::job::filled_up(&self.job, &shared.job),
            secret: self.secret.or(shared.secret),
            container: self.container.or(shared.container),
            is_noted: self.is_noted || shared.is_noted,
        }
    }

    /// All that is needed to run it. `None` if something is missing, which is noted.
    pub(super) fn complete(self, section: Section<'_>, whole: &str) -> Option<Run> {
        let Some(command) = self.command else {
            if !self.is_noted {
                let hint = "say what it runs: command = [\"program\", \"--port\", \"{port}\"]";
                section.reader.note(
                    &section.begin(),
                    format!("{whole} has no command"),
                    Some(hint.to_owned()),
                );
            }
            return None;
        };
        Some(Run {
            command,
            setup: self.setup.unwrap_or_default(),
            env: self.env.into_iter().collect(),
            port: self.port.unwrap_or(Port::Argument),
            health: self.health,
            grace: self.grace,
            ready: self.ready,
            job: self.job,
            secret: self.secret,
            container: self.container,
        })
    }
}

/// Reads what a table says of it.
pub(super) fn raw_run(section: Section<'_>) -> RawRun {
    let command = section.get("command");
    let health = section.section("health");
    if let Some(health) = health {
        health.only("[health]", &["path", "grace", "status", "header", "json"]);
    }
    let read = command.as_ref().and_then(parts);
    RawRun {
        is_noted: command.is_some() && read.is_none(),
        command: read,
        setup: section.get("setup").and_then(|node| lines(&node)),
        env: section.section("env").map(env).unwrap_or_default(),
        port: section.get("port").and_then(|node| port(&node)),
        health: health.and_then(|health| health.get("path")).and_then(|node| health_path(&node)),
        grace: health.and_then(|health| health.get("grace")).and_then(|node| grace(&node)),
        ready: health.map(ready).unwrap_or_default(),
        job: section.section("job").map(job).unwrap_or_default(),
        secret: section.section("secret").and_then(secret),
        container: section.section("container").and_then(container),
    }
}

fn parts(node: &Node<'_>) -> Option<Vec<Part>> {
    let parts: Vec<Part> = node.list()?.iter().map(part).collect::<Option<_>>()?;
    match parts.first() {
        Some(Part::Word(_)) => Some(parts),
        Some(_) => {
            node.note("the first element of command is the program: one text", None);
            None
        }
        None => {
            node.note("command has no word in it", None);
            None
        }
    }
}

fn part(node: &Node<'_>) -> Option<Part> {
    let words = |node: &Node<'_>| -> Option<Vec<Template>> {
        let words: Vec<Template> = node.list()?.iter().map(template).collect::<Option<_>>()?;
        if words.is_empty() {
            node.note("a group of words has no word in it", None);
            return None;
        }
        Some(words)
    };
    if node.is_list() {
        return words(node).map(Part::Group);
    }
    if node.is_section() {
        let section = node.section()?;
        section.only("a group of words", &["when", "words"]);
        let when = condition(section, "the group of words")?;
        let node = section.need("the group of words", "words", "list them: words = [\"--flag\"]")?;
        return Some(Part::When { when, words: words(&node)? });
    }
    let word = template(node)?;
    Some(if word.only_name() == Some("extra") { Part::Extra } else { Part::Word(word) })
}

fn condition(section: Section<'_>, whole: &str) -> Option<Condition> {
    let node = section.need(whole, "when", "name a parameter: when = \"name\"")?;
    Some(Condition { name: node.text()?, at: node.at.clone() })
}

fn template(node: &Node<'_>) -> Option<Template> {
    let text = node.text()?;
    if text.contains('\0') {
        node.note(format!("{} holds a NUL character", node.key), None);
        return None;
    }
    match Template::read(&text, node.at.clone()) {
        Ok(template) => Some(template),
        Err(problem) => {
            let hint = "{name} stands for a parameter; for a brace itself write {{ or }}";
            node.note(format!("{}: {problem}", node.key), Some(hint.to_owned()));
            None
        }
    }
}

fn lines(node: &Node<'_>) -> Option<Vec<Line>> {
    node.list()?.iter().map(line).collect()
}

fn line(node: &Node<'_>) -> Option<Line> {
    let text = |node: &Node<'_>| {
        let text = node.text()?;
        if text.contains(['\0', '\n']) {
            node.note(format!("{} is one line of shell", node.key), None);
            return None;
        }
        Some(text)
    };
    if !node.is_section() {
        return Some(Line { when: None, line: text(node)? });
    }
    let section = node.section()?;
    section.only("a line of setup", &["when", "line"]);
    let when = condition(section, "the line")?;
    let line = section.need("the line", "line", "write it: line = \"...\"")?;
    Some(Line { when: Some(when), line: text(&line)? })
}

fn env(section: Section<'_>) -> BTreeMap<String, Template> {
    let mut env = BTreeMap::new();
    for name in section.keys() {
        if let Err(error) = check_variable(name) {
            section.reader.note(&section.place(name), error.problem, None);
        }
        let Some(value) = section.get(name).and_then(|node| template(&node)) else { continue };
        if crate::template::RUNNERS.iter().any(|mark| value.leaves_to_runner(mark)) {
            let hint = "write it into the command: [\"env\", \"NAME={host}:{port}\", \"program\"]";
            let message = format!("the port is not known yet when {name} is set");
            section.reader.note(&value.at, message, Some(hint.to_owned()));
        }
        env.insert(name.to_owned(), value);
    }
    env
}

fn port(node: &Node<'_>) -> Option<Port> {
    match node.text()?.as_str() {
        "argument" => Some(Port::Argument),
        "environment" => Some(Port::Environment),
        other => {
            let hint = suggestion(other, &["argument", "environment"]);
            node.note(format!("{other} is no way to tell a port"), Some(hint));
            None
        }
    }
}

fn health_path(node: &Node<'_>) -> Option<String> {
    let path = node.text()?;
    match check_health(&path) {
        Ok(()) => Some(path),
        Err(error) => {
            node.note(error.to_string(), None);
            None
        }
    }
}

fn grace(node: &Node<'_>) -> Option<Duration> {
    match node.loose_text()?.parse::<Span>() {
        Ok(Span(grace)) if !grace.is_zero() => return Some(grace),
        Ok(_) => node.note("bad grace: it must be longer than zero", None),
        Err(error) => node.note(format!("bad grace: {error}"), None),
    }
    None
}

fn job(section: Section<'_>) -> Resources {
    section.only("[job]", &JOB_KEYS);
    let text = |key: &str| {
        let node = section.get(key)?;
        let text = node.loose_text()?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            node.note(format!("bad {key}: it is one line of text"), None);
            return None;
        }
        Some(text)
    };
    let count = |key: &str| {
        let node = section.get(key)?;
        let count = node.integer()?;
        let count = u32::try_from(count).ok().filter(|count| *count > 0);
        if count.is_none() {
            node.note(format!("bad {key}: it is a whole number above zero"), None);
        }
        count
    };
    let time = text("time");
    if let (Some(time), Some(node)) = (&time, section.get("time"))
        && let Err(error) = time.parse::<Walltime>()
    {
        node.note(format!("bad time: {error}"), None);
    }
    let arguments = section.get("sbatch_args").and_then(|node| node.list()).unwrap_or_default();
    Resources {
        time,
        mem: text("mem"),
        cpus: count("cpus"),
        gpus: text("gpus"),
        gres: text("gres"),
        nodes: count("nodes"),
        ntasks_per_node: count("ntasks_per_node"),
        partition: text("partition"),
        constraint: text("constraint"),
        account: text("account"),
        qos: text("qos"),
        reservation: text("reservation"),
        nodelist: text("nodelist"),
        exclude: text("exclude"),
        requeue: section.truth("requeue"),
        submit_args: arguments.iter().filter_map(Node::line).collect(),
    }
}

fn secret(section: Section<'_>) -> Option<Secret> {
    section.only("[secret]", &["env", "file", "help"]);
    let in_file = section.truth("file").unwrap_or(false);
    let env = match section.get("env") {
        Some(node) if in_file => {
            node.note("a key is in a variable or in a file, not in both", None);
            return None;
        }
        None if in_file => FILE_VARIABLE.to_owned(),
        _ => {
            let hint = "name the variable by which the server gets it: env = \"NAME\"; or file = true, for {secret-file}";
            section.need("[secret]", "env", hint)?.text()?
        }
    };
    if let (Err(error), Some(node)) = (check_variable(&env), section.get("env")) {
        node.note(error.problem, None);
    }
    let help = section.get("help").and_then(|node| node.line());
    Some(Secret { env, in_file, help: help.unwrap_or_else(|| "Key that clients have to send".to_owned()) })
}

fn container(section: Section<'_>) -> Option<Container> {
    section.only("[container]", &["default", "images", "mounts", "program", "setup"]);
    let names = Provider::ALL.map(Provider::as_str);
    let default = section.get("default").and_then(|node| {
        let name = node.text()?;
        let provider = Provider::named(&name);
        if provider.is_none() {
            node.note(format!("{name} is no engine for containers"), Some(suggestion(&name, &names)));
        }
        provider
    });
    let mut images = BTreeMap::new();
    if let Some(table) = section.section("images") {
        table.only("[container] images", &names);
        for provider in Provider::ALL {
            let Some(node) = table.get(provider.as_str()) else { continue };
            let Some(image) = node.text() else { continue };
            if let Err(problem) = check_image(&image) {
                node.note(format!("bad image {image:?}: {problem}"), None);
            }
            images.insert(provider, image);
        }
    }
    let mounts = section.get("mounts").and_then(|node| node.sections()).unwrap_or_default();
    Some(Container {
        default,
        images,
        program: section.get("program").and_then(|node| node.line()),
        mounts: mounts.into_iter().filter_map(mount).collect(),
        setup: section.get("setup").and_then(|node| lines(&node)).unwrap_or_default(),
    })
}

fn mount(section: Section<'_>) -> Option<Mount> {
    section.only("a mount", &["source", "target", "read_only"]);
    let source = section.need("the mount", "source", "say what of the host: source = \"{model-path}\"")?;
    let source = template(&source)?;
    let target = match section.get("target") {
        Some(node) => template(&node)?,
        None => source.clone(),
    };
    Some(Mount { source, target, read_only: section.truth("read_only").unwrap_or(false) })
}
