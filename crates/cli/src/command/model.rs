//! `towline model`

use towline_stage::{Model, Revision, Staged, Want};

use super::in_use::{Going, check_unused};
use super::model_add::{AddArgs, add};
use super::staging::{ProfileArg, confirmed, failure, stage};
use crate::app::App;
use crate::args::JsonArg;
use crate::config::Flags;
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::names;
use crate::render::{models_json, models_table, partial_words, revision_words, size};

/// Look at the models that lie where services run, download and remove them
///
/// Models lie in caches of Hugging Face: below the `cache` and `home` directories of the profile, and where servers keep them
/// by themselves.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ModelVerb {
    Ls(LsArgs),
    Add(Box<AddArgs>),
    Rm(RmArgs),
    Path(PathArgs),
}

impl ModelVerb {
    /// The layer of the configuration that its options are.
    pub(super) fn flags(&self) -> Flags {
        match self {
            Self::Ls(args) => args.profile.flags(),
            Self::Add(args) => args.flags(),
            Self::Rm(args) => args.profile.flags(),
            Self::Path(args) => args.profile.flags(),
        }
    }
}

/// List models, their revisions, and what was not downloaded to its end
///
/// With --json an array of objects, each with a `kind`: `cache` for a model in a cache of Hugging Face (`name`, `hub`, `path`,
/// `bytes`, `revisions` with `commit`, `refs`, `path`, `files`, `bytes`, `missing`, `whole` and `modified`, `partial` with `files` and
/// `bytes`, or null), `file` for a GGUF file by itself (`path`, `bytes`, `modified`).
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    profile: ProfileArg,
    #[command(flatten)]
    output: JsonArg,
}

/// Remove a model, or one revision of it with the files that no other one needs
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// Name of the model, such as Qwen/Qwen3-8B; with @REVISION that revision alone
    #[arg(value_name = "NAME[@REV]")]
    model: String,
    /// Remove it without a question
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    profile: ProfileArg,
}

/// Print the directory of a model: of the newest revision that is there, or of the one that is named
#[derive(Debug, clap::Args)]
pub(crate) struct PathArgs {
    /// Name of the model, such as Qwen/Qwen3-8B or Qwen/Qwen3-8B@main
    #[arg(value_name = "NAME[@REV]")]
    model: String,
    #[command(flatten)]
    profile: ProfileArg,
}

/// Does what the verb says.
pub(super) async fn model(app: &App, verb: &ModelVerb) -> Outcome<()> {
    match verb {
        ModelVerb::Ls(args) => ls(app, args).await,
        ModelVerb::Add(args) => add(app, args).await,
        ModelVerb::Rm(args) => rm(app, args).await,
        ModelVerb::Path(args) => path(app, args).await,
    }
}

/// All that is staged in the profile of the command; what could not be looked at is warned of.
pub(super) async fn look(app: &App) -> Outcome<Staged> {
    let (name, _, stage) = stage(app)?;
    let staged = stage.look().await.map_err(|error| failure(app, error));
    let staged = staged.during(|| format!("failed to look at what is staged in profile {name}"))?;
    for warning in &staged.warnings {
        app.terminal.warn(&crate::render::clean_line(warning));
    }
    Ok(staged)
}

async fn ls(app: &App, args: &LsArgs) -> Outcome<()> {
    let staged = look(app).await?;
    if args.output.json {
        return Ok(app.terminal.json(&models_json(&staged))?);
    }
    if staged.models.is_empty() && staged.files.is_empty() {
        app.terminal.note("no models; `towline model add NAME` downloads one");
    }
    Ok(app.terminal.table(&models_table(&staged, app.now()))?)
}

async fn path(app: &App, args: &PathArgs) -> Outcome<()> {
    let want = wanted(&args.model, None)?;
    let staged = look(app).await?;
    match staged.find(want.name.as_str(), revision(&args.model)) {
        Some((_, revision)) if revision.is_whole() => Ok(app.terminal.data(&revision.path)?),
        Some((model, revision)) => Err(broken(model, revision)),
        None => Err(missing(app, &staged, &args.model, &want)),
    }
}

