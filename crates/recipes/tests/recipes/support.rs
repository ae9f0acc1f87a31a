//! Small recipes, and requests for them.

use towline_core::spec::ServiceSpec;
use towline_recipes::{Recipe, Request, ResolveError};

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
