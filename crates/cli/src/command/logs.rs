//! `towline logs`

use std::time::Duration;

use towline_core::lifecycle::Status;
use towline_core::ports::{FilesError, LogChunk, LogFrom};
use towline_core::service::Service;

use super::follow::{Followed, follow};
use crate::app::App;
use crate::args::ServiceArg;
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::wiring::Target;

/// How long one read may wait for news before it is asked whether the service still lives.
const NEWS: Duration = Duration::from_secs(10);

/// The statuses in which a job runs or has run, so that there may be a log.
const BEGUN: [Status; 3] = [Status::Starting, Status::Healthy, Status::Unhealthy];

/// Print the output of a service
#[derive(Debug, clap::Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    service: ServiceArg,
    /// Go on printing what is added, until the service has ended
    #[arg(short, long)]
    follow: bool,
    /// Begin that many lines before the end
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u32>,
}

/// Prints the log.
pub(super) async fn logs(app: &App, args: &LogsArgs) -> Outcome<()> {
    let mut service = app.find(&args.service.service).await?;
    let name = service.spec.name.clone();
    let failed = || format!("failed to read the log of service {name}");
    let target = app.target(&service.spec.profile).await?;
    let mut from = args.lines.map_or(LogFrom::Offset(0), LogFrom::Tail);
    let mut wait = Duration::ZERO;
    loop {
        let ended = service.status().is_terminal();
        match target.files.read_log(service.id, from, if ended { Duration::ZERO } else { wait }).await {
            Ok(LogChunk { bytes, next }) => {
                from = LogFrom::Offset(next);
                app.terminal.bytes(&bytes)?;
                if !bytes.is_empty() {
                    continue;
                }
                if !args.follow || ended {
                    return Ok(());
                }
            }
            Err(FilesError::Missing) if args.follow && !ended => {
                service = begun(app, &target, service).await?;
                continue;
            }
            Err(FilesError::Missing) => return Err(none_yet(&service)),
            Err(error) => return Err(error).during(failed),
        }
        wait = NEWS;
        service = target.engine.refresh(service.id).await.during(failed)?;
    }
}

/// Waits until a job has begun to run, and a little more for its log.
async fn begun(app: &App, target: &Target, service: Service) -> Outcome<Service> {
    if BEGUN.contains(&service.status()) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        return Ok(target.engine.refresh(service.id).await?);
    }
    match follow(app, &service, &BEGUN, None).await? {
        Followed::Done(service) | Followed::OutOfTime(service) => Ok(*service),
    }
}

fn none_yet(service: &Service) -> Failure {
    let (name, why) = (&service.spec.name, service.life.why());
    let failure =
        Failure::new(Kind::Refused, format!("service {name} has no log: it is {}, {why}", service.status()));
    match service.status().is_terminal() {
        true => failure,
        false => failure.hint(format!("`towline logs -f {name}` waits for it")),
    }
}
