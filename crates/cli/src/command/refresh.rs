//! `towline refresh`

use crate::app::{App, Pace};
use crate::args::JsonArg;
use crate::exit::Outcome;
use crate::render::{Row, listing};

/// Look at services again and settle what is still to be done for them
///
/// Does what `ls` does before it lists, for those who run it from a timer, and lists what it looked at. Knowledge that
/// is younger than two seconds is not asked for again, whoever asked for it, and a cluster that does not answer is asked
/// less and less often, once a minute in the end.
#[derive(Debug, clap::Args)]
pub(crate) struct RefreshArgs {
    /// Names or UUIDs; without any, all unfinished services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Ask at once, even a cluster that did not answer a moment ago
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    output: JsonArg,
}

/// Looks at services again.
pub(super) async fn refresh(app: &App, args: &RefreshArgs) -> Outcome<()> {
    let pace = if args.now { Pace::Now } else { Pace::InTurn };
    let (mut services, mut damaged) = (Vec::new(), Vec::new());
    for word in &args.services {
        let service = app.find(word).await?;
        services.push(app.refresh(&service, pace).await?);
    }
    if args.services.is_empty() {
        let refreshed = app.refresh_all(pace).await?;
        app.tell(&refreshed).await;
        (services, damaged) = (refreshed.services, refreshed.damaged);
    }
    if args.output.json {
        return Ok(app.terminal.json(&Row::all(&services, &damaged))?);
    }
    if services.is_empty() && damaged.is_empty() {
        app.terminal.note("no services run; there is nothing to look at");
        return Ok(());
    }
    Ok(app.terminal.table(&listing(&services, &damaged, app.now(), false))?)
}
