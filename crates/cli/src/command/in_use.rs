//! Whether a service needs what is to be removed.

use towline_core::ports::Select;
use towline_core::spec::ServiceSpec;

use crate::app::App;
use crate::exit::{Failure, Kind, Outcome};

/// What is to be removed, by all that a service may call it.
pub(super) struct Going<'a> {
    /// Where it lies.
    pub(super) path: &'a str,
    /// The model's name; `None` for an image.
    pub(super) model: Option<&'a str>,
    /// Commits of that model that stay.
    pub(super) staying: Vec<&'a str>,
}

/// Makes sure that no service needs it that has not ended: by its path, or by the name of the model, which a server looks for in its
/// cache. Looks at services of all profiles that lead to the same host; of a profile that is no more nobody knows that.
///
/// # Errors
/// [`Kind::Refused`] if one does, and the ledger's.
pub(super) async fn check_unused(app: &App, going: &Going<'_>) -> Outcome<()> {
    let here = app.profile(&app.config.default_profile)?;
    let near = |name: &str| match app.config.profiles.get(name) {
        Some(profile) => profile.kind == here.kind && profile.host == here.host,
        None => true,
    };
    let listing = app.ledger().await?.list(Select::Unfinished).await?;
    let user = listing.services.iter().find(|it| near(&it.spec.profile) && going.is_used_by(&it.spec));
    let Some(user) = user else { return Ok(()) };
    let name = &user.spec.name;
    let message = format!("service {name} uses {}", going.path);
    Err(Failure::new(Kind::Refused, message).hint(format!("end it first: `towline stop {name}`")))
}

impl Going<'_> {
    fn is_used_by(&self, spec: &ServiceSpec) -> bool {
        let container = spec
            .container
            .iter()
            .flat_map(|it| std::iter::once(&it.image).chain(it.mounts.iter().map(|mount| &mount.source)));
        let words: Vec<&String> = spec
            .command
            .iter()
            .chain(&spec.setup)
            .chain(spec.env.values())
            .chain(&spec.chdir)
            .chain(container)
            .collect();
        let says = |what: &str| words.iter().any(|word| mentions(word, what));
        // Who names another commit needs that one alone.
        says(self.path) || self.model.is_some_and(says) && !self.staying.iter().any(|commit| says(commit))
    }
}

/// Whether `what` stands in `text`, not as a part of a longer name; a path stands also before what lies below it.
fn mentions(text: &str, what: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // A commit stands at the end of a path, and all else at its beginning.
    let is_commit = !what.contains('/') && what.len() == 40;
    text.match_indices(what).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + what.len()..].chars().next();
        !before.is_some_and(|c| inside(c) || c == '/' && !is_commit) && !after.is_some_and(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_mentioned_as_a_whole() {
        for text in ["org/mod", "--model=org/mod", "serve 'org/mod' --x", "org/mod/x.gguf", "org/mod:Q4"] {
            assert!(mentions(text, "org/mod"), "{text}");
        }
        for text in ["org/mod-large", "big-org/mod", "/x/org/mod", "org/mod.v2", "org/mod2", "", "org/mo"] {
            assert!(!mentions(text, "org/mod"), "{text}");
        }
        let path = "/c/models--org--mod";
        assert!(mentions("a:/c/models--org--mod/snapshots/x:ro", path));
        assert!(
            !mentions("/c/models--org--mod-large/snapshots/x", path)
                && !mentions("/b/c/models--org--mod", path)
        );
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert!(mentions(&format!("{path}/snapshots/{commit}"), commit) && mentions(commit, commit));
    }
}
