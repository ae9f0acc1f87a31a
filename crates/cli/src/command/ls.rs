//! `towline ls`

use std::collections::BTreeSet;

use towline_core::ports::Select;

use crate::app::{App, Pace};
use crate::args::JsonArg;
use crate::exit::Outcome;
use crate::render::{Row, clean, listing};

/// List the services that have not ended
///
/// Looks at all of them again first, unless another command did so within two seconds. A cluster that cannot be reached
/// is warned of, and its services are shown as they were last known. What is older than two seconds is shown with its
/// age, in JSON as `observed_at`: when the scheduler or the server last answered.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// List ended services too
    #[arg(short, long)]
    all: bool,
    /// Show what is recorded without looking again
    #[arg(long)]
    no_refresh: bool,
    #[command(flatten)]
    output: JsonArg,
}

/// Lists services.
pub(super) async fn ls(app: &App, args: &LsArgs) -> Outcome<()> {
    let mut just_ended = BTreeSet::new();
    if !args.no_refresh {
        let refreshed = app.refresh_all(Pace::InTurn).await?;
        app.tell(&refreshed).await;
        just_ended.extend(refreshed.services.iter().filter(|s| s.status().is_terminal()).map(|s| s.id));
        for service in
            refreshed.services.iter().filter(|service| just_ended.contains(&service.id) && !args.all)
        {
            let why = clean(&service.life.why());
            app.terminal.note(&format!("{} has ended as {}: {why}", service.spec.name, service.status()));
        }
    }
    let select = if args.all { Select::All } else { Select::Unfinished };
    let mut found = app.ledger().await?.list(select).await?;
    if !args.all {
        found.services.retain(|service| !service.status().is_terminal());
    }
    if args.output.json {
        return Ok(app.terminal.json(&Row::all(&found.services, &found.damaged))?);
    }
    if found.services.is_empty() && found.damaged.is_empty() {
        app.terminal.note(match args.all {
            true => "no services; start one with `towline run -- COMMAND`",
            false => {
                "no services run; `towline ls --all` lists ended ones, `towline run -- COMMAND` starts one"
            }
        });
        return Ok(());
    }
    Ok(app.terminal.table(&listing(&found.services, &found.damaged, app.now(), args.all))?)
}
