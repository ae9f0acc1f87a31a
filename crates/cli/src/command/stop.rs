//! `towline stop`

use std::time::Duration;

use towline_core::engine::EngineError;
use towline_core::lifecycle::{EndStatus, Refusal, Status};
use towline_core::service::Service;
use towline_core::span::Span;

use super::follow::{Followed, follow};
use crate::app::App;
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::render::{clean, ended_at, moment};

/// How long the end of a job is waited for once its cancel is due. Slurm gives a job 30 s between SIGTERM and SIGKILL.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stop services: cancel their jobs and close their tunnels
///
/// Waits until the end is confirmed. Stopping a service that has ended changes nothing and says so.
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// Names or UUIDs of services
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
    /// How long to wait first, such as 90, 10m or 1h; the stop is recorded at once
    #[arg(long, value_name = "SPAN", default_value = "0")]
    delay: Span,
    /// Status to record at the end
    #[arg(long = "as", value_name = "STATUS", default_value = "stopped")]
    status: EndAs,
    /// Return once the stop is recorded and, if it is due, the cancel was sent
    #[arg(long)]
    no_wait: bool,
}

/// A status to end with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EndAs {
    Stopped,
    Timeout,
    Failed,
}

impl From<EndAs> for EndStatus {
    fn from(status: EndAs) -> Self {
        match status {
            EndAs::Stopped => Self::Stopped,
            EndAs::Timeout => Self::Timeout,
            EndAs::Failed => Self::Failed,
        }
    }
}

/// Stops services; one that cannot be stopped keeps none of the others. All wishes are recorded before any end is
/// waited for.
pub(super) async fn stop(app: &App, args: &StopArgs) -> Outcome<()> {
    let mut services = Vec::with_capacity(args.services.len());
    for word in &args.services {
        services.push(app.find(word).await?);
    }
    let (mut stopping, mut failures) = (Vec::with_capacity(services.len()), Vec::new());
    for service in &services {
        match wish(app, service, args).await {
            Ok(Some(service)) => stopping.push(service),
            Ok(None) => {}
            Err(failure) => failures.push(failure),
        }
    }
    for service in &stopping {
        match wait_for_end(app, service, args).await {
            Ok(()) => {}
            Err(failure) if failure.kind == Kind::Interrupted => return Err(failure),
            Err(failure) => failures.push(failure),
        }
    }
    app.conclude(failures)
}

/// Records the wish to stop a service and acts on it if it is due; `None` if the service has ended already.
async fn wish(app: &App, service: &Service, args: &StopArgs) -> Outcome<Option<Service>> {
    let name = &service.spec.name;
    if service.status().is_terminal() {
        say_ended(app, service);
        return Ok(None);
    }
    let engine = app.target(&service.spec.profile).await?.engine;
    match engine.stop(service.id, args.delay.0, args.status.into()).await {
        Ok(service) => Ok(Some(service)),
        Err(EngineError::Refused(Refusal::Ended { .. })) => {
            say_ended(app, &app.find(&service.id.to_string()).await?);
            Ok(None)
        }
        Err(error) => Err(error).during(|| format!("failed to stop service {name}")),
    }
}

async fn wait_for_end(app: &App, service: &Service, args: &StopArgs) -> Outcome<()> {
    if args.no_wait {
        return say_wish(app, service);
    }
    let limit = args.delay.0.saturating_add(PATIENCE);
    match follow(app, service, &[], Some(limit)).await? {
        Followed::Done(_) => Ok(()),
        Followed::OutOfTime(service) => say_wish(app, &service),
    }
}

fn say_ended(app: &App, service: &Service) {
    let (name, status) = (&service.spec.name, service.status());
    let at = ended_at(service).map(|at| format!(" at {}", moment(at))).unwrap_or_default();
    app.terminal
        .note(&format!("service {name} ended as {status}{at} already: {}", clean(&service.life.why())));
}

/// Tells how far a stop has come whose end is not confirmed.
fn say_wish(app: &App, service: &Service) -> Outcome<()> {
    let name = &service.spec.name;
    let Some(stop) = service.life.stop.as_ref().filter(|_| !is_ended(service)) else {
        say_ended(app, service);
        return Ok(());
    };
    if stop.cancelled_at.is_some() {
        app.terminal.note(&format!(
            "the cancel of service {name} was accepted and its job has not ended yet; `towline show {name}` tells more"
        ));
        return Ok(());
    }
    if app.now() < stop.due {
        app.terminal.note(&format!(
            "the stop of service {name} is recorded; the first towline command after {} carries it out",
            moment(stop.due)
        ));
        return Ok(());
    }
    if service.life.phase.job().is_none() && service.life.doubt.is_none() {
        let why = clean(&service.life.why());
        app.terminal.note(&format!(
            "the stop of service {name} is recorded; {why}; the first towline command that sees a job cancels it"
        ));
        return Ok(());
    }
    let doubt = service.life.doubt.as_ref().map_or("it was not heard", |doubt| doubt.why.as_str());
    let message =
        format!("the stop of service {name} is recorded, but its job is not cancelled yet: {}", clean(doubt));
    Err(Failure::new(Kind::Unreachable, message).hint(format!(
        "the next towline command that reaches the cluster carries it out, such as `towline refresh {name}`"
    )))
}

fn is_ended(service: &Service) -> bool {
    matches!(service.status(), Status::Stopped | Status::Timeout | Status::Failed)
}
