//! A command in a container: what the recipe and the user say of it, and what each engine makes of that.

use towline_core::container::{ContainerConfig, Gpus, Mount};
use towline_core::spec::{ServiceSpec, SpecError};

use crate::apptainer;
use crate::command::Line;
use crate::gpus;
use crate::recipe::{Container, Provider};
use crate::request::Containing;
use crate::resolve::{Chosen, ResolveError, bad, check_image};
use crate::scope::Scope;

/// Puts the command of a service into a container.
///
/// In one of Apptainer it becomes the command that calls Apptainer, which runs wherever a command does. Docker and Podman are
/// left to an adapter that knows them: the command stays, the container is a part of the spec, its working directory is the
/// service's, and the GPUs that are asked for are those that it sees.
///
/// # Errors
/// The field that this engine cannot take.
pub fn contain(
    mut spec: ServiceSpec,
    provider: Provider,
    mut config: ContainerConfig,
) -> Result<ServiceSpec, SpecError> {
    config.engine = provider.as_str().to_owned();
    match provider {
        Provider::Apptainer => {
            config.check()?;
            let secret_file = spec.secret.as_ref().is_some_and(|secret| secret.in_file);
            spec.command = apptainer::command(&config, secret_file, spec.command);
        }
        Provider::Docker | Provider::Podman => {
            config.workdir = spec.chdir.take().or(config.workdir);
            if let Some(asked) = spec.resources.gpus.take() {
                config.gpus = count(&asked)?;
            }
            spec.container = Some(Box::new(config));
        }
    }
    spec.check()?;
    Ok(spec)
}

/// The GPUs that a container is to see: a number, and 0 for none.
fn count(asked: &str) -> Result<Option<Gpus>, SpecError> {
    match asked.parse() {
        Ok(0) => Ok(None),
        Ok(count) => Ok(Some(Gpus::Count(count))),
        Err(_) => {
            Err(SpecError::new("gpus", format!("{asked:?} is no number, which a container takes alone")))
        }
    }
}

/// The container that was chosen for a service.
pub(crate) struct Contained<'a> {
    pub(crate) provider: Provider,
    pub(crate) config: ContainerConfig,
    /// What the recipe says of it, if it does.
    container: Option<&'a Container>,
    /// Whether the image is the recipe's own.
    is_own: bool,
}

impl<'a> Contained<'a> {
    /// Makes the command one of the image, and gives the lines of shell before it.
    pub(crate) fn prepare(&self, command: &mut [String]) -> &'a [Line] {
        let Some(container) = self.container else { return &[] };
        // Another image may have it elsewhere.
        let program = container.program.as_ref().filter(|_| self.is_own);
        if let (Some(program), Some(first)) = (program, command.first_mut()) {
            first.clone_from(program);
        }
        &container.setup
    }
}

