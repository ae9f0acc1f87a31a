//! `towline show`

use crate::app::{App, Pace};
use crate::args::{JsonArg, ServiceArg};
use crate::exit::Outcome;
use crate::render::{ServiceView, details};
use crate::service_file::{Values, print};

/// Show everything about one service
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    service: ServiceArg,
    /// Show what is recorded without looking again
    #[arg(long)]
    no_refresh: bool,
    #[command(flatten)]
    output: JsonArg,
    /// Print the file by which `towline run -f` would start the same service again
    #[arg(long, conflicts_with = "json")]
    spec: bool,
    /// With the values of its variables and its key, which may be secrets
    #[arg(long, requires = "spec")]
    with_env: bool,
}

/// Shows one service.
pub(super) async fn show(app: &App, args: &ShowArgs) -> Outcome<()> {
    let mut service = app.find(&args.service.service).await?;
    if args.spec {
        let values = if args.with_env { Values::Told } else { Values::Hidden };
        return Ok(app.terminal.data(&print(&service.spec, values))?);
    }
    if !args.no_refresh && !service.status().is_terminal() {
        service = app.refresh(&service, Pace::InTurn).await?;
    }
    if args.output.json {
        return Ok(app.terminal.json(&ServiceView::from(&service))?);
    }
    let history = app.ledger().await?.history(service.id).await?;
    Ok(app.terminal.data(&details(&service, &history, app.now()))?)
}
