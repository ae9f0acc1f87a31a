//! `towline env`

use towline_core::runner::quote;
use towline_core::spec::SpecError;

use super::url::reached;
use crate::app::App;
use crate::args::{JsonArg, ServiceArg};
use crate::exit::{Failure, Kind, Outcome};

/// Print what points clients of OpenAI's API to a service, for a shell
///
///   eval "$(towline env llama)"
///
/// Sets OPENAI_BASE_URL to its URL with /v1, and OPENAI_API_KEY to its key.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    service: ServiceArg,
    #[command(flatten)]
    output: JsonArg,
}

/// What stands for the key of a service that has none: clients want one, and the user's own key of another provider, which they
/// would take else, is nothing that the service should see.
const NO_KEY: &str = "none";

/// Prints the variables.
pub(super) async fn env(app: &App, args: &EnvArgs) -> Outcome<()> {
    let (service, url) = reached(app, &args.service).await?;
    let base_url = format!("{url}/v1");
    let key = service.spec.key().unwrap_or(NO_KEY);
    let variables = [("OPENAI_BASE_URL", base_url.as_str()), ("OPENAI_API_KEY", key)];
    if args.output.json {
        let variables: std::collections::BTreeMap<_, _> = variables.into_iter().collect();
        return Ok(app.terminal.json(&variables)?);
    }
    let lines: Result<Vec<String>, SpecError> =
        variables.iter().map(|(name, value)| Ok(format!("export {name}={}", quote(value)?))).collect();
    let lines = lines.map_err(|error| Failure::from_error(Kind::Internal, error))?;
    Ok(app.terminal.data(&lines.join("\n"))?)
}
