//! `towline completion`

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Outcome;
use crate::render::Terminal;

/// Print a completion script for a shell
///
/// For bash: towline completion bash > ~/.local/share/bash-completion/completions/towline
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn completion(terminal: Terminal, args: &CompletionArgs) -> Outcome<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "towline", &mut script);
    Ok(terminal.bytes(&script)?)
}
