#![doc = include_str!("../README.md")]

mod control;
mod diagnose;
mod error;
mod forward;
mod http;
mod launch;
mod login;
mod master;
mod mux;
mod node;
mod probe;
mod reach;
mod reap;
mod route;
mod shell;
mod standing;
mod terminal;
mod tunnels;
mod uses;
mod verbose;
mod words;

pub use control::LONGEST_SOCKET_PATH;
pub use diagnose::{Forwarding, Resolved, SshProgram, ssh_program};
pub use error::SshError;
pub use login::{LogIn, Login};
pub use master::{Master, MasterConfig};
pub use node::NodeError;
pub use probe::HttpProbe;
pub use shell::SshShell;
pub use standing::Standing;
pub use tunnels::SshTunnels;
pub use verbose::Denial;