impl<'a> Chosen<'a> {
    /// The container that the command runs in, if any.
    pub(crate) fn contained(&self, scope: &Scope, gpus: bool) -> Result<Option<Contained<'a>>, ResolveError> {
        let Some((provider, container)) = self.chosen_container()? else {
            return match self.request.image {
                Some(_) => Err(self.unwanted("--image without a container")),
                None => Ok(None),
            };
        };
        let own = container.and_then(|container| container.image(provider));
        let Some(image) = self.request.image.as_deref().or(own) else {
            let what = format!("--image, since it names none for {provider}");
            return Err(ResolveError::Missing { recipe: self.recipe.name.clone(), what });
        };
        check_image(image).map_err(|problem| bad("--image", image, problem))?;
        let options = &self.request.options;
        let mut config = ContainerConfig::new(provider.as_str(), image);
        config.network = options.network;
        config.user_namespace.clone_from(&options.user_namespace);
        // No scheduler says which GPUs there are.
        if gpus || !self.request.job_options && gpus::count(&self.run.job).is_some() {
            config.gpus = Some(Gpus::Available);
        }
        config.mounts = self.mounts(scope, container)?;
        config.mounts.retain(|mount| !options.mounts.iter().any(|other| other.target == mount.target));
        config.mounts.extend(options.mounts.iter().cloned());
        Ok(Some(Contained { provider, config, container, is_own: self.request.image.is_none() }))
    }

    /// The image, if it is one that can be loaded beforehand to a file: a plain engine's, by a URI.
    pub(crate) fn stageable_image(&self) -> Option<String> {
        let (provider, container) = self.chosen_container().ok().flatten()?;
        let own = container.and_then(|container| container.image(provider));
        let image = self.request.image.as_deref().or(own)?;
        (provider.is_plain() && image.contains("://")).then(|| image.to_owned())
    }

    /// What the recipe mounts.
    fn mounts(&self, scope: &Scope, container: Option<&Container>) -> Result<Vec<Mount>, ResolveError> {
        let mut mounts = Vec::new();
        for mount in container.iter().flat_map(|container| &container.mounts) {
            let (Some(source), Some(target)) = (mount.source.text(scope), mount.target.text(scope)) else {
                continue;
            };
            let whole = |path: &str| path.starts_with('/') && !path.contains(['\n', '\0']);
            if let Some(path) = [&source, &target].into_iter().find(|path| !whole(path)) {
                return Err(bad("mount", path, "in a container a path has to begin with /"));
            }
            let of_model = mount.source.only_name() == Some("model-path") && source == target;
            let source = if of_model { apptainer::with_links(&source) } else { source };
            let target = if of_model { source.clone() } else { target };
            mounts.push(Mount { source, target, read_only: mount.read_only });
        }
        Ok(mounts)
    }

    fn chosen_container(&self) -> Result<Option<(Provider, Option<&'a Container>)>, ResolveError> {
        let container = self.run.container.as_ref();
        match (self.request.container, container) {
            (Containing::Bare, _) | (Containing::AsRecipe, None) => Ok(None),
            (Containing::AsRecipe, Some(container)) => Ok(container.default.map(|it| (it, Some(container)))),
            // Of one that says nothing of containers the user has to know an image.
            (Containing::In(_), None) if self.request.image.is_none() => {
                Err(self.unwanted("container without --image"))
            }
            (Containing::In(provider), container) => Ok(Some((provider, container))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towline_core::testing::sample_service;

    fn spec() -> ServiceSpec {
        let mut spec = (*sample_service(1, "web").spec).clone();
        spec.command = vec!["serve".into(), "{port}".into()];
        spec.chdir = None;
        spec.resources.gpus = None;
        spec
    }

    #[test]
    fn apptainer_is_a_command_and_the_others_are_an_adapters() {
        let config = || ContainerConfig::new("", "localhost/x:1");
        let contained = contain(spec(), Provider::Apptainer, config()).unwrap();
        assert_eq!(contained.command, ["apptainer", "exec", "localhost/x:1", "serve", "{port}"]);
        assert_eq!(contained.container, None);
        for provider in [Provider::Docker, Provider::Podman] {
            let mut asked = spec();
            asked.chdir = Some("/work".into());
            asked.resources.gpus = Some("2".into());
            let contained = contain(asked, provider, config()).unwrap();
            assert_eq!(contained.command, spec().command);
            assert_eq!((&contained.chdir, &contained.resources.gpus), (&None, &None));
            let expected = ContainerConfig {
                workdir: Some("/work".into()),
                gpus: Some(Gpus::Count(2)),
                ..ContainerConfig::new(provider.as_str(), "localhost/x:1")
            };
            assert_eq!(contained.container, Some(Box::new(expected)));
        }
    }

    #[test]
    fn what_a_container_cannot_take_is_refused() {
        let field = |change: fn(&mut ServiceSpec)| {
            let mut spec = spec();
            change(&mut spec);
            contain(spec, Provider::Docker, ContainerConfig::new("", "x")).unwrap_err().field
        };
        assert_eq!(field(|spec| spec.chdir = Some("work".into())), "chdir");
        assert_eq!(field(|spec| spec.resources.gpus = Some("a100:2".into())), "gpus");
        assert_eq!(count("0"), Ok(None));
    }
}
