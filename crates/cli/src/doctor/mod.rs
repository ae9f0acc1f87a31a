//! What `doctor` checks and how it came out. What needs an adapter is in the wiring.

mod check;
mod machine;
mod permissions;
mod report;

pub(crate) use check::{Check, Verdict};
pub(crate) use machine::{
    config_check, control_path_check, directories_check, ledger_check, local_home_check, tools_check,
};
pub(crate) use permissions::permissions_check;
pub(crate) use report::Report;
