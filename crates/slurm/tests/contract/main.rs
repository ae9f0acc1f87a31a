//! The contract of a scheduler, kept by this adapter without a cluster: `tests/fake/cluster.py` stands in for one, and
//! its jobs are real. On a real cluster it is run by the end-to-end tests.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test would")]

mod machine;

use machine::Machine;
use towline_core::testing::scheduler_contract;

#[tokio::test]
async fn slurm_keeps_the_contract() {
    assert_eq!(scheduler_contract(&Machine::new()).await, Vec::<&str>::new());
}

#[tokio::test]
async fn slurm_keeps_the_contract_where_accounting_alone_remembers() {
    let machine = Machine::new();
    machine.forget_ended_jobs();
    assert_eq!(scheduler_contract(&machine).await, Vec::<&str>::new());
}
