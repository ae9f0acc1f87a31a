//! Models and images of a profile: the shell by which they are staged, and the jobs that do it.

use std::sync::Arc;

use towline_core::ports::RemoteShell;
use towline_core::resources::Resources;
use towline_core::runner::Directory;
use towline_local::LocalShell;
use towline_slurm::script;
use towline_stage::{Places, Stage};
use towline_tunnel::SshShell;

use super::{local_root, logins, slurm_home};
use crate::config::{Kind as ProfileKind, Paths, Profile};
use crate::exit::{During as _, Failure, Kind, Outcome};

/// What a job that downloads has no use for.
const NOT_FOR_DOWNLOADS: [&str; 9] =
    ["--gpu", "--gres", "-G", "--mem", "--cpus", "-c", "--nodes", "--ntasks", "--tres"];

/// What stages models and images in a profile. Connects to nothing yet.
///
/// # Errors
/// [`Kind::Config`] if the profile cannot be used, or there is no directory for control sockets.
pub(crate) fn stage(name: &str, profile: &Profile, paths: &Paths) -> Outcome<Stage> {
    let failed = || format!("failed to use profile {name}");
    let places = places(profile, paths).during(failed)?;
    let shell: Arc<dyn RemoteShell> = match profile.kind {
        ProfileKind::Local => Arc::new(LocalShell),
        ProfileKind::Slurm => match logins::master(name, profile, paths).during(failed)? {
            Some(master) => Arc::new(SshShell::new(master)),
            None => Arc::new(LocalShell),
        },
    };
    Ok(Stage::new(shell, places))
}

/// The directories of a profile.
///
/// # Errors
/// [`Kind::Config`] for one that cannot be used.
pub(crate) fn places(profile: &Profile, paths: &Paths) -> Outcome<Places> {
    let root = |field: &str, text: &str| -> Outcome<Directory> {
        text.parse().map_err(|error: towline_core::spec::SpecError| {
            Failure::new(Kind::Config, format!("bad {field}: {}", error.problem))
                .hint("such as ~/models or /scratch/group/models")
        })
    };
    let home = match profile.kind {
        ProfileKind::Local => local_root(profile, paths)?.display().to_string(),
        ProfileKind::Slurm => slurm_home(profile)?.to_string(),
    };
    let cache = profile.cache.as_deref().map(|cache| root("cache", cache)).transpose()?;
    Ok(Places { home: root("home", &home)?, cache })
}

/// The options of a job that downloads: where and on whose account those of the profile go, but nothing to compute with.
///
/// # Errors
/// [`Kind::Config`] for what `sbatch` could not take.
pub(crate) fn job_options(profile: &Profile) -> Outcome<Vec<String>> {
    let theirs = profile.resources();
    let fits = |argument: &&String| !NOT_FOR_DOWNLOADS.iter().any(|option| argument.starts_with(option));
    let resources = Resources {
        time: theirs.time,
        partition: theirs.partition,
        account: theirs.account,
        qos: theirs.qos,
        reservation: theirs.reservation,
        constraint: theirs.constraint,
        submit_args: theirs.submit_args.iter().filter(fits).cloned().collect(),
        ..Resources::default()
    };
    script::options(&resources).map_err(|error| Failure::from_error(Kind::Config, error))
}
