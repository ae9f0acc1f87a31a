//! `towline url`

use towline_core::lifecycle::Status;
use towline_core::service::Service;

use crate::app::{App, Pace};
use crate::args::{JsonArg, ServiceArg};
use crate::exit::{Failure, Kind, Outcome};

/// Print the local URL of a service
#[derive(Debug, clap::Args)]
pub(crate) struct UrlArgs {
    #[command(flatten)]
    service: ServiceArg,
    #[command(flatten)]
    output: JsonArg,
}

/// Prints the URL.
pub(super) async fn url(app: &App, args: &UrlArgs) -> Outcome<()> {
    let (service, url) = reached(app, &args.service).await?;
    let (name, status) = (&service.spec.name, service.status());
    if args.output.json {
        return Ok(app.terminal.json(&serde_json::json!({ "name": name, "status": status, "url": url }))?);
    }
    Ok(app.terminal.data(&url)?)
}

/// A service with its URL, looked at anew. Warns if it does not answer.
///
/// # Errors
/// [`Kind::Refused`] if it has no URL, or none any more.
pub(super) async fn reached(app: &App, arg: &ServiceArg) -> Outcome<(Service, String)> {
    let mut service = app.find(&arg.service).await?;
    if !service.status().is_terminal() {
        service = app.refresh(&service, Pace::InTurn).await?;
    }
    let (name, status) = (&service.spec.name, service.status());
    let Some(url) = service.url() else {
        let failure = Failure::new(
            Kind::Refused,
            format!("service {name} has no URL: it is {status}, {}", service.life.why()),
        );
        return Err(match status {
            Status::Stopped | Status::Timeout | Status::Failed => failure,
            _ if service.life.tunnel_unwanted => {
                failure.hint(format!("`towline tunnel open {name}` opens its tunnel again"))
            }
            _ => failure.hint(format!("`towline wait {name}` waits until it answers")),
        });
    };
    if status != Status::Healthy {
        app.terminal.warn(&format!("service {name} is {status}: {}", service.life.why()));
    }
    Ok((service, url))
}
