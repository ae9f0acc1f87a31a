//! `towline prune`

use towline_core::ports::Select;
use towline_core::service::Service;
use towline_core::span::Span;

use super::rm::forget;
use crate::app::App;
use crate::args::JsonArg;
use crate::exit::{Kind, Outcome};
use crate::render::{Row, ended_at, listing};

/// Forget all services that have ended, and remove the files that they left where they ran
#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Only those that ended longer ago than this, such as 12h or 7d
    #[arg(long, value_name = "SPAN", default_value = "0")]
    older_than: Span,
    /// Leave their files, logs included, where they are
    #[arg(long)]
    keep_files: bool,
    /// Only list what would be forgotten
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: JsonArg,
}

/// Forgets ended services, each on its own: one that cannot be removed keeps none of the others.
pub(super) async fn prune(app: &App, args: &PruneArgs) -> Outcome<()> {
    let listing = app.ledger().await?.list(Select::All).await?;
    let now = app.now();
    let old = |service: &Service| ended_at(service).is_some_and(|at| now.since(at) >= args.older_than.0);
    let (mut pruned, mut failures) = (Vec::new(), Vec::new());
    for service in listing.services.into_iter().filter(old) {
        match args.dry_run {
            true => pruned.push(service),
            false => match forget(app, &service, args.keep_files).await {
                Ok(()) => pruned.push(service),
                // Another process was quicker.
                Err(failure) if failure.kind == Kind::NotFound => {}
                Err(failure) => failures.push(failure),
            },
        }
    }
    report(app, args, &pruned)?;
    app.conclude(failures)
}

fn report(app: &App, args: &PruneArgs, pruned: &[Service]) -> Outcome<()> {
    if args.output.json {
        app.terminal.json(&Row::all(pruned, &[]))?;
    } else if args.dry_run && !pruned.is_empty() {
        app.terminal.table(&listing(pruned, &[], app.now(), true))?;
    }
    let deed = if args.dry_run { "would be forgotten" } else { "forgotten" };
    match pruned {
        [] => app.terminal.note("no ended services to forget"),
        [one] => app.terminal.note(&format!("service {} {deed}", one.spec.name)),
        several => app.terminal.note(&format!("{} services {deed}", several.len())),
    }
    Ok(())
}
