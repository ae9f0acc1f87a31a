//! What `run RECIPE` makes of what lies where the service is to run: a model's snapshot, an image.

use std::time::Duration;

use towline_core::engine::error_chain;
use towline_recipes::Snapshot;
use towline_stage::Staged;

use super::model::wanted;
use crate::app::App;
use crate::config::Profile;
use crate::recipes::Order;
use crate::render::{clean_line, partial_words, revision_words};
use crate::wiring;

/// How long a look may take before the service is started without it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The order with the newest snapshot of its model, or the one of the revision that it names, and with its image, as far as they are there.
/// Tells which; what cannot be looked at is no reason not to run it.
pub(super) async fn staged(app: &App, order: Order, profile: &Profile) -> Order {
    let stageable = order.stageable();
    if stageable.model.is_none() && stageable.image.is_none() {
        return order;
    }
    let name = &app.config.default_profile;
    let staged = match look(app, name, profile).await {
        Ok(staged) => staged,
        Err(why) => {
            app.terminal.warn(&format!(
                "what is staged in profile {name} is not known, and not used: {}",
                clean_line(&why)
            ));
            return order;
        }
    };
    let snapshot = stageable.model.and_then(|model| snapshot(app, &staged, &model, order.revision()));
    let image = stageable.image.and_then(|source| image(app, &staged, &source));
    order.with_staged(snapshot, image)
}

async fn look(app: &App, name: &str, profile: &Profile) -> Result<Staged, String> {
    let stage = wiring::stage(name, profile, &app.paths).map_err(|failure| format!("{:#}", failure.error))?;
    match tokio::time::timeout(PATIENCE, stage.look()).await {
        Ok(staged) => staged.map_err(|error| error_chain(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn snapshot(app: &App, staged: &Staged, model: &str, revision: Option<&str>) -> Option<Snapshot> {
    if let Some((name, said)) = model.split_once('@')
        && wanted(model, None).is_ok()
    {
        app.terminal.warn(&format!(
            "{model} is no name of a model, and handed on as it is: say {name}, and --revision {said} where the recipe has that option"
        ));
        return None;
    }
    let found = staged.find(model, revision);
    // No name of a service's may end a line of its script.
    let usable = |path: &str| path.starts_with('/') && !path.contains(char::is_control);
    if let Some((of, it)) = found.filter(|(_, it)| it.is_whole() && usable(&it.path)) {
        app.terminal.note(&format!("model {model}: {}, in {}", revision_words(it), it.path));
        if let Some(partial) = of.partial {
            app.terminal.note(&format!("a download of it was not finished ({})", partial_words(partial)));
        }
        return Some(Snapshot { path: it.path.clone(), hub: of.hub.clone(), commit: it.commit.clone() });
    }
    let which = revision.map(|revision| format!("@{revision}")).unwrap_or_default();
    let half = staged.named(model).iter().find_map(|model| model.partial);
    let half = half.map(|partial| format!(" ({})", partial_words(partial))).unwrap_or_default();
    // Names of other hubs are no names of ours.
    let add = match wanted(model, revision) {
        Ok(_) => format!("; `towline model add {model}{which}` does so beforehand"),
        Err(_) => String::new(),
    };
    app.terminal.note(&format!("model {model}{which} is not staged{half}: the server downloads it{add}"));
    None
}

fn image(app: &App, staged: &Staged, source: &str) -> Option<String> {
    match staged.image_from(source) {
        Some(image) => {
            app.terminal.note(&format!("image {source}: {}", image.path));
            Some(image.path.clone())
        }
        None => {
            let add = format!("`towline image add {source}` does so beforehand");
            app.terminal
                .note(&format!("image {source} is not staged: it is pulled where the service runs; {add}"));
            None
        }
    }
}
