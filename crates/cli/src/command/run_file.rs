//! `towline run -f`

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use futures_util::future::join_all;
use indicatif::MultiProgress;
use towline_core::lifecycle::Status;
use towline_core::ports::Select;
use towline_core::service::Service;
use towline_core::spec::ServiceSpec;

use super::Verb;
use super::follow::{Followed, ended_failure, follow_on};
use super::run::{RunArgs, Waits, new_id, specs, start, tell_key};
use crate::app::App;
use crate::config::Flags;
use crate::exit::{Failure, Kind, Outcome};
use crate::names::{nearest, shown};
use crate::recipes::{self, Shelf, Unread, Whence};
use crate::render::{Live, ServiceView, Terminal};
use crate::service_file::{Entry, read};
use crate::wiring;

/// A service of the file, as it is to be started.
struct Planned {
    app: App,
    spec: ServiceSpec,
    /// Its batch script.
    script: String,
}

/// Starts the services of a file. All are checked before one is started.
pub(super) async fn run_file(terminal: Terminal, file: &Path, args: &RunArgs) -> Outcome<()> {
    let (text, origin) = contents(file)?;
    let entries = read(&text, &origin)?;
    let app = App::load(terminal, &Flags::default())?;
    if !args.dry_run {
        // First of all: what a plan needs may take a question to a cluster.
        check_names(&app, &entries).await?;
    }
    let mut planned = Vec::new();
    for entry in &entries {
        let plan = plan(terminal, entry)
            .await
            .map_err(|failure| of_file(failure).during(format!("{}: service {}", entry.place, entry.name)))?;
        planned.push(plan);
    }
    if args.dry_run {
        let scripts = planned.iter().map(|it| format!("# --- {} ---\n{}", it.spec.name, it.script));
        return Ok(terminal.data(&scripts.collect::<Vec<_>>().join("\n"))?);
    }
    let mut started = Vec::new();
    let mut failures = Vec::new();
    for (index, Planned { app, spec, .. }) in planned.iter().enumerate() {
        match start(app, spec.clone(), Waits::No).await {
            Ok(service) => started.push((app, service)),
            Err(unstarted) => {
                let failure = Failure::from(unstarted);
                if failure.kind == Kind::Interrupted {
                    let left = planned.iter().skip(index + 1).map(|it| it.spec.name.as_str());
                    failures.push(without(failure, &left.collect::<Vec<_>>()));
                    break;
                }
                failures.push(failure);
            }
        }
    }
    let is_interrupted = failures.last().is_some_and(|failure| failure.kind == Kind::Interrupted);
    let looked = match args.detach || is_interrupted {
        true => started.into_iter().map(|(app, service)| (app, service, None)).collect(),
        false => wait_for_all(started, args.output.json).await,
    };
    tell(&app, args, looked, failures).await
}

/// The text of the file, and its name for people.
fn contents(file: &Path) -> Outcome<(String, String)> {
    let (read, origin) = match file.to_str() {
        Some("-") => (std::io::read_to_string(std::io::stdin()), "standard input".to_owned()),
        _ => (fs::read_to_string(file), file.display().to_string()),
    };
    match read {
        Ok(text) => Ok((text, origin)),
        Err(error) => {
            let failure =
                anyhow::Error::new(error).context(format!("failed to read the services of {origin}"));
            Err(Failure::from_error(Kind::Config, failure))
        }
    }
}

async fn plan(terminal: Terminal, entry: &Entry) -> Outcome<Planned> {
    check_parameters(entry)?;
    let words: Vec<OsString> = entry.words.iter().map(OsString::from).collect();
    let cli = recipes::read(&words, Whence::File).map_err(|unread| match unread {
        Unread::Refused(error) => refused(&error),
        Unread::Failed(failure) => *failure,
    })?;
    let Verb::Run(mut args) = cli.verb else {
        return Err(Failure::new(Kind::Internal, "a service of a file is no service"));
    };
    args.exact.clone_from(&entry.exact);
    let app = App::load(terminal, &args.flags())?;
    let profile = app.profile(&app.config.default_profile)?;
    wiring::check_bind(&app.config.default_profile, profile)?;
    let spec = specs(&app, &args, profile).await?(entry.name.clone())?;
    let script = wiring::dry_run(profile, &app.paths, new_id(), &spec)?;
    Ok(Planned { app, spec, script })
}