async fn rm(app: &App, args: &RmArgs) -> Outcome<()> {
    let want = wanted(&args.model, None)?;
    let staged = look(app).await?;
    let word = revision(&args.model);
    let chosen: Vec<(&Model, Option<&Revision>)> = match word {
        None => staged.named(want.name.as_str()).into_iter().map(|model| (model, None)).collect(),
        Some(_) => {
            let found = staged.find(want.name.as_str(), word);
            found.map(|(model, revision)| (model, Some(revision))).into_iter().collect()
        }
    };
    if chosen.is_empty() {
        return Err(missing(app, &staged, &args.model, &want));
    }
    let (_, _, stage) = stage(app)?;
    for (model, revision) in chosen {
        let (removal, path, what) = match revision {
            None => (model.removal(), &model.path, format!("model {}", model.name)),
            Some(it) => {
                let what = format!("revision {} of model {}", revision_words(it), model.name);
                (model.removal_of(it), &it.path, what)
            }
        };
        let failed = || format!("failed to remove {what}");
        let staying = model.revisions.iter().filter(|other| revision.is_some_and(|it| it != *other));
        let staying = staying.map(|it| it.commit.as_str()).collect();
        check_unused(app, &Going { path, model: Some(&model.name), staying }).await.during(failed)?;
        if !confirmed(app, args.yes, &format!("remove {what} ({}) from {}?", size(removal.bytes), model.hub))?
        {
            return Ok(());
        }
        stage.remove(&want, &removal).await.map_err(|error| failure(app, error)).during(failed)?;
        app.terminal.note(&format!("{what} is removed from {}: {}", model.hub, size(removal.bytes)));
    }
    Ok(())
}

/// The revision in NAME@REV.
pub(super) fn revision(word: &str) -> Option<&str> {
    word.split_once('@').map(|(_, revision)| revision)
}

/// What NAME@REV means; `option` is a revision that was said by itself.
pub(super) fn wanted(word: &str, option: Option<&str>) -> Outcome<Want> {
    let usage = |message: String| Failure::new(Kind::Usage, message);
    let name = word.split_once('@').map_or(word, |(name, _)| name);
    let name = name.parse().map_err(|error: towline_stage::BadModelName| {
        usage(error.to_string()).hint("such as Qwen/Qwen3-8B, or Qwen/Qwen3-8B@REVISION")
    })?;
    let revision = match (revision(word), option) {
        (Some(one), Some(other)) if one != other => {
            return Err(usage(format!("two revisions of {name}: {one} and {other}")));
        }
        (said, option) => said.or(option).unwrap_or(Want::MAIN),
    };
    if !Want::is_revision(revision) {
        return Err(
            usage(format!("{} is no revision", names::shown(revision))).hint("a branch, a tag or a commit")
        );
    }
    Ok(Want { name, revision: revision.to_owned() })
}

fn broken(model: &Model, revision: &Revision) -> Failure {
    let message = format!("revision {} of model {} is not complete", revision_words(revision), model.name);
    Failure::new(Kind::NotFound, message).hint(format!("`towline model add {}` goes on with it", model.name))
}

/// The failure to find a model: with what is half there, or the nearest name.
fn missing(app: &App, staged: &Staged, word: &str, want: &Want) -> Failure {
    let profile = &app.config.default_profile;
    let failure = Failure::new(Kind::NotFound, format!("model {word} is not there in profile {profile}"));
    let here = staged.named(want.name.as_str());
    if let Some(partial) = here.iter().find_map(|model| model.partial) {
        let goes_on = format!("`towline model add {word}` goes on with it");
        return failure.hint(format!("{}; {goes_on}", partial_words(partial)));
    }
    if let (Some(model), Some(_)) = (here.first(), revision(word)) {
        let known: Vec<String> = model.revisions.iter().map(revision_words).collect();
        return failure
            .hint(format!("there are {}; `towline model add {word}` downloads it", known.join(", ")));
    }
    let known = staged.models.iter().map(|model| model.name.as_str());
    match names::nearest(want.name.as_str(), known) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint(format!("`towline model add {word}` downloads it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_a_model_and_perhaps_a_revision() {
        let of = |word: &str, option| wanted(word, option).map(|want| (want.name.to_string(), want.revision));
        assert_eq!(of("a/b", None).unwrap(), ("a/b".to_owned(), "main".to_owned()));
        assert_eq!(of("a/b@v1", Some("v1")).unwrap().1, "v1");
        assert_eq!(of("gpt2", Some("refs/pr/1")).unwrap().1, "refs/pr/1");
        for (bad, option) in
            [("a/b@v1", Some("v2")), ("/models/x", None), ("a/b@", None), ("a/b@../x", None), ("a b", None)]
        {
            assert_eq!(of(bad, option).unwrap_err().kind, Kind::Usage, "{bad}");
        }
    }
}
