//! What `model` and `image` have in common: following a download, what failures mean, and questions before a removal.

use std::time::Duration;

use towline_stage::{Errand, Progress, Stage, StageError, State};

use super::follow::interrupted;
use crate::app::App;
use crate::config::{Flags, Kind as ProfileKind, Profile};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::render::Loading;
use crate::wiring;

/// How long one look at a download waits for its end: for a live line, and for one now and then.
const LOOKS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// How many looks in a row may fail before following is given up; the waits between them double from a second.
const FAILED_LOOKS: u32 = 6;

/// The profile of a command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProfileArg {
    /// Where to look [default: the default profile]
    #[arg(long)]
    pub(super) profile: Option<String>,
}

impl ProfileArg {
    /// The layer of the configuration that it is.
    pub(super) fn flags(&self) -> Flags {
        Flags { profile: self.profile.clone(), ..Flags::default() }
    }
}

/// Where something is downloaded, and as which job.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// Where to bring it [default: the default profile]
    #[arg(long)]
    profile: Option<String>,
    /// Download in a Slurm job, with the profile's partition and account, instead of on the login host
    #[arg(long)]
    pub(super) in_job: bool,
    /// Partition of that job
    #[arg(long, value_name = "NAME", requires = "in_job")]
    partition: Option<String>,
    /// Account to charge for it
    #[arg(long, value_name = "NAME", requires = "in_job")]
    account: Option<String>,
    /// Quality of service of it
    #[arg(long, value_name = "NAME", requires = "in_job")]
    qos: Option<String>,
    /// Time limit of it
    #[arg(long, value_name = "TIME", requires = "in_job")]
    time: Option<String>,
}

impl PlaceArgs {
    /// The layer of the configuration that they are.
    pub(super) fn flags(&self) -> Flags {
        let said = [
            ("partition", &self.partition),
            ("account", &self.account),
            ("qos", &self.qos),
            ("time", &self.time),
        ];
        let said = said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into())));
        Flags { profile: self.profile.clone(), values: said.collect() }
    }

    /// Where it is done.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a job where there is no scheduler, and [`Kind::Config`] for options that Slurm could not take.
    pub(super) fn place(&self, profile: &Profile) -> Outcome<towline_stage::Place> {
        match (self.in_job, profile.kind) {
            (false, _) => Ok(towline_stage::Place::Here),
            (true, ProfileKind::Local) => {
                Err(Failure::new(Kind::Usage, "there are no jobs on this machine").hint("leave out --in-job"))
            }
            (true, ProfileKind::Slurm) => Ok(towline_stage::Place::Job(wiring::job_options(profile)?)),
        }
    }
}

/// The profile that is meant, with its name, and what stages things there.
pub(super) fn stage(app: &App) -> Outcome<(&str, &Profile, Stage)> {
    let name = app.config.default_profile.as_str();
    let profile = app.profile(name)?;
    Ok((name, profile, wiring::stage(name, profile, &app.paths)?))
}

/// A download that is followed.
pub(super) struct Following<'a> {
    pub(super) stage: &'a Stage,
    pub(super) errand: &'a Errand,
    /// What it is for people, such as a model's name.
    pub(super) what: &'a str,
    /// Files and bytes in all, if that is known.
    pub(super) all: Option<(usize, u64)>,
    /// The job that does it, if that is known.
    pub(super) job: Option<String>,
}

/// How a download came out that has come to its end.
pub(super) type Ended = Result<Progress, StageError>;

/// Follows it to its end, with a live line. Ctrl-C ends what is done on the login host, and leaves a job alone.
///
/// # Errors
/// [`Kind::Interrupted`] after Ctrl-C, [`Kind::Unreachable`] if nothing can be learnt of it any more.
pub(super) async fn follow(app: &App, of: &Following<'_>) -> Outcome<Ended> {
    let mut loading = Loading::new(&app.terminal, of.what, of.all);
    // The first look tells at once where it stands.
    let mut wait = Duration::ZERO;
    let mut job = of.job.clone();
    let mut failed = 0;
    let looks = async {
        loop {
            match of.stage.progress(of.errand, wait).await {
                Ok(progress) => {
                    failed = 0;
                    loading.look(&progress);
                    wait = LOOKS[usize::from(!loading.is_live())];
                    job.clone_from(&progress.job);
                    match progress.state {
                        State::Done => return Ok(Ok(progress)),
                        State::Failed(error) => return Ok(Err(error)),
                        _ => {}
                    }
                }
                Err(error) if failed >= FAILED_LOOKS => return Err(error),
                Err(_) => {
                    tokio::time::sleep(Duration::from_secs(1 << failed)).await;
                    failed += 1;
                }
            }
        }
    };
    let ended = tokio::select! {
        ended = looks => Some(ended),
        () = interrupted() => None,
    };
    drop(loading);
    match ended {
        Some(Ok(ended)) => Ok(ended),
        Some(Err(error)) => {
            let name = app.config.default_profile.as_str();
            let failure = failure(app, error).during(format!("lost sight of the download of {}", of.what));
            Err(app.explain(name, failure).hint("it may go on there; the same command follows it again"))
        }
        None => Err(left(app, of, job).await),
    }
}

