//! Where recipes lie: in a project, in the user's configuration, in this program.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use towline_recipes::{BUILT_IN, BadRecipe, Recipe, check_name};

use crate::app::find_paths;
use crate::config::Paths;
use crate::exit::{Failure, Kind, Outcome};
use crate::names;

/// Where a project keeps its recipes, seen from the directory in which a command is run.
const PROJECT: &str = "towline/recipes";

/// More than any recipe has, in bytes.
const LARGEST: u64 = 1 << 20;

/// Where a recipe is from; of two of one name the stronger one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// The project in whose directory the command is run.
    Project,
    /// The user's configuration.
    User,
    /// This program.
    BuiltIn,
}

impl Source {
    /// Its name, for people.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
            Self::BuiltIn => "built in",
        }
    }
}

/// A recipe that was found, readable or not.
pub(crate) struct Found {
    /// Its name.
    pub(crate) name: String,
    /// Where it is from.
    pub(crate) source: Source,
    /// Its file; `None` if it is built in.
    pub(crate) path: Option<PathBuf>,
    /// Its text.
    pub(crate) text: String,
    /// What it says.
    pub(crate) recipe: Result<Recipe, BadRecipe>,
}

impl Found {
    /// Reads a file as a recipe, which is called as the file is.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none, [`Kind::Config`] if it cannot be read.
    pub(crate) fn file(path: &Path) -> Outcome<Self> {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Self::read(&name, Source::User, path).map_err(|error| unreadable(path, error))
    }

    fn read(name: &str, source: Source, path: &Path) -> io::Result<Self> {
        // A device or a pipe would never come to an end.
        let about = std::fs::metadata(path)?;
        if !about.is_file() || about.len() > LARGEST {
            return Err(io::Error::other("it is not a file of a recipe's size"));
        }
        if source == Source::Project {
            check_owners(path)?;
        }
        let text = std::fs::read_to_string(path)?;
        let recipe = Recipe::read(name, &text, &path.display().to_string());
        Ok(Self { name: name.to_owned(), source, path: Some(path.to_owned()), text, recipe })
    }

    fn built_in(name: &str) -> Option<Self> {
        let known = BUILT_IN.iter().find(|known| known.name == name)?;
        let recipe = Recipe::read(name, known.text, &format!("built-in recipe {name}"));
        let text = known.text.to_owned();
        Some(Self { name: name.to_owned(), source: Source::BuiltIn, path: None, text, recipe })
    }

    /// What it says.
    ///
    /// # Errors
    /// [`Kind::Config`] with all that is wrong with it.
    pub(crate) fn recipe(&self) -> Outcome<&Recipe> {
        self.recipe.as_ref().map_err(|bad| bad_recipe(&self.name, bad))
    }
}

/// Refuses a project's recipe that somebody else may have put there: in `/tmp` anybody can make a directory `towline`.
///
/// File, directory and the one above it must be of the user or of root, and not writable by all.
fn check_owners(path: &Path) -> io::Result<()> {
    for part in path.ancestors().take(3) {
        let about = std::fs::metadata(part)?;
        let is_ours = [0, rustix::process::geteuid().as_raw()].contains(&about.uid());
        let problem = match (is_ours, about.mode() & 0o002 == 0) {
            (true, true) => continue,
            (false, _) => "is of another user",
            (true, false) => "can be written by everybody",
        };
        return Err(io::Error::other(format!("{} {problem}, so that it is not trusted", part.display())));
    }
    Ok(())
}

/// All that is wrong with a recipe, as a failure.
pub(crate) fn bad_recipe(name: &str, bad: &BadRecipe) -> Failure {
    let mut problems = bad.problems.iter();
    let first = problems.next();
    let at = first.map_or_else(|| bad.origin.clone(), |problem| format!("{}:{problem}", bad.origin));
    let rest: Vec<String> = problems.map(|problem| format!("{}:{problem}", bad.origin)).collect();
    let failure = Failure::new(Kind::Config, format!("bad recipe {}: {at}", names::shown(name)));
    let failure = match rest.is_empty() {
        true => failure,
        false => failure.excerpt("and", rest.join("\n")),
    };
    match first.and_then(|problem| problem.hint.clone()) {
        Some(hint) => failure.hint(hint),
        None => {
            failure.hint("`towline recipe show text-generation --toml` prints a good one to compare with")
        }
    }
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::Config,
    };
    let what = format!("failed to read the recipe {}", path.display());
    Failure::from_error(kind, anyhow::Error::new(error).context(what))
}

/// All recipes of this machine, for the directory in which the command is run.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    /// The directory of the project; that of the user if they are the same.
    project: Option<PathBuf>,
    user: PathBuf,
}

