//! The contracts: the simulated world keeps them, and whatever breaks one promise is found.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has failed its test")]

mod broken;
mod flaws;
mod ledger;
mod tunnels;
mod world_bench;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The words with which a contract stopped; none if it did not.
fn complaint(contract: impl FnOnce() -> Vec<&'static str>) -> String {
    match catch_unwind(AssertUnwindSafe(contract)) {
        Ok(_) => String::new(),
        Err(panic) => match panic.downcast::<String>() {
            Ok(words) => *words,
            Err(other) => (*other.downcast::<&str>().unwrap()).to_owned(),
        },
    }
}
