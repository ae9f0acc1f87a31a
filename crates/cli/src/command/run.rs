//! `towline run`

use std::path::PathBuf;
use std::time::Duration;

use towline_core::engine::EngineError;
use towline_core::id::ServiceId;
use towline_core::lifecycle::{Status, Terms};
use towline_core::ports::{LedgerError, Select};
use towline_core::service::Service;
use towline_core::spec::{ServiceName, ServiceSpec};

use super::follow::{ended_failure, interrupted, left_behind};
use super::run_staged::staged;
use crate::app::App;
use crate::args::{JobArgs, JsonArg};
use crate::config::{Flags, Profile};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::names;
use crate::recipes::{self, Order, key};
use crate::render::{Live, ServiceView};
use crate::service_file::Exact;
use crate::wiring;

const USAGE: &str = "\
towline run [OPTIONS] -- <CMD>...
       towline run [OPTIONS] <RECIPE> [MODEL] [OPTIONS OF THE RECIPE] [-- <ARG>...]
       towline run [--detach|--dry-run] [--json] -f <FILE>";

/// How many friendly names are tried when others take them at the same time.
const NAME_ATTEMPTS: usize = 5;

/// Start a service, by a command or by a recipe, and wait until it answers
///
/// The command must serve HTTP on the port that stands for {port} in its words, and
/// in $PORT, on the address {host}, in $HOST. Prints the URL and leaves the service
/// running. With --bind loopback it listens where only who has processes on its node
/// can reach it: one that listens on more is ended before its URL is told.
///
///   towline run --name hello --health / -- python3 -m http.server '{port}' --bind '{host}'
///
/// A recipe knows the command and has options of its own, which come after its name;
/// `towline run RECIPE --help` shows them, `towline recipe ls` lists the recipes.
///
///   towline run text-generation Qwen/Qwen3-8B --context-length 8192
///
/// A file may describe several services, which are started together and told as
/// lines of NAME URL; `towline schema` describes it, `towline show --spec` prints one.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, override_usage = USAGE)]
pub(crate) struct RunArgs {
    /// Name of the service: a-z, 0-9 and '-' [default: made from the program's name]
    #[arg(long)]
    name: Option<ServiceName>,
    /// Where to run it [default: the default profile]
    #[arg(long)]
    profile: Option<String>,
    /// Return once the job is submitted; prints the name
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Print what would be submitted, and submit nothing
    #[arg(long, conflicts_with_all = ["detach", "json"])]
    pub(super) dry_run: bool,
    /// Working directory where it runs [default: the home there]
    #[arg(long, value_name = "DIR")]
    chdir: Option<String>,
    /// Image of the container, a path, a name or a URI, as its engine takes it
    #[arg(long, value_name = "IMAGE", help_heading = "Container options")]
    image: Option<String>,
    /// Start the services that a file describes; - is standard input
    #[arg(
        short,
        long,
        value_name = "FILE",
        conflicts_with_all = ["name", "profile", "chdir", "image", "JobArgs", "recipe", "command"]
    )]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) output: JsonArg,
    #[command(flatten)]
    job: JobArgs,
    /// Recipe to run instead of a command: `towline recipe ls` lists them
    recipe: Option<String>,
    /// Program and arguments; of a recipe, further arguments for its program
    #[arg(last = true, required_unless_present_any = ["recipe", "file"], value_name = "CMD")]
    command: Vec<String>,
    /// What is asked of the recipe.
    #[arg(skip)]
    pub(crate) order: Option<Order>,
    /// What a file tells of it as a whole.
    #[arg(skip)]
    pub(super) exact: Option<Exact>,
}

impl RunArgs {
    /// The layer of the configuration that its options are.
    pub(super) fn flags(&self) -> Flags {
        match self.exact {
            // Its options are the whole: the profile says nothing of the service.
            Some(_) => Flags { profile: self.profile.clone(), ..Flags::default() },
            None => self.job.flags(self.profile.as_deref()),
        }
    }

    /// The service that a file tells as a whole: of the profile, called `name`, nothing is in it.
    pub(crate) fn whole(
        &self,
        exact: &Exact,
        profile: &Profile,
        profile_name: &str,
        name: ServiceName,
    ) -> Outcome<ServiceSpec> {
        let bare =
            profile.bare(self.job.values()).map_err(|error| Failure::from_error(Kind::Config, error))?;
        let spec = bare.spec(profile_name, name, self.command.clone(), self.chdir.clone());
        Ok(exact.of(spec, &key(None, &[])?))
    }
}

