//! What the stories are told with.

mod asking;
mod cluster;
mod http;
mod lab;
mod path;
mod process;
mod relay;
mod wait;

pub(crate) use asking::{AskingSshd, PASSWORD, Screen};
pub(crate) use cluster::{Fault, Guard, Host, at_sshd, at_sshd_from, cluster_script, is_full, on, state_dir};
pub(crate) use http::{get, get_within, post_stream};
pub(crate) use lab::Lab;
pub(crate) use process::{Output, Running};
pub(crate) use relay::Relay;
pub(crate) use wait::{SOON, eventually};
