//! The command line of `run RECIPE`: the recipe is found first, since it says which options there are.

use std::ffi::OsString;

use clap::{ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use super::{Order, Shelf, options};
use crate::args::Cli;
use crate::command::Verb;
use crate::exit::{Failure, Kind, Outcome};

/// Why a command line could not be read.
pub(crate) enum Unread {
    /// Clap refuses it, or prints help.
    Refused(Box<clap::Error>),
    /// What it says of a recipe is wrong.
    Failed(Box<Failure>),
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<clap::Error> for Unread {
    fn from(error: clap::Error) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// Reads the command line of this program. Help is printed, and what clap refuses, at once.
///
/// # Errors
/// [`Kind::Usage`] for a recipe that is not there, [`Kind::Config`] for one that is wrong.
pub(crate) fn parse(words: &[OsString]) -> Outcome<Cli> {
    read(words, Whence::Typed).map_err(|unread| match unread {
        Unread::Refused(error) => error.exit(),
        Unread::Failed(failure) => *failure,
    })
}

/// Where words come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    /// From the command line of this program.
    Typed,
    /// From a file.
    File,
}

/// Reads a command line.
///
/// # Errors
/// Whatever is wrong with it.
pub(crate) fn read(words: &[OsString], whence: Whence) -> Result<Cli, Unread> {
    let plainly = || Ok(from(&Cli::command().try_get_matches_from(words)?)?);
    // All other verbs do without a second reading, which costs time and memory.
    if !words.iter().any(|word| word == "run") {
        return plainly();
    }
    let mut command = Cli::command();
    // Options that hold for all verbs are known to each only then.
    command.build();
    let (found, hides) = match recipe_word(&command, words) {
        Word::None => {
            drop(command);
            return plainly();
        }
        Word::Recipe(name) => {
            let shelf = Shelf::of_process()?;
            let found = shelf.get(name, Kind::Usage)?;
            let hides = shelf.hidden_by(name, found.source);
            (found, hides)
        }
        Word::After { option, words: after } => {
            let shelf = Shelf::of_process()?;
            for name in after {
                if shelf.find(name)?.is_some() {
                    return Err(misplaced(option, name).into());
                }
            }
            return plainly();
        }
    };
    let recipe = found.recipe()?.clone();
    let command =
        Cli::command().mut_subcommand("run", |run| options::with(run, &recipe, found.path.as_deref()));
    let matches = command.try_get_matches_from(words)?;
    let mut cli = from(&matches)?;
    if let (Verb::Run(args), Some((_, of_run))) = (&mut cli.verb, matches.subcommand()) {
        let typed = if whence == Whence::Typed { words } else { &[] };
        args.order = Some(Order::new(found, hides, recipe, of_run, typed)?);
    }
    Ok(cli)
}

fn misplaced(option: &str, recipe: &str) -> Failure {
    let message = format!("{option} stands before the recipe {recipe}, and is no option of run itself");
    Failure::new(Kind::Usage, message)
        .hint(format!("options of a recipe come after its name: `towline run {recipe} {option}`"))
}

fn from(matches: &clap::ArgMatches) -> Outcome<Cli> {
    Cli::from_arg_matches(matches).map_err(|error| {
        // What is declared is what is read: no user can bring this about.
        Failure::new(Kind::Internal, format!("failed to read the command line: {error}"))
    })
}

/// What a command line says of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word<'a> {
    /// Nothing: it is of another verb, or names a command after `--`.
    None,
    /// The first word after `run` that is neither an option nor the value of one.
    Recipe(&'a str),
    /// Words of which one may be a recipe, after an option that `run` does not know.
    After { option: &'a str, words: Vec<&'a str> },
}

fn recipe_word<'a>(command: &Command, words: &'a [OsString]) -> Word<'a> {
    // What is no text is no option either.
    let text = |position: usize| words.get(position).map(|word| word.to_str().unwrap_or(""));
    let mut position = 1;
    while let Some(word) = text(position).filter(|word| word.starts_with('-')) {
        let Some(taken) = option(command, word) else { return Word::None };
        position += taken;
    }
    let Some(run) = command.find_subcommand("run").filter(|_| text(position) == Some("run")) else {
        return Word::None;
    };
    position += 1;
    let mut unknown = None;
    let mut after = Vec::new();
    while let Some(word) = text(position).filter(|word| *word != "--") {
        if word.starts_with('-') && word != "-" {
            let taken = option(run, word);
            unknown = unknown.or(if taken.is_none() { Some(word) } else { None });
            position += taken.unwrap_or(1);
            continue;
        }
        if unknown.is_none() {
            return Word::Recipe(word);
        }
        after.push(word);
        position += 1;
    }
    unknown.map_or(Word::None, |option| Word::After { option, words: after })
}

/// How many words an option takes with its value; `None` if it is not known.
fn option(command: &Command, word: &str) -> Option<usize> {
    let takes_value = |arg: &clap::Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if let Some(long) = word.strip_prefix("--") {
        let (name, has_value) = match long.split_once('=') {
            Some((name, _)) => (name, true),
            None => (long, false),
        };
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name))?;
        return Some(if takes_value(arg) && !has_value { 2 } else { 1 });
    }
    for letter in word.strip_prefix('-')?.chars() {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
        if takes_value(arg) {
            return Some(if word.ends_with(letter) { 2 } else { 1 });
        }
    }
    Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(line: &str) -> Option<String> {
        let mut command = Cli::command();
        command.build();
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match recipe_word(&command, &words) {
            Word::Recipe(name) => Some(name.to_owned()),
            Word::None | Word::After { .. } => None,
        }
    }

    #[test]
    fn the_recipe_is_the_first_word_that_is_no_option() {
        for line in [
            "towline run web",
            "towline -vv run web",
            "towline run --name a web",
            "towline run --name=a web x",
            "towline run -d --cpus 4 --json web --odd 3",
            "towline run -dv web -- run x",
            "towline run --help web",
            "towline run -h web",
            "towline run --sbatch-arg --nice web",
            "towline run --requeue web",
        ] {
            assert_eq!(word(line).as_deref(), Some("web"), "{line}");
        }
    }

    /// No recipe has such a name, so that it is a usage error.
    #[test]
    fn a_lone_hyphen_is_no_option() {
        assert_eq!(word("towline run - -- web").as_deref(), Some("-"));
    }

    #[test]
    fn a_command_has_no_recipe() {
        for line in [
            "towline",
            "towline run",
            "towline run --",
            "towline run -- web",
            "towline run --name web -- python3",
            "towline run --nmae web -- python3",
            "towline run -x web",
            "towline ls web",
            "towline show run web",
            "towline --odd run web",
        ] {
            assert_eq!(word(line), None, "{line}");
        }
    }
}