/// Starts a service.
pub(super) async fn run(app: &App, args: &RunArgs) -> Outcome<()> {
    let profile = app.profile(&app.config.default_profile)?;
    let spec = specs(app, args, profile).await?;
    wiring::check_bind(&app.config.default_profile, profile)
        .during(|| "failed to start a service".to_owned())?;
    if args.dry_run {
        let name = match &args.name {
            Some(name) => name.clone(),
            None => free_name(app, args).await?,
        };
        let script = wiring::dry_run(profile, &app.paths, new_id(), &spec(name)?)?;
        return Ok(app.terminal.data(&script)?);
    }
    let mut attempts = 0;
    loop {
        let name = match &args.name {
            Some(name) => name.clone(),
            None => free_name(app, args).await?,
        };
        attempts += 1;
        let waits = if args.detach { Waits::No } else { Waits::Yes };
        match start(app, spec(name)?, waits).await {
            Err(Unstarted::NameTaken(_)) if args.name.is_none() && attempts < NAME_ATTEMPTS => {}
            Err(Unstarted::NameTaken(_)) if args.name.is_none() => {
                return Err(Failure::new(Kind::Conflict, "every name that was tried is taken")
                    .hint("choose a --name"));
            }
            Err(Unstarted::NameTaken(failure) | Unstarted::Failed(failure)) => return Err(*failure),
            Ok(service) => return report(app, waits, args.output, &service).await,
        }
    }
}

/// What makes the spec of the service that is asked for, once its name is chosen.
pub(super) async fn specs<'a>(
    app: &'a App,
    args: &'a RunArgs,
    profile: &'a Profile,
) -> Outcome<Box<dyn Fn(ServiceName) -> Outcome<ServiceSpec> + 'a>> {
    if let Some(exact) = &args.exact {
        return Ok(Box::new(move |name| args.whole(exact, profile, &app.config.default_profile, name)));
    }
    let base = |name, command| profile.spec(&app.config.default_profile, name, command, args.chdir.clone());
    let Some(order) = &args.order else {
        check_command(&args.command)?;
        let said = args.job.values().contains_key("container");
        return Ok(Box::new(move |name| {
            recipes::contained(base(name, args.command.clone()), profile, said, args.image.as_deref())
        }));
    };
    if let Some(hides) = order.hides() {
        app.terminal.warn(&hides);
    } else if let Some(origin) = order.origin() {
        app.terminal.note(&origin);
    }
    let said = args.job.values();
    let order = order.clone().within(profile, said.contains_key("container"), args.image.as_deref())?;
    let order = staged(app, order, profile).await;
    Ok(Box::new(move |name| order.spec(base(name, Vec::new()), profile, &said, &args.command)))
}

/// A command in one pair of quotes is the usual slip: no program has such a name.
fn check_command(command: &[String]) -> Outcome<()> {
    match command {
        [word] if word.chars().any(char::is_whitespace) => {
            Err(Failure::new(Kind::Usage, format!("{} is one word, and no program", names::shown(word)))
                .hint("leave out the quotes around the command, or run it with `sh -c`"))
        }
        _ => Ok(()),
    }
}

pub(super) fn new_id() -> ServiceId {
    ServiceId::new(uuid::Uuid::now_v7())
}

async fn free_name(app: &App, args: &RunArgs) -> Outcome<ServiceName> {
    let known = app.ledger().await?.list(Select::All).await?;
    let taken = |name: &str| known.services.iter().any(|service| service.spec.name.as_str() == name);
    let program = match &args.order {
        Some(order) => order.name(),
        None => args.command.first().map_or("", String::as_str),
    };
    names::friendly(program, &taken)
        .next()
        .ok_or_else(|| Failure::new(Kind::Usage, "no name was found for the service").hint("choose a --name"))
}

/// Whether a service that is started is waited for until it answers or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    Yes,
    No,
}

/// Why a service was not started.
pub(super) enum Unstarted {
    /// Its name is taken.
    NameTaken(Box<Failure>),
    /// Anything else.
    Failed(Box<Failure>),
}

