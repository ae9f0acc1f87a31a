//! What the stories are told with.

mod asking;
mod cluster;
mod http;
mod lab;
mod path;
mod process;
mod relay;
mod service;
mod wait;

pub(crate) use asking::{AskingSshd, PASSWORD, Screen};
pub(crate) use cluster::{Fault, Guard, Host, at_sshd, at_sshd_from, cluster_script, is_full, on, state_dir};
pub(crate) use http::{get, get_within};
pub(crate) use lab::Lab;
pub(crate) use process::{Output, Running, processes_with};
pub(crate) use relay::Relay;
pub(crate) use service::{PATIENCE, Service, installed, setup};
pub(crate) use wait::{SOON, eventually};
