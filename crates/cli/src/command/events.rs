//! `towline events`

use crate::app::App;
use crate::args::{JsonArg, ServiceArg};
use crate::exit::Outcome;
use crate::render::{Columns, moment};

/// Show the history of a service: every change of its status, when and why
#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    service: ServiceArg,
    #[command(flatten)]
    output: JsonArg,
}

/// Shows the history of a service.
pub(super) async fn events(app: &App, args: &EventsArgs) -> Outcome<()> {
    let service = app.find(&args.service.service).await?;
    let history = app.ledger().await?.history(service.id).await?;
    if args.output.json {
        return Ok(app.terminal.json(&history)?);
    }
    let mut table = Columns::new(["WHEN", "FROM", "TO", "WHY"]);
    for event in history {
        let from = event.from.map_or_else(|| "-".to_owned(), |from| from.to_string());
        table.row([moment(event.at), from, event.to.to_string(), event.why]);
    }
    Ok(app.terminal.table(&table)?)
}
