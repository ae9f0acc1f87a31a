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
mod recipes;
mod render;
mod service_file;
mod signals;
#[cfg(test)]
mod testing;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    let terminal = render::Terminal::of_process();
    let words: Vec<_> = std::env::args_os().collect();
    let done = recipes::parse(&words)
        .and_then(|cli| log::begin(cli.verbose).and_then(|()| cli.verb.execute(terminal)));
    match done {
        Ok(()) => ExitCode::from(exit::code::DONE),
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.kind.code())
        }
    }
}
