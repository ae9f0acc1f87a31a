//! `towline wait`

use towline_core::lifecycle::Status;
use towline_core::span::Span;

use super::follow::{Followed, ended_failure, follow, out_of_time};
use crate::app::App;
use crate::args::{JsonArg, ServiceArg};
use crate::exit::Outcome;
use crate::render::ServiceView;

/// Wait until a service has a status
///
/// Ends with 0 once it has it, with 8 if it has ended otherwise, with 124 when the time is over. The service is never
/// touched.
#[derive(Debug, clap::Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    service: ServiceArg,
    /// Status to wait for (repeatable) [default: HEALTHY]
    #[arg(long = "for", value_name = "STATUS")]
    statuses: Vec<Status>,
    /// How long to wait at most, such as 90, 10m or 1h
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Span>,
    #[command(flatten)]
    output: JsonArg,
}

/// Waits.
pub(super) async fn wait(app: &App, args: &WaitArgs) -> Outcome<()> {
    let wanted = if args.statuses.is_empty() { &[Status::Healthy][..] } else { &args.statuses };
    let service = app.find(&args.service.service).await?;
    let limit = args.timeout.map(|span| span.0);
    let service = match follow(app, &service, wanted, limit).await? {
        Followed::Done(service) => service,
        Followed::OutOfTime(service) => return Err(out_of_time(&service, limit.unwrap_or_default())),
    };
    if args.output.json {
        app.terminal.json(&ServiceView::from(&*service))?;
    }
    if wanted.contains(&service.status()) { Ok(()) } else { Err(ended_failure(app, &service).await) }
}