impl From<Unstarted> for Failure {
    fn from(unstarted: Unstarted) -> Self {
        match unstarted {
            Unstarted::NameTaken(failure) | Unstarted::Failed(failure) => *failure,
        }
    }
}

/// How long a submission that is under way is waited for at Ctrl-C.
const MOMENT: Duration = Duration::from_secs(1);

/// Returns once a service is no longer being submitted.
async fn submitted(app: &App, id: ServiceId) {
    const PAUSE: Duration = Duration::from_millis(20);
    let is_open =
        |service: Service| service.status() == Status::Submitted && service.life.phase.job().is_none();
    while app.find(&id.to_string()).await.is_ok_and(is_open) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Starts a service.
///
/// # Errors
/// The engine's, as failures to start it.
pub(super) async fn start(app: &App, spec: ServiceSpec, waits: Waits) -> Result<Service, Unstarted> {
    let profile = spec.profile.clone();
    let failed = |failure: Failure| Unstarted::Failed(Box::new(failure));
    let engine = app.target(&profile).await.map_err(failed)?.engine;
    let terms = Terms::with_grace(spec.grace);
    let service = Service::new(new_id(), spec, terms, app.now());
    let (id, name) = (service.id, service.spec.name.clone());
    let mut live = Live::new(&app.terminal);
    let mut watch = |service: &Service| live.look(service);
    let mut starting =
        Box::pin(engine.start(service, if waits == Waits::No { None } else { Some(&mut watch) }));
    let started = tokio::select! {
        started = &mut starting => started,
        () = interrupted() => {
            // A submission that is cut off is settled minutes later only.
            tokio::select! {
                _ = &mut starting => {}
                () = submitted(app, id) => {}
                () = interrupted() => {}
                () = tokio::time::sleep(MOMENT) => {}
            }
            drop(starting);
            drop(live);
            return Err(failed(left_behind(app, id).await));
        }
    };
    drop(starting);
    drop(live);
    started.map_err(|error| {
        let is_taken = matches!(error, EngineError::Ledger(LedgerError::NameTaken { .. }));
        let failure = app.explain(&profile, error.into());
        let failure = failure.during(format!("failed to start service {name}"));
        let failure = match failure.kind {
            Kind::Unreachable => {
                failure.hint(format!("`towline doctor --profile {profile}` checks the way there"))
            }
            _ => failure,
        };
        if is_taken { Unstarted::NameTaken(Box::new(failure)) } else { failed(failure) }
    })
}

/// Says that clients must send a key, if they must.
pub(super) fn tell_key(app: &App, service: &Service) {
    if service.spec.key().is_some() {
        let name = &service.spec.name;
        let how = format!("`towline key {name}`, `towline env {name}`");
        app.terminal.note(&format!("clients of {name} must send its key: {how}"));
    }
}

/// Prints what a started service is known by: its URL or, detached, its name.
pub(super) async fn report(app: &App, waits: Waits, output: JsonArg, service: &Service) -> Outcome<()> {
    if output.json {
        app.terminal.json(&ServiceView::from(service))?;
    }
    let status = service.status();
    if status.is_terminal() {
        return Err(ended_failure(app, service).await);
    }
    if output.json {
        return Ok(());
    }
    tell_key(app, service);
    if waits == Waits::No {
        app.terminal.note(&format!("service {}: {}", service.spec.name, service.life.why()));
        return Ok(app.terminal.data(service.spec.name.as_str())?);
    }
    match service.url() {
        Some(url) => Ok(app.terminal.data(&url)?),
        None if status == Status::Healthy => {
            let message = format!("service {} answers, but its tunnel was closed", service.spec.name);
            Err(Failure::new(Kind::Refused, message)
                .hint(format!("open it with `towline tunnel open {}`", service.spec.name)))
        }
        None => {
            Err(Failure::new(Kind::Internal, format!("stopped waiting for service {}", service.spec.name)))
        }
    }
    .during(|| format!("failed to print the URL of service {}", service.spec.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_command_is_caught() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(check_command(&words(&["python3 -m http.server"])).unwrap_err().kind, Kind::Usage);
        assert!(check_command(&words(&["python3", "-m", "a b"])).is_ok());
        assert!(check_command(&words(&["serve"])).is_ok());
    }
}
