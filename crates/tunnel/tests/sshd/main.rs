//! Tests on a real sshd, started by each test on a free port of 127.0.0.1 with keys of its own. They run as any user
//! and are skipped, with a line that says so, where no sshd is installed.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test")]

mod contract;
mod diagnose;
mod harness;
mod hung;
mod left_over;
mod login;
mod nodes;
mod plain;
mod probe;
mod reach;
mod scale;
mod screen;
mod shell;
mod theirs;
mod tunnels;
mod typed;
mod web;
