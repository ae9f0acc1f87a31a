//! `towline run`

use towline_core::engine::EngineError;
use towline_core::id::ServiceId;
use towline_core::lifecycle::{Status, Terms};
use towline_core::ports::{LedgerError, Select};
use towline_core::service::Service;
use towline_core::spec::{ServiceName, ServiceSpec};

use super::follow::{ended_failure, interrupted, left_behind};
use crate::app::App;
use crate::args::{JobArgs, JsonArg};
use crate::config::{Flags, Profile};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::names;
use crate::recipes::Order;
use crate::render::{Live, ServiceView};
use crate::wiring;

const USAGE: &str = "\
towline run [OPTIONS] -- <CMD>...
       towline run [OPTIONS] <RECIPE> [MODEL] [OPTIONS OF THE RECIPE] [-- <ARG>...]";

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
    detach: bool,
    /// Print what would be submitted, and submit nothing
    #[arg(long, conflicts_with_all = ["detach", "json"])]
    dry_run: bool,
    /// Working directory where it runs [default: the home there]
    #[arg(long, value_name = "DIR")]
    chdir: Option<String>,
    #[command(flatten)]
    output: JsonArg,
    #[command(flatten)]
    job: JobArgs,
    /// Recipe to run instead of a command: `towline recipe ls` lists them
    recipe: Option<String>,
    /// Program and arguments; of a recipe, further arguments for its program
    #[arg(last = true, required_unless_present = "recipe", value_name = "CMD")]
    command: Vec<String>,
    /// What is asked of the recipe.
    #[arg(skip)]
    pub(crate) order: Option<Order>,
}

impl RunArgs {
    /// The layer of the configuration that its options are.
    pub(super) fn flags(&self) -> Flags {
        self.job.flags(self.profile.as_deref())
    }
}

/// Starts a service.
pub(super) async fn run(app: &App, args: &RunArgs) -> Outcome<()> {
    let profile = app.profile(&app.config.default_profile)?;
    let spec = specs(app, args, profile)?;
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
        match start(app, args, spec(name)?).await {
            Err(Started::NameTaken) if args.name.is_none() && attempts < NAME_ATTEMPTS => {}
            Err(Started::NameTaken) => {
                return Err(Failure::new(Kind::Conflict, "every name that was tried is taken")
                    .hint("choose a --name"));
            }
            Err(Started::Failed(failure)) => return Err(*failure),
            Ok(service) => return report(app, args, &service).await,
        }
    }
}

/// What makes the spec of the service that is asked for, once its name is chosen.
fn specs<'a>(
    app: &'a App,
    args: &'a RunArgs,
    profile: &'a Profile,
) -> Outcome<Box<dyn Fn(ServiceName) -> Outcome<ServiceSpec> + 'a>> {
    let base = |name, command| profile.spec(&app.config.default_profile, name, command, args.chdir.clone());
    let Some(order) = &args.order else {
        check_command(&args.command)?;
        return Ok(Box::new(move |name| Ok(base(name, args.command.clone()))));
    };
    if let Some(hides) = order.hides() {
        app.terminal.warn(&hides);
    } else if let Some(origin) = order.origin() {
        app.terminal.note(&origin);
    }
    let said = args.job.values();
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

fn new_id() -> ServiceId {
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

/// Why a service was not started.
enum Started {
    /// Another process was quicker to take the name.
    NameTaken,
    /// Anything else.
    Failed(Box<Failure>),
}

impl From<Failure> for Started {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

async fn start(app: &App, args: &RunArgs, spec: ServiceSpec) -> Result<Service, Started> {
    let engine = app.target(&spec.profile).await?.engine;
    let terms = Terms::with_grace(spec.grace);
    let service = Service::new(new_id(), spec, terms, app.now());
    let (id, name) = (service.id, service.spec.name.clone());
    let mut live = Live::new(&app.terminal);
    let mut watch = |service: &Service| live.look(service);
    let started = tokio::select! {
        started = engine.start(service, if args.detach { None } else { Some(&mut watch) }) => started,
        () = interrupted() => {
            drop(live);
            return Err(left_behind(app, id).await.into());
        }
    };
    drop(live);
    match started {
        Ok(service) => Ok(service),
        Err(EngineError::Ledger(LedgerError::NameTaken { .. })) if args.name.is_none() => {
            Err(Started::NameTaken)
        }
        Err(error) => {
            let failure = app.explain(&app.config.default_profile, error.into());
            let failure = failure.during(format!("failed to start service {name}"));
            let failure = match failure.kind {
                Kind::Unreachable => failure.hint(format!(
                    "`towline doctor --profile {}` checks the way there",
                    app.config.default_profile
                )),
                _ => failure,
            };
            Err(failure.into())
        }
    }
}

/// Prints what a started service is known by: its URL or, detached, its name.
async fn report(app: &App, args: &RunArgs, service: &Service) -> Outcome<()> {
    if args.output.json {
        app.terminal.json(&ServiceView::from(service))?;
    }
    let status = service.status();
    if status.is_terminal() {
        return Err(ended_failure(app, service).await);
    }
    if args.output.json {
        return Ok(());
    }
    if args.detach {
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
