//! Which specs this machine can run.

use std::time::Duration;

use towline_core::resources::Resources;
use towline_core::runner;
use towline_core::spec::{ServiceSpec, SpecError};
use towline_core::walltime::Walltime;

use crate::container;

/// Refuses what only a cluster could honour, rather than to leave it out silently.
pub(crate) fn check(spec: &ServiceSpec) -> Result<(), SpecError> {
    spec.check()?;
    runner::env_file(spec)?;
    container::check(spec)?;
    time_limit(spec)?;
    match first_of_a_cluster(&spec.resources) {
        Some(field) => {
            Err(SpecError::new(field, "only a cluster can honour it, and this profile is this machine"))
        }
        None => Ok(()),
    }
}

/// How long the service may run, if that is limited.
pub(crate) fn time_limit(spec: &ServiceSpec) -> Result<Option<Duration>, SpecError> {
    let Some(text) = &spec.resources.time else { return Ok(None) };
    match text.parse::<Walltime>() {
        Ok(walltime) => Ok(walltime.limit()),
        Err(error) => Err(SpecError::new("time", error.to_string())),
    }
}

/// The first field that needs a scheduler of a cluster. Without a default, so that a new field is thought about.
fn first_of_a_cluster(resources: &Resources) -> Option<&'static str> {
    let Resources {
        time: _,
        mem,
        cpus,
        gpus,
        gres,
        nodes,
        ntasks_per_node,
        partition,
        constraint,
        account,
        qos,
        reservation,
        nodelist,
        exclude,
        requeue,
        submit_args,
    } = resources;
    let fields = [
        (mem.is_some(), "mem"),
        (cpus.is_some(), "cpus"),
        (gpus.is_some(), "gpus"),
        (gres.is_some(), "gres"),
        (nodes.is_some(), "nodes"),
        (ntasks_per_node.is_some(), "ntasks-per-node"),
        (partition.is_some(), "partition"),
        (constraint.is_some(), "constraint"),
        (account.is_some(), "account"),
        (qos.is_some(), "qos"),
        (reservation.is_some(), "reservation"),
        (nodelist.is_some(), "nodelist"),
        (exclude.is_some(), "exclude"),
        // Not to be requeued is what happens here anyway.
        (*requeue == Some(true), "requeue"),
        (!submit_args.is_empty(), "sbatch-arg"),
    ];
    fields.into_iter().find_map(|(given, field)| given.then_some(field))
}
