//! Small recipes, and requests for them.

use towline_core::spec::ServiceSpec;
use towline_recipes::{Key, Recipe, Request, ResolveError, SecretValue};

/// A recipe with little in it, to which `more` is added.
pub(crate) fn recipe(more: &str) -> Recipe {
    read(&format!("summary = 's'\ncommand = ['serve', '--port', '{{port}}']\n{more}"))
}

#[track_caller]
pub(crate) fn read(text: &str) -> Recipe {
    Recipe::read("web", text, "web.toml").unwrap_or_else(|bad| panic!("{bad}\n{text}"))
}

pub(crate) fn request() -> Request {
    Request::new("web".parse().unwrap(), "lab")
}

/// A request with these parameters.
pub(crate) fn with(values: &[(&str, &str)]) -> Request {
    let mut request = request();
    for (name, value) in values {
        request.values.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    request
}

/// A key that is to be handed to the server.
pub(crate) fn key(text: &str) -> Key {
    Key::Given(SecretValue::new(text).unwrap())
}

/// The command that a request makes, as one text.
#[track_caller]
pub(crate) fn command(recipe: &Recipe, request: &Request) -> String {
    resolve(recipe, request).unwrap().command.join(" ")
}

pub(crate) fn resolve(recipe: &Recipe, request: &Request) -> Result<ServiceSpec, ResolveError> {
    let spec = recipe.resolve(request)?;
    spec.check().expect("whatever is resolved can be run");
    Ok(spec)
}

/// A recipe that comes with the crate.
#[track_caller]
pub(crate) fn built_in(name: &str) -> Recipe {
    let found = towline_recipes::BUILT_IN.iter().find(|it| it.name == name);
    let text = found.unwrap_or_else(|| panic!("no {name}")).text;
    Recipe::read(name, text, name).unwrap_or_else(|bad| panic!("{bad}"))
}
