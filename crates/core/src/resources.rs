//! What a job asks of its scheduler.

use serde::{Deserialize, Serialize};

/// Resources and placement of a job. Every field is optional: what is not said is left to the site.
///
/// The words are the scheduler's own (`sbatch(1)`); the scheduler adapter checks them before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Time limit, in minutes or any form that `sbatch --time` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Memory per node, such as `500M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<String>,
    /// CPUs per task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// GPUs per job: a count, or `type:count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
    /// Generic resources per node, such as `gpu:a100:2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gres: Option<String>,
    /// Number of nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// Tasks per node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ntasks_per_node: Option<u32>,
    /// Partition, or several separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Features that the nodes must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Account that is charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Quality of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// Reservation to run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<String>,
    /// Nodes that must be part of the allocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodelist: Option<String>,
    /// Nodes that must not be part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
    /// Whether the scheduler may requeue the job; `None` leaves it to the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requeue: Option<bool>,
    /// Further arguments for the submission command, each one word such as `--nice=10`.
    pub submit_args: Vec<String>,
}
