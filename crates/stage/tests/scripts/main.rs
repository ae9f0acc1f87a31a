//! What the scripts do in a real shell, with the tools of this machine and a hub on its loopback interface.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test would")]

mod adds;
mod images;
mod looks;
mod refusals;
mod support;
mod trouble;
mod web;