impl Shelf {
    /// The shelf of this process.
    ///
    /// # Errors
    /// [`Kind::Config`] without a home directory.
    pub(crate) fn of_process() -> Outcome<Self> {
        Ok(Self::of(&find_paths()?, std::env::current_dir().ok().as_deref()))
    }

    fn of(paths: &Paths, working: Option<&Path>) -> Self {
        let user = paths.config_file.parent().unwrap_or(Path::new("/")).join("recipes");
        let project = working.map(|working| working.join(PROJECT));
        let same =
            |a: &Path, b: &Path| a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a));
        Self { project: project.filter(|project| !same(project, &user)), user }
    }

    /// The directory of recipes of the user's configuration.
    pub(crate) fn user(&self) -> &Path {
        &self.user
    }

    /// The directory of recipes of the project in whose directory the command is run.
    pub(crate) fn project(&self) -> &Path {
        self.project.as_deref().unwrap_or(&self.user)
    }

    fn directories(&self) -> impl Iterator<Item = (Source, &Path)> {
        let project = self.project.as_deref().map(|path| (Source::Project, path));
        project.into_iter().chain([(Source::User, self.user.as_path())])
    }

    /// The recipe of that name: the strongest one, be it good or bad. `None` if there is none.
    ///
    /// # Errors
    /// [`Kind::Config`] if its file cannot be read.
    pub(crate) fn find(&self, name: &str) -> Outcome<Option<Found>> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        for (source, directory) in self.directories() {
            let path = directory.join(format!("{name}.toml"));
            match Found::read(name, source, &path) {
                Ok(found) => return Ok(Some(found)),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(unreadable(&path, error)),
            }
        }
        Ok(Found::built_in(name))
    }

    /// Where the recipe is from that one of this name and source hides. `None` if it hides none.
    pub(crate) fn hidden_by(&self, name: &str, source: Source) -> Option<Source> {
        let user = self.user.join(format!("{name}.toml"));
        match source {
            Source::Project if user.exists() => Some(Source::User),
            Source::Project | Source::User if BUILT_IN.iter().any(|known| known.name == name) => {
                Some(Source::BuiltIn)
            }
            Source::Project | Source::User | Source::BuiltIn => None,
        }
    }

    /// The recipe of that name, which has to be there.
    ///
    /// # Errors
    /// `kind` with the nearest name if there is none, [`Kind::Config`] if its file cannot be read.
    pub(crate) fn get(&self, name: &str, kind: Kind) -> Outcome<Found> {
        match self.find(name)? {
            Some(found) => Ok(found),
            None => Err(self.unknown(name, kind)),
        }
    }

    fn unknown(&self, name: &str, kind: Kind) -> Failure {
        let failure = Failure::new(kind, format!("there is no recipe {}", names::shown(name)));
        let known = self.names().unwrap_or_default();
        let failure = match names::nearest(name, known.keys().map(|(name, _)| name.as_str())) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure.hint("`towline recipe ls` lists the recipes"),
        };
        match kind {
            Kind::Usage => failure
                .hint(format!("to run a command, put -- before it: `towline run -- {}`", names::shown(name))),
            _ => failure,
        }
    }

    /// The names of all recipes with where each is from and its file, those that a stronger one hides too.
    fn names(&self) -> Outcome<BTreeMap<(String, Source), Option<PathBuf>>> {
        let mut names = BTreeMap::new();
        for (source, directory) in self.directories() {
            let failed = |error: io::Error| {
                let what = format!("failed to read the directory of recipes {}", directory.display());
                Failure::from_error(Kind::Config, anyhow::Error::new(error).context(what))
            };
            let entries = match std::fs::read_dir(directory) {
                Ok(entries) => entries,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            for entry in entries {
                let path = entry.map_err(failed)?.path();
                if path.extension().is_some_and(|extension| extension == "toml")
                    && let Some(stem) = path.file_stem()
                {
                    names.insert((stem.to_string_lossy().into_owned(), source), Some(path));
                }
            }
        }
        names.extend(BUILT_IN.iter().map(|known| ((known.name.to_owned(), Source::BuiltIn), None)));
        Ok(names)
    }

    /// All recipes by name, of each name the strongest first.
    ///
    /// # Errors
    /// [`Kind::Config`] if a directory cannot be read; of files that cannot, what is wrong stands in their place.
    pub(crate) fn all(&self) -> Outcome<Vec<Found>> {
        let read = |((name, source), path): ((String, Source), Option<PathBuf>)| match path {
            None => Found::built_in(&name),
            Some(path) => Some(Found::read(&name, source, &path).unwrap_or_else(|error| {
                let problem = towline_recipes::Problem {
                    line: 1,
                    column: 1,
                    message: format!("it cannot be read: {error}"),
                    hint: None,
                };
                let bad = BadRecipe { origin: path.display().to_string(), problems: vec![problem] };
                Found { name, source, path: Some(path), text: String::new(), recipe: Err(bad) }
            })),
        };
        Ok(self.names()?.into_iter().filter_map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "summary = 's'\ncommand = ['x', '{port}']\n";

    fn shelf(files: &[(&str, &str)]) -> (tempfile::TempDir, Shelf) {
        let home = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = home.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let paths = Paths {
            config_file: home.path().join("config/config.toml"),
            data_dir: home.path().into(),
            runtime_dir: home.path().into(),
        };
        let shelf = Shelf::of(&paths, Some(&home.path().join("work")));
        (home, shelf)
    }

    #[test]
    fn the_project_goes_before_the_user_and_both_before_the_built_in() {
        let (_home, shelf) = shelf(&[
            ("work/towline/recipes/ollama.toml", GOOD),
            ("config/recipes/ollama.toml", GOOD),
            ("config/recipes/web.toml", GOOD),
            ("config/recipes/notes.txt", "no recipe"),
        ]);
        let source = |name: &str| shelf.find(name).unwrap().map(|found| found.source);
        assert_eq!(source("ollama"), Some(Source::Project));
        assert_eq!(source("web"), Some(Source::User));
        assert_eq!(source("sglang"), Some(Source::BuiltIn));
        assert_eq!(source("notes"), None);
        assert_eq!(source("../recipes/web"), None, "a name is no path");
        let of_ollama: Vec<Source> =
            shelf.all().unwrap().iter().filter(|it| it.name == "ollama").map(|it| it.source).collect();
        assert_eq!(of_ollama, [Source::Project, Source::User, Source::BuiltIn]);
    }

    #[test]
    fn a_bad_one_hides_no_other_and_gives_way_to_none() {
        let (_home, shelf) = shelf(&[("config/recipes/ollama.toml", "x"), ("config/recipes/a b.toml", GOOD)]);
        let found = shelf.get("ollama", Kind::Usage).unwrap();
        let failure = found.recipe().unwrap_err();
        assert_eq!((found.source, failure.kind), (Source::User, Kind::Config));
        assert!(failure.error.to_string().contains("ollama.toml:1:"), "{failure:?}");
        let all = shelf.all().unwrap();
        assert!(all.iter().any(|found| found.name == "a b" && found.recipe.is_err()));
        assert!(all.iter().any(|found| found.name == "sglang" && found.recipe.is_ok()));
    }

    #[test]
    fn a_misspelt_name_is_told_with_the_nearest() {
        let (_home, shelf) = shelf(&[]);
        let failure = shelf.get("olama", Kind::Usage).err().unwrap();
        assert_eq!(failure.kind, Kind::Usage);
        assert_eq!(failure.hints[0], "did you mean ollama?");
        assert!(failure.hints[1].contains("towline run -- olama"));
    }

    #[test]
    fn what_has_no_end_is_not_read() {
        let (home, shelf) = shelf(&[("config/recipes/web.toml", GOOD)]);
        std::os::unix::fs::symlink("/dev/zero", home.path().join("config/recipes/zero.toml")).unwrap();
        assert!(shelf.find("zero").is_err());
        assert!(shelf.all().unwrap().iter().any(|found| found.name == "zero" && found.recipe.is_err()));
    }

    #[test]
    fn a_projects_recipe_that_anybody_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let (home, shelf) = shelf(&[("work/towline/recipes/ollama.toml", GOOD)]);
        for open in ["work/towline", "work/towline/recipes", "work/towline/recipes/ollama.toml"] {
            let path = home.path().join(open);
            let mode = std::fs::metadata(&path).unwrap().permissions();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode.mode() | 0o002)).unwrap();
            let told = format!("{:?}", shelf.find("ollama").err().unwrap());
            assert!(told.contains("can be written by everybody"), "{told}");
            std::fs::set_permissions(&path, mode).unwrap();
        }
        assert_eq!(shelf.find("ollama").unwrap().unwrap().source, Source::Project);
        assert_eq!(shelf.hidden_by("ollama", Source::Project), Some(Source::BuiltIn));
        assert_eq!(shelf.hidden_by("web", Source::Project), None);
    }

    #[test]
    fn a_file_in_the_place_of_the_project_is_no_harm() {
        let (_home, shelf) = shelf(&[("work/towline", "a program")]);
        assert!(shelf.find("ollama").unwrap().is_some() && shelf.all().is_ok());
    }
}
