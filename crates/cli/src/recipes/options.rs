//! The options that `run` has for a recipe.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Args as _, Command};
use towline_core::span::Span;
use towline_core::spec::{DEFAULT_GRACE, DEFAULT_HEALTH};
use towline_recipes::{Kind, Parameter, Provider, Recipe, Value};

use crate::command::RunArgs;

/// What the ids of parameters begin with, lest one is called as an argument of `run` is.
const PARAMETER: &str = "parameter ";
/// The ids of what else a recipe may take.
pub(super) const MODEL: &str = "a model";
pub(super) const REVISION: &str = "a revision";
pub(super) const API_KEY: &str = "a key";
pub(super) const NOT_STAGED: &str = "not what is staged";

/// What stands for no container, and for no key.
pub(super) const NONE: &str = "none";

/// The id of a parameter's option.
pub(super) fn id(parameter: &Parameter) -> String {
    format!("{PARAMETER}{}", parameter.name)
}

/// The id of the option that turns a parameter off.
pub(super) fn off(parameter: &Parameter) -> String {
    format!("{PARAMETER}no-{}", parameter.name)
}

/// `run` with the options of a recipe, whose help tells its file; `None` of one that is built in.
pub(super) fn with(run: Command, recipe: &Recipe, file: Option<&Path>) -> Command {
    let mut own: Vec<Arg> =
        recipe.parameters().iter().flat_map(|parameter| parameter_args(parameter, recipe)).collect();
    own.extend(own_args(recipe));
    let last = if recipe.model().is_some() { 3 } else { 2 };
    // The recipe's own are what one looks for: they stand first.
    let of_run = |arg: Arg| match arg.get_help_heading() {
        None if !arg.is_positional() => arg.help_heading("Options of run"),
        _ => arg,
    };
    let mut command = RunArgs::augment_args(Command::new("run"))
        .mut_args(of_run)
        .args(own)
        .mut_arg("file", |arg| arg.hide(true))
        .mut_arg("recipe", |arg| arg.index(1).required(true).hide(true))
        .mut_arg("health", |arg| arg.help(health_help(recipe)))
        .mut_arg("container", |arg| arg.help(container_help(recipe)))
        .mut_arg("image", |arg| arg.help(format!("Image of the container{}", default_image(recipe))))
        .mut_arg("grace", |arg| arg.help(grace_help(recipe)))
        .mut_arg("command", |arg| match recipe.takes_extra() {
            true => arg.index(last).value_name("ARG").help("Further arguments for the program"),
            false => arg.index(last).hide(true),
        });
    if let Some(model) = recipe.model() {
        let arg = Arg::new(MODEL).index(2).value_name("MODEL").help(model.help.clone());
        command = command.arg(arg.required(model.required));
    }
    let about = recipe.summary().to_owned();
    let long = match recipe.help().trim() {
        "" => about.clone(),
        help => format!("{about}\n\n{}", paragraphs(help)),
    };
    let usage = usage(recipe);
    let display_order = run.get_display_order();
    command
        .about(about)
        .long_about(long)
        .override_usage(usage)
        .after_help(after_help(recipe, file))
        .display_order(display_order)
}

/// A text without the line breaks within its paragraphs: clap breaks lines where the terminal ends. Lines that begin with
/// a space stay as they are.
fn paragraphs(text: &str) -> String {
    let mut joined = String::new();
    let is_plain = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut goes_on = false;
    for line in text.lines() {
        if !joined.is_empty() {
            joined.push(if goes_on && is_plain(line) { ' ' } else { '\n' });
        }
        joined.push_str(line);
        goes_on = is_plain(line);
    }
    joined
}

fn usage(recipe: &Recipe) -> String {
    let mut usage = format!("towline run {} [OPTIONS]", recipe.name());
    if let Some(model) = recipe.model() {
        usage += if model.required { " <MODEL>" } else { " [MODEL]" };
    }
    if recipe.takes_extra() {
        usage += " [-- <ARG>...]";
    }
    usage
}

