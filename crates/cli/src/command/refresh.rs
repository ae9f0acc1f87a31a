//! `towline refresh`

use crate::app::App;
use crate::args::JsonArg;
use crate::exit::Outcome;
use crate::render::{Row, listing};

/// Look at services again and settle what is still to be done for them
///
/// Does what `ls` does before it lists, for those who run it from a timer, and lists what it looked at.
#[derive(Debug, clap::Args)]
pub(crate) struct RefreshArgs {
    /// Names or UUIDs; without any, all unfinished services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    output: JsonArg,
}

/// Looks at services again.
pub(super) async fn refresh(app: &App, args: &RefreshArgs) -> Outcome<()> {
    let (mut services, mut damaged) = (Vec::new(), Vec::new());
    for word in &args.services {
        let service = app.find(word).await?;
        services.push(app.refresh(&service).await?);
    }
    if args.services.is_empty() {
        let refreshed = app.refresh_all().await?;
        for warning in &refreshed.warnings {
            app.terminal.warn(warning);
        }
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
