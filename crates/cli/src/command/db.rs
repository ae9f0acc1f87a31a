//! `towline db`

use std::path::PathBuf;

use crate::app::App;
use crate::args::JsonArg;
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::render::clean_line;
use crate::wiring::{self, Instead, LedgerCheck};

/// Look after the ledger, the database of services
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DbVerb {
    /// Print where the ledger is: a path, or a URL without its password
    Path(JsonArg),
    /// Check the ledger for damage, and change nothing
    ///
    /// Looks at the database's own structure, at every record, at every history, and at whether the two agree, as they
    /// are at one moment; other programs may go on. Exits with 3 if anything is damaged or it is no ledger, and with 4 if
    /// there is none yet or it is empty.
    Check(JsonArg),
    Backup(BackupArgs),
}

/// Copy the ledger to a file, while it may be in use
///
/// The copy is of one moment, whole or not there, and for you alone: it holds the values of --env. To restore it:
/// let no towline run, move the ledger (`towline db path`) away together with the files of that name that end with
/// -wal and -shm, and copy the copy to its place.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    /// Where the copy is to be
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace a regular file that is there already
    #[arg(long)]
    force: bool,
}

/// Does what the verb says.
pub(super) async fn db(app: &App, verb: &DbVerb) -> Outcome<()> {
    match verb {
        DbVerb::Path(args) => path(app, *args),
        DbVerb::Check(args) => check(app, *args).await,
        DbVerb::Backup(args) => backup(app, args).await,
    }
}

fn path(app: &App, args: JsonArg) -> Outcome<()> {
    let place = wiring::ledger_place(&app.config, &app.paths)?;
    match args.json {
        true => app.terminal.json(&place)?,
        false => app.terminal.data(&place.ledger)?,
    }
    Ok(())
}

async fn check(app: &App, args: JsonArg) -> Outcome<()> {
    let found = wiring::check_ledger(&app.config, &app.paths)
        .await
        .during(|| "failed to check the ledger".to_owned())?;
    if args.json {
        app.terminal.json(&found)?;
    } else {
        for damage in &found.problems {
            app.terminal.data(&clean_line(&damage.problem))?;
        }
        let LedgerCheck { services, events, .. } = &found;
        let verdict = match (found.sound, found.instead) {
            (true, _) => "sound",
            (false, None) => "damaged",
            (false, Some(_)) => "no ledger",
        };
        let counts = format!("{services} services and {events} events could be read");
        app.terminal.data(&clean_line(&format!("{}: {verdict}; {counts}", found.place.ledger)))?;
    }
    match found.instead {
        _ if found.sound => Ok(()),
        Some(instead) => Err(no_ledger(app, &found, instead)),
        None => Err(damaged(&found)),
    }
}

/// What to do where something else is in the ledger's place.
fn no_ledger(app: &App, found: &LedgerCheck, instead: Instead) -> Failure {
    let ledger = &found.place.ledger;
    let what = match instead {
        Instead::Foreign => "a database of another program",
        Instead::NoDatabase => "no database",
    };
    let elsewhere = match app.config.database_url {
        Some(_) => "let database_url name another place; `towline config show` tells where it was set",
        None => "set TOWLINE_DATA_DIR to another directory, or database_url to another place",
    };
    let failure =
        Failure::new(Kind::Config, format!("{ledger} is no ledger of towline: it is {what}")).hint(elsewhere);
    match instead {
        Instead::Foreign => failure,
        Instead::NoDatabase => failure.hint(format!("if it was the ledger, {}", restore(found))),
    }
}

fn restore(found: &LedgerCheck) -> String {
    let ledger = &found.place.ledger;
    match found.place.database {
        "sqlite" => format!(
            "restore a copy: let no towline run, move {ledger}, {ledger}-wal and {ledger}-shm away and put the \
             copy of `towline db backup` in the place of the first"
        ),
        _ => "restore a dump with the server's own tools".to_owned(),
    }
}

fn damaged(found: &LedgerCheck) -> Failure {
    let (ledger, count) = (&found.place.ledger, found.problems.len());
    let plural = if count == 1 { "" } else { "s" };
    let failure =
        Failure::new(Kind::Config, format!("the ledger {ledger} is damaged: {count} problem{plural}"));
    let restore = restore(found);
    match found.problems.iter().find(|damage| damage.of == "database") {
        Some(_) if found.place.database == "sqlite" => failure
            .hint(restore)
            .hint(format!("`sqlite3 {ledger} .recover` prints what can still be read of it")),
        Some(_) => failure.hint(restore),
        None => failure.hint(format!("the other services go on; {restore}")).hint(
            "without a copy, delete the damaged rows of the tables services and events with SQL; the jobs of \
             these services may still run",
        ),
    }
}

async fn backup(app: &App, args: &BackupArgs) -> Outcome<()> {
    let place = wiring::back_up_ledger(&app.config, &app.paths, &args.file, args.force)
        .await
        .during(|| "failed to back up the ledger".to_owned())?;
    let copied = format!("the ledger {} is copied to {}", place.ledger, args.file.display());
    app.terminal.note(&clean_line(&copied));
    Ok(())
}
