//! `towline model add`

use std::path::Path;

use towline_stage::{Begun, Choice, Errand, Hub, Manifest, Stage, Token};

use super::model::{look, wanted};
use super::staging::{Following, PlaceArgs, failure, follow, stage};
use crate::app::App;
use crate::args::JsonArg;
use crate::config::{Flags, Profile};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::recipes::private_file;
use crate::render::{AddedModel, revision_words, size};

/// How often it is begun again after a download of the same by somebody else has ended.
const TURNS: usize = 3;

/// Download a model, or go on with a download that was broken off
///
/// It is loaded from the hub to the profile's cache by the login host, or in a job, and each file is compared with its
/// checksum. Prints the directory of the model. With --json an object: `name`, `revision` (as asked for), `commit`, `path`, `files`
/// and `bytes` that were asked for, `job` (null if there was none).
///
/// Ctrl-C stops a download on the login host, and leaves a job alone. Either way the same command goes on with it.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Name of the model, such as Qwen/Qwen3-8B or Qwen/Qwen3-8B@main
    #[arg(value_name = "NAME[@REV]")]
    model: String,
    /// Branch, tag or commit [default: main]
    #[arg(long, value_name = "REV")]
    revision: Option<String>,
    /// Only files like this, such as '*.safetensors' (repeatable)
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// No files like this (repeatable)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Token of the hub, for models that are private or gated: env:NAME, a variable here, or file:PATH, a file of mode 0600
    #[arg(long, value_name = "WHERE")]
    token: Option<String>,
    /// Hub to download from [default: that of the profile, $HF_ENDPOINT, or huggingface.co]
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: JsonArg,
}

impl AddArgs {
    /// The layer of the configuration that its options are.
    pub(super) fn flags(&self) -> Flags {
        self.place.flags()
    }
}

/// Downloads a model.
pub(super) async fn add(app: &App, args: &AddArgs) -> Outcome<()> {
    let want = wanted(&args.model, args.revision.as_deref())?;
    let (_, profile, stage) = stage(app)?;
    let place = args.place.place(profile)?;
    let token = args.token.as_deref().map(token).transpose()?;
    let hub = hub(app, args, profile, token.is_some())?;
    let choice = Choice { include: args.include.clone(), exclude: args.exclude.clone() };
    let failed = || format!("failed to download model {}", want.name);
    let manifest = stage.manifest(&hub, token.as_ref(), &want, &choice).await;
    let manifest = manifest.map_err(|error| failure(app, error)).during(failed)?;
    let all = (manifest.files.len(), manifest.bytes());
    app.terminal.note(&format!(
        "model {} {} from {hub}: {}, {}",
        want.name,
        manifest.commit.chars().take(8).collect::<String>(),
        if all.0 == 1 { "one file".to_owned() } else { format!("{} files", all.0) },
        size(all.1)
    ));
    let adding = Adding { app, stage: &stage, hub: &hub, token: token.as_ref(), manifest: &manifest };
    let job = adding.run(&place, all).await?;
    let staged = look(app).await?;
    let Some((model, revision)) = staged.find(want.name.as_str(), Some(&manifest.commit)) else {
        let message = format!("model {} was downloaded, and is not found where it should lie", want.name);
        return Err(Failure::new(Kind::Internal, message).hint("`towline model ls` shows what is there"));
    };
    if args.output.json {
        let view = AddedModel::new((model, revision), &want.revision, all, job.as_deref());
        return Ok(app.terminal.json(&view)?);
    }
    app.terminal.note(&format!("model {} {} is there", want.name, revision_words(revision)));
    Ok(app.terminal.data(&revision.path)?)
}

struct Adding<'a> {
    app: &'a App,
    stage: &'a Stage,
    hub: &'a Hub,
    token: Option<&'a Token>,
    manifest: &'a Manifest,
}

