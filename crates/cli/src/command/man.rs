//! `towline man`

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::exit::{Failure, Kind, Outcome};
use crate::render::Terminal;

/// Print the manual page, or write those of all verbs into a directory
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Directory for one page a verb, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints or writes the pages.
pub(super) fn man(terminal: Terminal, args: &ManArgs) -> Outcome<()> {
    let Some(dir) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return Ok(terminal.bytes(&page)?);
    };
    std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)).map_err(|err| {
        let message = format!("failed to write manual pages to {}: {err}", dir.display());
        Failure::new(Kind::Config, message).hint("choose a directory that you can write")
    })
}
