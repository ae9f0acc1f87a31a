//! What is asked of a scheduler: the words of a recipe below those of a request.

use towline_core::resources::Resources;

use crate::gpus;

/// What is asked for, with the fields that are unset from `defaults`.
pub(crate) fn filled_up(asked: &Resources, defaults: &Resources) -> Resources {
    let text = |asked: &Option<String>, default: &Option<String>| asked.clone().or_else(|| default.clone());
    // Of the two notations for GPUs the one that was used replaces the other.
    let has_gpus = asked.gpus.is_some() || asked.gres.as_deref().is_some_and(gpus::are_in);
    let unless_gpus = |default: &Option<String>| if has_gpus { None } else { default.clone() };
    // How one says that there are to be none, which is not the same as saying nothing.
    let gpus = asked.gpus.clone().filter(|gpus| gpus != "0");
    Resources {
        time: text(&asked.time, &defaults.time),
        mem: text(&asked.mem, &defaults.mem),
        cpus: asked.cpus.or(defaults.cpus),
        gpus: gpus.or_else(|| unless_gpus(&defaults.gpus)),
        gres: asked.gres.clone().or_else(|| unless_gpus(&defaults.gres)),
        nodes: asked.nodes.or(defaults.nodes),
        ntasks_per_node: asked.ntasks_per_node.or(defaults.ntasks_per_node),
        partition: text(&asked.partition, &defaults.partition),
        constraint: text(&asked.constraint, &defaults.constraint),
        account: text(&asked.account, &defaults.account),
        qos: text(&asked.qos, &defaults.qos),
        reservation: text(&asked.reservation, &defaults.reservation),
        nodelist: text(&asked.nodelist, &defaults.nodelist),
        exclude: text(&asked.exclude, &defaults.exclude),
        requeue: asked.requeue.or(defaults.requeue),
        submit_args: defaults.submit_args.iter().chain(&asked.submit_args).cloned().collect(),
    }
}
