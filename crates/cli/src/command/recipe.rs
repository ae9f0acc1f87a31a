//! `towline recipe`

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use towline_recipes::{EXAMPLE, check_name};

use crate::args::JsonArg;
use crate::exit::{Failure, Kind, Outcome};
use crate::names;
use crate::recipes::{Found, Shelf, Source, bad_recipe};
use crate::render::{CheckedRecipe, Columns, ListedRecipe, RecipeView, Terminal, recipe_details};

/// Look at the recipes that `run` knows, check them, begin a new one
///
/// A recipe is a file NAME.toml: in ./towline/recipes, for the project in whose directory a command is run, or in
/// recipes beside the configuration file. The project's goes before the user's, both before the built-in one.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RecipeVerb {
    /// List the recipes
    Ls(LsArgs),
    /// Show one recipe: what it runs, and its options
    Show(ShowArgs),
    /// Check recipes: those of project and user, or the ones that are named
    Check(CheckArgs),
    /// Begin a new recipe
    New(NewArgs),
}

/// Options of `recipe ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    output: JsonArg,
}

/// Options of `recipe show`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Name of a recipe
    #[arg(value_name = "RECIPE")]
    name: String,
    /// Print the text of the recipe as it is
    #[arg(long, conflicts_with = "json")]
    toml: bool,
    #[command(flatten)]
    output: JsonArg,
}

/// Options of `recipe check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Names of recipes, or files if there is a / or .toml in them
    #[arg(value_name = "RECIPE")]
    recipes: Vec<String>,
    #[command(flatten)]
    output: JsonArg,
}

/// Options of `recipe new`.
#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    /// Name of the recipe: a-z, 0-9 and '-'
    #[arg(value_name = "NAME")]
    name: String,
    /// Begin it as this recipe is, instead of as a small example
    #[arg(long, value_name = "RECIPE")]
    from: Option<String>,
    /// Put it into ./towline/recipes, for the project in this directory
    #[arg(long)]
    project: bool,
}

/// Does what the verb says.
pub(super) fn recipe(terminal: Terminal, verb: &RecipeVerb) -> Outcome<()> {
    let shelf = Shelf::of_process()?;
    match verb {
        RecipeVerb::Ls(args) => ls(terminal, &shelf, args),
        RecipeVerb::Show(args) => show(terminal, &shelf, args),
        RecipeVerb::Check(args) => check(terminal, &shelf, args),
        RecipeVerb::New(args) => new(terminal, &shelf, args),
    }
}

fn ls(terminal: Terminal, shelf: &Shelf, args: &LsArgs) -> Outcome<()> {
    let all = shelf.all()?;
    let listed = ListedRecipe::all(&all);
    if args.output.json {
        return Ok(terminal.json(&listed)?);
    }
    let mut table = Columns::new(["NAME", "SOURCE", "SUMMARY"]);
    for recipe in &listed {
        table.row(recipe.cells());
    }
    Ok(terminal.table(&table)?)
}

fn show(terminal: Terminal, shelf: &Shelf, args: &ShowArgs) -> Outcome<()> {
    let found = shelf.get(&args.name, Kind::NotFound)?;
    if args.toml {
        return Ok(terminal.data(&found.text)?);
    }
    let view = RecipeView::new(found.recipe()?, &found);
    match args.output.json {
        true => Ok(terminal.json(&view)?),
        false => Ok(terminal.data(&recipe_details(&view))?),
    }
}

fn check(terminal: Terminal, shelf: &Shelf, args: &CheckArgs) -> Outcome<()> {
    let found: Vec<Found> = match args.recipes.as_slice() {
        [] => shelf.all()?.into_iter().filter(|found| found.source != Source::BuiltIn).collect(),
        words => {
            let one = |word: &String| match word.contains('/') || word.ends_with(".toml") {
                true => Found::file(Path::new(word)),
                false => shelf.get(word, Kind::NotFound),
            };
            words.iter().map(one).collect::<Outcome<_>>()?
        }
    };
    if args.output.json {
        terminal.json(&found.iter().map(CheckedRecipe::from).collect::<Vec<_>>())?;
    } else if found.is_empty() {
        terminal.note("no recipes of your own; `towline recipe new NAME` begins one");
    }
    let mut last = None;
    for found in &found {
        match &found.recipe {
            Ok(_) if args.output.json => {}
            Ok(_) => terminal.data(&format!("{}: ok", origin(found)))?,
            Err(bad) => {
                let failure = bad_recipe(&found.name, bad);
                if let Some(before) = last.replace(failure) {
                    terminal.failure(&before);
                }
            }
        }
    }
    last.map_or(Ok(()), Err)
}

fn origin(found: &Found) -> String {
    match &found.path {
        Some(path) => path.display().to_string(),
        None => format!("built-in recipe {}", found.name),
    }
}

fn new(terminal: Terminal, shelf: &Shelf, args: &NewArgs) -> Outcome<()> {
    if let Err(problem) = check_name(&args.name) {
        let message = format!("{} cannot be a recipe's name", names::shown(&args.name));
        return Err(Failure::new(Kind::Usage, message).hint(problem));
    }
    let text = match &args.from {
        Some(name) => shelf.get(name, Kind::NotFound)?.text,
        None => EXAMPLE.replace("hello", &args.name),
    };
    let directory = if args.project { shelf.project() } else { shelf.user() };
    let path = directory.join(format!("{}.toml", args.name));
    if let Some(hidden) = shelf.find(&args.name)?.filter(|found| found.path.as_ref() != Some(&path)) {
        let verb = if args.project || hidden.source == Source::BuiltIn { "hides" } else { "is hidden by" };
        terminal.warn(&format!("it {verb} the recipe of that name: {}", origin(&hidden)));
    }
    write_new(&path, &text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(Kind::Conflict, format!("there is a recipe {} already", path.display()))
                .hint("choose another name, or remove that file")
        }
        _ => {
            let what = format!("failed to write the recipe {}", path.display());
            Failure::from_error(Kind::Config, anyhow::Error::new(error).context(what))
        }
    })?;
    terminal.note(&format!(
        "a recipe to change as you like; `towline recipe check {0}` checks it, `towline run {0} --help` shows its options",
        args.name
    ));
    Ok(terminal.data(&path.display().to_string())?)
}

/// Writes a file that must not be there yet.
fn write_new(path: &PathBuf, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
