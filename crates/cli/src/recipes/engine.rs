//! The container that a command runs in: what the command line and the profile say of it.

use std::os::unix::fs::PermissionsExt as _;

use towline_core::container::{ContainerConfig, Mount, Network};
use towline_core::spec::ServiceSpec;
use towline_recipes::{ContainerOptions, Containing, Provider, contain};

use crate::config::{self, Container, Kind as ProfileKind, Profile};
use crate::exit::{Failure, Kind, Outcome};

/// Engines of this machine, the first that is there is taken.
const HERE: [Provider; 3] = [Provider::Podman, Provider::Docker, Provider::Apptainer];

/// Puts a command into the container that was asked for, if one was.
///
/// `said` tells whether the command line names the engine, and not the profile alone: a profile's is for those commands that
/// name an image.
///
/// # Errors
/// [`Kind::Usage`] for a container without an image and the reverse, and for what the engine cannot take; [`Kind::Config`] if
/// an engine is to be found and there is none.
pub(crate) fn contained(
    spec: ServiceSpec,
    profile: &Profile,
    said: bool,
    image: Option<&str>,
) -> Outcome<ServiceSpec> {
    let engine = match (profile.container, image) {
        (Some(Container::None), Some(_)) => {
            return Err(Failure::new(Kind::Usage, "--image without a container")
                .hint("leave out --container none, or --image; the profile may say so too"));
        }
        (None | Some(Container::None), None) => return Ok(spec),
        (Some(_), None) if !said => return Ok(spec),
        (Some(_), None) => {
            return Err(Failure::new(Kind::Usage, "--container needs an --image to run the command in"));
        }
        (engine, Some(_)) => engine.unwrap_or(Container::Auto),
    };
    let Some(provider) = provider(engine, profile, |_| true)? else { return Ok(spec) };
    let ContainerOptions { mounts, network, user_namespace } = options(profile)?;
    let config = ContainerConfig {
        mounts,
        network,
        user_namespace,
        ..ContainerConfig::new(provider.as_str(), image.unwrap_or_default())
    };
    Ok(contain(spec, provider, config)?)
}

/// What a service of a recipe runs in. `has_image` tells for which engines there is an image, `knows` whether the recipe says
/// anything of containers: where it does not, the profile's engine is not for it.
///
/// # Errors
/// [`Kind::Config`] if an engine is to be found and there is none.
pub(super) fn containing(
    profile: &Profile,
    said: bool,
    knows: bool,
    has_image: impl Fn(Provider) -> bool,
) -> Outcome<Containing> {
    match profile.container {
        Some(engine) if said || knows => {
            Ok(provider(engine, profile, has_image)?.map_or(Containing::Bare, Containing::In))
        }
        Some(_) | None => Ok(Containing::AsRecipe),
    }
}

/// What else is said of containers.
///
/// # Errors
/// [`Kind::Usage`] for a mount that is none.
pub(super) fn options(profile: &Profile) -> Outcome<ContainerOptions> {
    Ok(ContainerOptions {
        mounts: profile.mounts.iter().map(|text| mount(text)).collect::<Outcome<_>>()?,
        network: match profile.network {
            Some(config::Network::Host) => Network::Host,
            Some(config::Network::Bridge) | None => Network::Bridge,
        },
        user_namespace: profile.userns.clone(),
    })
}

/// The engine itself; `None` for none.
fn provider(
    engine: Container,
    profile: &Profile,
    suits: impl Fn(Provider) -> bool,
) -> Outcome<Option<Provider>> {
    Ok(Some(match engine {
        Container::None => return Ok(None),
        Container::Apptainer => Provider::Apptainer,
        Container::Docker => Provider::Docker,
        Container::Podman => Provider::Podman,
        Container::Auto if profile.kind == ProfileKind::Slurm => Provider::Apptainer,
        Container::Auto => {
            let found = HERE.into_iter().filter(|provider| is_here(*provider)).find(|it| suits(*it));
            found.ok_or_else(|| {
                let names = HERE.map(Provider::as_str).join(", ");
                Failure::new(Kind::Config, format!("none of the engines for containers is on PATH: {names}"))
                    .hint("`towline run --container none` runs the command without one")
            })?
        }
    }))
}

/// Whether the program of an engine is on this machine.
fn is_here(provider: Provider) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| {
        let about = std::fs::metadata(dir.join(provider.as_str()));
        about.is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    })
}

/// Reads `SOURCE[:TARGET][:ro]`.
fn mount(text: &str) -> Outcome<Mount> {
    let bad = |problem: &str| {
        Failure::new(Kind::Usage, format!("bad mount {text:?}: {problem}"))
            .hint("it is SOURCE[:TARGET][:ro], two absolute paths without a colon")
    };
    let mut parts: Vec<&str> = text.split(':').collect();
    let read_only = match parts.last() {
        Some(&"ro") => true,
        Some(&"rw") => false,
        _ => {
            parts.push("");
            false
        }
    };
    parts.pop();
    let (source, target) = match parts.as_slice() {
        [source] => (*source, *source),
        [source, target] => (*source, *target),
        _ => return Err(bad("it has too many parts, or none")),
    };
    if ![source, target].iter().all(|path| path.starts_with('/')) {
        return Err(bad("a path has to begin with /"));
    }
    Ok(Mount { source: source.to_owned(), target: target.to_owned(), read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_two_paths_and_a_mode() {
        let read = |text: &str| mount(text).map(|it| (it.source, it.target, it.read_only)).ok();
        let expect = |source: &str, target: &str, ro| Some((source.to_owned(), target.to_owned(), ro));
        assert_eq!(read("/a"), expect("/a", "/a", false));
        assert_eq!(read("/a:ro"), expect("/a", "/a", true));
        assert_eq!(read("/a:/b"), expect("/a", "/b", false));
        assert_eq!(read("/a, b:/b:ro"), expect("/a, b", "/b", true));
        assert_eq!(read("/a:/b:rw"), expect("/a", "/b", false));
        for bad in ["", "a", ":ro", "/a:b", "/a:/b:/c", "/a:/b:ro:ro", "ro"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