fn parameter_args(parameter: &Parameter, recipe: &Recipe) -> Vec<Arg> {
    let mut help = vec![parameter.help.clone()];
    if let (Some(selector), false) = (recipe.selector(), parameter.only.is_empty()) {
        help.push(format!("(--{} {})", selector.name, parameter.only.join(", ")));
    }
    if let Some(default) = parameter.default.as_ref().filter(|default| **default != Value::Truth(false)) {
        help.push(format!("[default: {default}]"));
    }
    let arg = Arg::new(id(parameter)).long(parameter.name.clone()).help(help.join(" "));
    let required = parameter.required && parameter.only.is_empty();
    match &parameter.kind {
        Kind::Boolean => {
            let is_on = parameter.default == Some(Value::Truth(true));
            let off_arg = Arg::new(off(parameter))
                .long(format!("no-{}", parameter.name))
                .action(ArgAction::SetTrue)
                .overrides_with(id(parameter))
                .help(format!("Turn --{} off", parameter.name))
                .hide(!is_on);
            vec![arg.action(ArgAction::SetTrue).overrides_with(off(parameter)), off_arg]
        }
        Kind::Choice(words) | Kind::Variant(words) => {
            let words = PossibleValuesParser::new(words.clone());
            vec![arg.value_name(placeholder(parameter)).value_parser(words).required(required)]
        }
        Kind::Integer { .. } => {
            vec![arg.value_name("N").allow_negative_numbers(true).required(required)]
        }
        Kind::Float { .. } => {
            vec![arg.value_name("NUMBER").allow_negative_numbers(true).required(required)]
        }
        Kind::Path => vec![arg.value_name("PATH").required(required)],
        Kind::Text(_) => vec![arg.value_name("TEXT").allow_hyphen_values(true).required(required)],
        Kind::List(_) => {
            let arg = arg.value_name("TEXT").allow_hyphen_values(true);
            vec![arg.action(ArgAction::Append).required(required)]
        }
    }
}

fn placeholder(parameter: &Parameter) -> String {
    parameter.name.to_ascii_uppercase().replace('-', "_")
}

fn own_args(recipe: &Recipe) -> Vec<Arg> {
    let mut own = Vec::new();
    if recipe.takes_revision() {
        let help = "Revision of a model that is given by name: branch, tag or commit";
        own.push(Arg::new(REVISION).long("revision").value_name("REV").help(help));
    }
    if recipe.takes_secret() {
        let of_first = recipe.runs().values().find_map(|run| run.secret.as_ref());
        let what = of_first.map_or("", |secret| &secret.help);
        let help = format!(
            "{what}: env:NAME, a variable here; file:PATH, a file that is yours alone; the key itself; none [default: a random key]"
        );
        own.push(Arg::new(API_KEY).long("api-key").value_name("WHERE").help(help));
    }
    if recipe.model().is_some_and(|model| model.served.is_some() || model.hub.is_some())
        || recipe.has_container()
    {
        let help =
            "Do not look whether model and image lie there already (`towline model ls`, `towline image ls`)";
        own.push(Arg::new(NOT_STAGED).long("no-staged").action(ArgAction::SetTrue).help(help));
    }
    own
}

fn container_help(recipe: &Recipe) -> String {
    let default = recipe.runs().values().find_map(|run| run.container.as_ref()?.default);
    format!("What it runs in [default: {}]", default.map_or("none", Provider::as_str))
}

fn default_image(recipe: &Recipe) -> String {
    let mut images = recipe.runs().values().filter_map(|run| run.container.as_ref()?.images.values().next());
    match (images.next(), images.next()) {
        (Some(image), None) => format!(" [default: {image}]"),
        _ => String::new(),
    }
}

fn health_help(recipe: &Recipe) -> String {
    let mut paths: Vec<&str> =
        recipe.runs().values().map(|run| run.health.as_deref().unwrap_or(DEFAULT_HEALTH)).collect();
    paths.dedup();
    format!(
        "URL path to ask for instead, whose 2xx answer means healthy then [default: {}]",
        paths.join(" or ")
    )
}

