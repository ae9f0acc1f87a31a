//! A model or an image that lies where the service runs, instead of the name by which it would be downloaded there.

use crate::parameter::Value;
use crate::recipe::{Model, Run};
use crate::scope::Scope;

/// A model in a cache of Hugging Face, where the service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The directory with its files; absolute.
    pub path: String,
    /// The cache: the directory in which that of the model lies.
    pub hub: String,
    /// The commit.
    pub commit: String,
}

/// What of a request may lie where the service runs already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stageable {
    /// The name of a model, if the recipe says how its server is given what lies there.
    pub model: Option<String>,
    /// The URI of an image.
    pub image: Option<String>,
}

/// How a server is given a model that lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way<'a> {
    /// By its directory; this parameter tells the server its name.
    Directory(&'a str),
    /// By its name; this parameter tells the server the cache.
    Cache(&'a str),
}

/// The way that this variant has, if it has one.
pub(crate) fn way<'a>(model: &'a Model, run: &Run) -> Option<Way<'a>> {
    let [either, by_name, _] = run.model_forms();
    let directory = model.served.as_deref().filter(|_| either).map(Way::Directory);
    directory.or_else(|| model.hub.as_deref().filter(|name| by_name && run.mentions(name)).map(Way::Cache))
}

impl Snapshot {
    /// Puts it in the place of the model that was given by `name`. What was said of name, cache and revision stays.
    pub(crate) fn set(&self, way: Way<'_>, name: &str, scope: &mut Scope) {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut unless_said = |parameter: &str, value: &str| {
            if scope.get(parameter).is_none() {
                scope.set(parameter, text(value));
            }
        };
        match way {
            Way::Directory(served) => {
                unless_said(served, name);
                // A directory has no revisions.
                for gone in ["revision", "model-name"] {
                    scope.unset(gone);
                }
                scope.set("model", text(&self.path));
                scope.set("model-path", text(&self.path));
            }
            Way::Cache(hub) => {
                unless_said(hub, &self.hub);
                scope.set("revision", text(&self.commit));
            }
        }
    }
}
