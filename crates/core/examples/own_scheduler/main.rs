//! A scheduler that is not Towline's, put through the contract that Towline's engine relies on.
//!
//! `threads` is the scheduler, which knows nothing of any contract; `bench` is all that has to be written to test it.
//! The test at the end is what such a project would have among its own.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an adapter does what the core must not"
)]

mod bench;
mod threads;

use bench::Bench;
use towline_core::testing::scheduler_contract;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let untested = scheduler_contract(&Bench::new().await).await;
    #[expect(clippy::print_stdout, reason = "printing is what this program is for")]
    {
        println!("The scheduler keeps the contract. Not tested, as it has no such thing:");
        for promise in untested {
            println!("- {promise}");
        }
    }
}

#[cfg(test)]
#[tokio::test]
async fn threads_keep_the_contract() {
    // It puts nothing back into its queue, and nothing lies between it and this program that could fail.
    assert_eq!(
        scheduler_contract(&Bench::new().await).await,
        [
            "a requeued job comes back as another run",
            "who cannot be reached ends nothing",
            "a scheduler that is down ends nothing",
            "a job whose acceptance was not heard is found",
        ]
    );
}
