//! `towline rerun`

use towline_core::spec::{ServiceName, ServiceSpec};

use super::run::{Waits, report, start};
use crate::app::App;
use crate::args::{JsonArg, ServiceArg};
use crate::exit::{Failure, Kind, Outcome};

/// Start a service again that has ended, as a new one
///
/// The new service has an id of its own, and everything else of the one that ended: command, environment, key, what it
/// asks of the scheduler. What ended stays in `ls --all`.
#[derive(Debug, clap::Args)]
pub(crate) struct RerunArgs {
    #[command(flatten)]
    service: ServiceArg,
    /// Name of the new service [default: that of the one that ended]
    #[arg(long)]
    name: Option<ServiceName>,
    /// Return once the job is submitted; prints the name
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    output: JsonArg,
}

/// Starts it again.
pub(super) async fn rerun(app: &App, args: &RerunArgs) -> Outcome<()> {
    let before = app.find(&args.service.service).await?;
    let (name, status) = (&before.spec.name, before.status());
    if !status.is_terminal() {
        let message = format!("service {name} has not ended: it is {status}");
        return Err(Failure::new(Kind::Refused, message).hint(format!("`towline stop {name}` ends it")));
    }
    let name = args.name.clone().unwrap_or_else(|| name.clone());
    let spec = ServiceSpec { name, ..(*before.spec).clone() };
    let waits = if args.detach { Waits::No } else { Waits::Yes };
    let service = start(app, spec, waits).await?;
    report(app, waits, args.output, &service).await
}