/// What Ctrl-C leaves.
async fn left(app: &App, of: &Following<'_>, job: Option<String>) -> Failure {
    let interrupted = |text: String| Failure::new(Kind::Interrupted, format!("interrupted: {text}"));
    if let Some(job) = job {
        let profile = &app.config.default_profile;
        return interrupted(format!("the job of {} goes on", of.what)).hint(format!(
            "the same command follows it again; on the cluster of {profile} `squeue -j {job}` shows it, `scancel {job}` ends it"
        ));
    }
    let again = "what is downloaded stays there; the same command goes on with it";
    match of.stage.stop(of.errand).await {
        Ok(None) => interrupted(format!("the download of {} is stopped", of.what)).hint(again),
        Ok(Some(host)) => interrupted(format!("the download of {} goes on on {host}", of.what))
            .hint("the same command follows it again"),
        Err(error) => failure(app, error)
            .during(format!("failed to stop the download of {}", of.what))
            .hint("it may go on there; the same command follows it again"),
    }
}

/// What an error means for a user.
pub(super) fn failure(app: &App, error: StageError) -> Failure {
    let (kind, hint) = advice(app, &error);
    let failure = Failure::from_error(kind, error);
    let failure = app.explain(&app.config.default_profile, failure);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn advice(app: &App, error: &StageError) -> (Kind, Option<String>) {
    const AGAIN: &str = "what is there stays, and the same command goes on with it";
    let profile = &app.config.default_profile;
    let (kind, hint) = match error {
        StageError::Shell(_) => {
            (Kind::Unreachable, format!("`towline doctor --profile {profile}` checks the way there"))
        }
        StageError::Garbled { .. } => {
            (Kind::Unreachable, format!("`towline doctor --profile {profile}` checks the way there"))
        }
        StageError::Value(_) => (Kind::Usage, "such a name can be in no script".to_owned()),
        StageError::NoTool { tool } => (
            Kind::Config,
            format!("have {tool} on the PATH that a command has there, such as by a line in ~/.bashrc"),
        ),
        StageError::Directory { .. } => {
            (Kind::Config, format!("name a directory that you can write as cache of [profiles.{profile}]"))
        }
        StageError::Full { .. } => (
            Kind::Refused,
            format!(
                "{AGAIN}; make room (`towline model rm` may), or name another cache for [profiles.{profile}]"
            ),
        ),
        StageError::NoAnswer { .. } => (
            Kind::Unreachable,
            format!(
                "{AGAIN}; on many clusters login hosts have a way to the internet and nodes have none, or only by a proxy (https_proxy)"
            ),
        ),
        StageError::Limited { .. } => {
            (Kind::Refused, format!("{AGAIN}, after a while; with a token the hub allows more"))
        }
        StageError::NoModel { .. } => {
            (Kind::NotFound, "look at how the name is written; a private model needs --token".to_owned())
        }
        StageError::NoRevision { .. } => {
            (Kind::NotFound, "a revision is a branch, a tag or a commit".to_owned())
        }
        StageError::Gated { name, with_token, .. } => (
            Kind::Refused,
            match with_token {
                false => format!(
                    "accept its terms on the page of {name}, and give a token of that account: --token env:HF_TOKEN"
                ),
                true => format!("accept its terms on the page of {name} with the account of the token"),
            },
        ),
        StageError::BadToken { .. } => {
            (Kind::Refused, "make another one in the settings of your account on the hub".to_owned())
        }
        StageError::Hub { .. } => {
            (Kind::Refused, format!("{AGAIN}; if it is no passing trouble, look at --hub"))
        }
        StageError::Hostile { .. } => {
            (Kind::Refused, "nothing was written; look at --hub, and whom it belongs to".to_owned())
        }
        StageError::Checksum { .. } => {
            (Kind::Refused, "what was wrong is removed; the same command loads it anew".to_owned())
        }
        StageError::Nothing { .. } => (Kind::NotFound, "look at --include and --exclude".to_owned()),
        StageError::Refused { .. } => {
            (Kind::Refused, "--partition, --account, --qos and --time say what the job asks for".to_owned())
        }
        StageError::Busy => (Kind::Conflict, "wait until it is done".to_owned()),
        StageError::OtherSource { .. } => {
            (Kind::Conflict, "wait until it is done, or give this one a name: --name".to_owned())
        }
        StageError::Unseen { .. } => (
            Kind::Refused,
            "nothing is removed; make those directories readable, or ask whom they belong to".to_owned(),
        ),
        StageError::Ended { .. } => (Kind::Internal, AGAIN.to_owned()),
        StageError::Failed { .. } => (
            Kind::Refused,
            "look at how the source is written, and whether that host reaches it; `--in-job` pulls on a node"
                .to_owned(),
        ),
        _ => return (Kind::Internal, None),
    };
    (kind, Some(hint))
}

/// Asks before a removal, unless that was said already. `false` is a no.
///
/// # Errors
/// [`Kind::Refused`] where nobody can be asked.
pub(super) fn confirmed(app: &App, yes: bool, question: &str) -> Outcome<bool> {
    if yes {
        return Ok(true);
    }
    match app.terminal.confirm(question).during(|| "failed to ask".to_owned())? {
        Some(answer) => {
            if !answer {
                app.terminal.note("nothing is removed");
            }
            Ok(answer)
        }
        None => Err(Failure::new(Kind::Refused, "nobody is there to be asked before something is removed")
            .hint("--yes removes it without a question")),
    }
}
