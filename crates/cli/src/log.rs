//! What goes on inside, on standard error, for whoever asks for it.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::exit::{Failure, Kind, Outcome};

/// The variable that says what to log, in the words of `tracing_subscriber::EnvFilter`.
const VARIABLE: &str = "TOWLINE_LOG";

/// Begins to log: what `TOWLINE_LOG` says, else as much as `-v` was repeated. Without either there is no log.
///
/// # Errors
/// [`Kind::Usage`] if the variable cannot be understood.
pub(crate) fn begin(verbose: u8) -> Outcome<()> {
    let wanted = std::env::var(VARIABLE).ok().filter(|filter| !filter.is_empty());
    let filter = match (wanted, verbose) {
        (Some(filter), _) => filter,
        (None, 0) => return Ok(()),
        (None, 1) => "towline=info".to_owned(),
        (None, 2) => "towline=debug".to_owned(),
        (None, _) => "debug,towline=trace".to_owned(),
    };
    let filter: EnvFilter = filter.parse().map_err(|err| {
        Failure::new(Kind::Usage, format!("bad {VARIABLE}: {err}")).hint("try TOWLINE_LOG=debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