impl Adding<'_> {
    /// Downloads it, and returns the job that did it. Where somebody else is at it, that is waited for first: what they have
    /// loaded is there then.
    async fn run(&self, place: &towline_stage::Place, all: (usize, u64)) -> Outcome<Option<String>> {
        let errand = Errand::model(&self.manifest.want, self.token.is_some());
        let failed = || format!("failed to download model {}", self.manifest.want.name);
        let mut turn = 0;
        loop {
            turn += 1;
            let begun = self.stage.download(self.hub, self.token, self.manifest, place).await;
            let begun = begun.map_err(|error| failure(self.app, error)).during(failed)?;
            let (job, is_ours) = match begun {
                Begun::Started(job) => (job, true),
                Begun::Joined(job) => (job, false),
            };
            if !is_ours {
                self.app.terminal.note("it is being downloaded already; that is followed");
            }
            let following = Following {
                stage: self.stage,
                errand: &errand,
                what: self.manifest.want.name.as_str(),
                all: Some(all),
                job: job.clone(),
            };
            match follow(self.app, &following).await? {
                Ok(_) if is_ours => return Ok(job),
                Err(error) if is_ours || turn >= TURNS => {
                    return Err(failure(self.app, error)).during(failed);
                }
                // What they wanted may be less than what is wanted here.
                Ok(_) if turn >= TURNS => return Ok(job),
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// The hub that is meant. One that is spoken to in the clear must have been named for this very purpose, or be near.
fn hub(app: &App, args: &AddArgs, profile: &Profile, with_token: bool) -> Outcome<Hub> {
    let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|value| !value.is_empty());
    let said = args.hub.as_ref().or(profile.hub.as_ref());
    let Some(text) = said.or(endpoint.as_ref()) else { return Ok(Hub::default()) };
    let hub: Hub = text.parse().map_err(|error| {
        let kind = if args.hub.is_some() { Kind::Usage } else { Kind::Config };
        Failure::from_error(kind, anyhow::Error::new::<towline_stage::BadHub>(error))
            .hint("--hub, `hub` of the profile and HF_ENDPOINT are looked at, in this order")
    })?;
    if hub.is_plain() && !hub.is_loopback() {
        if said.is_none() {
            return Err(Failure::new(Kind::Config, format!("HF_ENDPOINT is {hub}, which is not encrypted"))
                .hint(format!("if you mean it, say so: --hub {hub}")));
        }
        let also = if with_token { ", the token too" } else { "" };
        app.terminal.warn(&format!("what is sent to {hub} can be read on the way{also}"));
    }
    Ok(hub)
}

/// The token that `--token` names. Never the token itself: the command line can be read by everybody on this machine.
fn token(text: &str) -> Outcome<Token> {
    let bad = |problem: &str| Failure::new(Kind::Usage, format!("bad --token: {problem}"));
    let (how, what) = text.split_once(':').unwrap_or(("", ""));
    let token = match how {
        "env" => std::env::var(what).map_err(|_| {
            // Who writes env:$TOKEN has given the token itself, which is printed nowhere.
            bad("the variable that it names is not set here")
                .hint("write the name of the variable, without $: env:NAME")
        })?,
        "file" => private_file(Path::new(what))?,
        _ => {
            return Err(bad("it is neither env:NAME nor file:PATH")
                .hint("a token itself would be seen by everybody here: put it into a variable or a file of yours alone"));
        }
    };
    Token::new(&token).map_err(|error| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "two words").unwrap();
        std::os::unix::fs::PermissionsExt::set_mode(
            &mut std::fs::metadata(&path).unwrap().permissions(),
            0o600,
        );
        for bad in
            ["hush", "env:hush", "file:/nonexistent/hush2", "hush:", "", &format!("file:{}", path.display())]
        {
            let told = format!("{:?}", token(bad).unwrap_err());
            assert!(!told.contains("hush\"") && !told.contains("two words"), "{told}");
        }
    }
}
