//! `towline key`

use crate::app::App;
use crate::args::{JsonArg, ServiceArg};
use crate::exit::{Failure, Kind, Outcome};

/// Print the key that clients of a service must send
///
/// A service whose recipe can check a key has one: a random one unless `--api-key`
/// said otherwise.
///
///   curl -H "Authorization: Bearer $(towline key llama)" "$(towline url llama)/v1/models"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    service: ServiceArg,
    #[command(flatten)]
    output: JsonArg,
}

/// Prints the key.
pub(super) async fn key(app: &App, args: &KeyArgs) -> Outcome<()> {
    let service = app.find(&args.service.service).await?;
    let name = &service.spec.name;
    let Some(key) = service.spec.key() else {
        return Err(Failure::new(
            Kind::NotFound,
            format!("service {name} has no key: it asks its clients for none"),
        )
        .hint("`towline recipe show RECIPE` tells whether its services can check one"));
    };
    if args.output.json {
        return Ok(app.terminal.json(&serde_json::json!({ "name": name, "key": key }))?);
    }
    Ok(app.terminal.data(key)?)
}
