//! The `towline` command.

mod app;
mod args;
mod command;
mod config;
mod doctor;
mod exit;
mod keeper;
mod log;
mod names;
mod render;
mod signals;
#[cfg(test)]
mod testing;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let terminal = render::Terminal::of_process();
    let done = log::begin(cli.verbose).and_then(|()| cli.verb.execute(terminal));
    match done {
        Ok(()) => ExitCode::from(exit::code::DONE),
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.kind.code())
        }
    }
}
