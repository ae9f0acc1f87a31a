#![doc = include_str!("../README.md")]

mod control;
mod error;
mod forward;
mod http;
mod launch;
mod master;
mod mux;
mod probe;
mod route;
mod shell;
mod tunnels;
mod words;

pub use error::SshError;
pub use master::{Master, MasterConfig};
pub use probe::HttpProbe;
pub use shell::SshShell;
pub use tunnels::SshTunnels;