/// A failure as one of the file, without what a command line would have to be instead.
fn of_file(mut failure: Failure) -> Failure {
    if failure.kind == Kind::Usage {
        failure.kind = Kind::Config;
        failure.hints.retain(|hint| !hint.contains("towline run"));
    }
    failure
}

/// Checks that what is given to a recipe are its parameters: other options of its command line stand elsewhere.
fn check_parameters(entry: &Entry) -> Outcome<()> {
    let Some((name, given)) = &entry.recipe else { return Ok(()) };
    let found = Shelf::of_process()?.get(name, Kind::Usage)?;
    let recipe = found.recipe()?;
    let names = || recipe.parameters().iter().map(|parameter| parameter.name.as_str());
    let Some((wrong, place)) = given.iter().find(|(given, _)| !names().any(|name| name == given)) else {
        return Ok(());
    };
    let failure =
        Failure::new(Kind::Config, format!("{place}: recipe {name} has no parameter {}", shown(wrong)));
    Err(match nearest(wrong, names()) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure,
    })
}

/// What clap says of words that nobody has typed: its complaint and its tips, without usage.
fn refused(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let complaint = text.split("\n\n").next().unwrap_or_default();
    let complaint = complaint.strip_prefix("error: ").unwrap_or(complaint).trim_end();
    let failure = Failure::new(Kind::Config, complaint.to_owned());
    let tips = text.lines().filter_map(|line| line.trim_start().strip_prefix("tip: "));
    tips.fold(failure, |failure, tip| failure.hint(tip.to_owned()))
        .hint("options of `run` are keys of the file, with _ for -; those of a recipe are its parameters")
}

/// Checks that no name is taken.
async fn check_names(app: &App, entries: &[Entry]) -> Outcome<()> {
    let known = app.ledger().await?.list(Select::Unfinished).await?.services;
    let is_known = |it: &&Entry| known.iter().any(|service| service.spec.name == it.name);
    let taken: Vec<&str> = entries.iter().filter(is_known).map(|it| it.name.as_str()).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let message = format!("these run already: {}; nothing was started", taken.join(", "));
    Err(Failure::new(Kind::Conflict, message).hint(format!("`towline stop {}` ends them", taken.join(" "))))
}

/// An interruption with the services that it kept from being started.
fn without(failure: Failure, names: &[&str]) -> Failure {
    match names {
        [] => failure,
        names => failure.hint(format!("not started: {}", names.join(", "))),
    }
}

/// A service as it is known last, and why it is not known better.
type Looked<'a> = (&'a App, Service, Option<Failure>);

/// Waits for all at the same time; tells each URL as soon as its service answers, unless all are told at the end.
async fn wait_for_all(started: Vec<(&App, Service)>, at_end: bool) -> Vec<Looked<'_>> {
    let lines = MultiProgress::new();
    let waits = started.into_iter().map(|(app, before)| {
        let live = Live::among(&app.terminal, &lines);
        async move {
            let service = match follow_on(live, app, &before, &[Status::Healthy], None).await {
                Ok(Followed::Done(service) | Followed::OutOfTime(service)) => *service,
                Err(failure) => {
                    let service = app.find(&before.id.to_string()).await.unwrap_or(before);
                    return (app, service, Some(failure));
                }
            };
            let url = service.url().filter(|_| !at_end && service.status() == Status::Healthy);
            let told = url.map(|url| app.terminal.data(&format!("{} {url}", service.spec.name)));
            let failure = told.and_then(Result::err).map(Failure::from);
            (app, service, failure)
        }
    });
    join_all(waits).await
}

/// Tells what became of each, and ends with what went wrong.
async fn tell(
    main: &App,
    args: &RunArgs,
    looked: Vec<Looked<'_>>,
    mut failures: Vec<Failure>,
) -> Outcome<()> {
    let mut services = Vec::new();
    for (app, service, failure) in looked {
        match failure {
            None if service.status().is_terminal() => failures.push(ended_failure(app, &service).await),
            None if !args.output.json => tell_key(app, &service),
            None => {}
            Some(failure) => failures.push(failure),
        }
        services.push(service);
    }
    if args.output.json {
        main.terminal.json(&services.iter().map(ServiceView::from).collect::<Vec<_>>())?;
    } else if args.detach {
        let names: Vec<&str> = services.iter().map(|service| service.spec.name.as_str()).collect();
        main.terminal.data(&names.join("\n"))?;
    }
    main.conclude(failures)
}