fn grace_help(recipe: &Recipe) -> String {
    let mut spans: Vec<String> =
        recipe.runs().values().map(|run| Span(run.grace.unwrap_or(DEFAULT_GRACE)).to_string()).collect();
    spans.dedup();
    let help = "How long the running job may take until the first answer, such as 90, 10m or 1h";
    format!("{help} [default: {}]", spans.join(" or "))
}

/// What a job of it asks for by itself, and its file.
fn after_help(recipe: &Recipe, file: Option<&Path>) -> String {
    let mut lines = Vec::new();
    let mut gpus = false;
    for (variant, run) in recipe.runs() {
        let asked = super::job_words(&run.job);
        if asked.is_empty() {
            continue;
        }
        gpus |= run.job.gpus.is_some();
        let whom = match recipe.selector() {
            Some(selector) => format!(" with --{} {variant}", selector.name),
            None => String::new(),
        };
        lines.push(format!("On a cluster a job{whom} asks for {}", asked.join(" ")));
    }
    if !lines.is_empty() {
        let none = if gpus { " (--gpus 0 for none)" } else { "" };
        lines.push(format!("unless the profile or an option says otherwise{none}."));
    }
    lines.extend(file.map(|file| format!("This recipe is {}.", file.display())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use towline_recipes::{BUILT_IN, EXAMPLE};

    use super::*;
    use crate::args::Cli;

    fn command(recipe: &Recipe) -> Command {
        Cli::command().mut_subcommand("run", |run| with(run, recipe, None))
    }

    #[test]
    fn clap_accepts_the_options_of_every_recipe() {
        for known in BUILT_IN {
            command(&Recipe::read(known.name, known.text, "").unwrap()).debug_assert();
        }
        command(&Recipe::read("hello", EXAMPLE, "").unwrap()).debug_assert();
        let odd =
            "summary = 's'\ncommand = ['x', '{port}', '{a}', ['{b}', '{c}', '{d}', '{e}', '{parameter}']]\n";
        let parameters = ["a", "b", "c", "d", "e", "parameter"].map(|name| {
            let rest = match name {
                "a" => "type = 'list'\nrequired = true",
                "b" => "type = 'boolean'\ndefault = true",
                "c" => "type = 'float'",
                "d" => "type = 'path'",
                "e" => "type = 'integer'",
                _ => "type = 'string'",
            };
            format!("[parameters.{name}]\nhelp = 'h {{}} %'\n{rest}\n")
        });
        command(&Recipe::read("x", &(odd.to_owned() + &parameters.concat()), "").unwrap()).debug_assert();
    }

    /// A parameter of the same name would end the program before it begins.
    #[test]
    fn no_parameter_is_called_as_an_option_of_run() {
        let mut command = Cli::command();
        command.build();
        let run = command.find_subcommand("run").unwrap();
        let longs: Vec<&str> = run.get_arguments().filter_map(Arg::get_long).collect();
        assert!(longs.len() > 25, "{longs:?}");
        for name in longs.into_iter().chain(["revision", "api-key", "container", "image"]) {
            let text = format!(
                "summary = 's'\ncommand = ['x', '{{port}}', ['{{{name}}}']]\n[parameters.{name}]\ntype = 'string'\nhelp = 'h'"
            );
            assert!(Recipe::read("x", &text, "").is_err(), "{name}");
        }
    }

    #[test]
    fn a_text_may_begin_with_a_hyphen() {
        let ollama = BUILT_IN.iter().find(|known| known.name == "ollama").unwrap();
        let recipe = Recipe::read("ollama", ollama.text, "").unwrap();
        let words = ["towline", "run", "ollama", "--keep-alive", "-1"];
        command(&recipe).try_get_matches_from(words).unwrap();
    }

    #[test]
    fn paragraphs_are_joined_and_examples_left() {
        assert_eq!(paragraphs("a\nb\n\nc\n  d\n  e\nf"), "a b\n\nc\n  d\n  e\nf");
        assert_eq!(paragraphs(""), "");
    }
}
