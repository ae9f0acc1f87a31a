//! The schema: hand-written steps, each applied once, in one transaction with its record.

mod migrator;
mod services_and_events;

pub(crate) use migrator::{is_current, is_new_file, is_new_server, migrate};
