//! `towline rm`

use towline_core::engine::EngineError;
use towline_core::ports::{LedgerError, Select};
use towline_core::service::Service;

use crate::app::{App, Pace};
use crate::exit::{During as _, Failure, Kind, Outcome};

/// Forget services that have ended, and remove the files that they left where they ran
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// Names or UUIDs of services
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
    /// Leave their files, logs included, where they are
    #[arg(long)]
    keep_files: bool,
}

/// Forgets services; none of them unless all have ended.
pub(super) async fn rm(app: &App, args: &RmArgs) -> Outcome<()> {
    let mut services = Vec::with_capacity(args.services.len());
    for word in &args.services {
        let service = app.find(word).await?;
        let name = &service.spec.name;
        if !service.status().is_terminal() {
            let message =
                format!("service {name} is {}: only ended services can be removed", service.status());
            return Err(
                Failure::new(Kind::Refused, message).hint(format!("end it with `towline stop {name}`"))
            );
        }
        if services.iter().all(|known: &Service| known.id != service.id) {
            services.push(service);
        }
    }
    let mut failures = Vec::new();
    for service in services {
        match forget(app, &service, args.keep_files).await {
            Ok(()) => app.terminal.note(&format!("service {} is forgotten", service.spec.name)),
            Err(failure) => failures.push(failure),
        }
    }
    app.conclude(failures)
}

/// Removes the files of an ended service, then its record; what it still owes to the world is settled first.
pub(super) async fn forget(app: &App, service: &Service, keep_files: bool) -> Outcome<()> {
    let name = &service.spec.name;
    let failed = || format!("failed to remove service {name}");
    let mut service = service.clone();
    loop {
        if service.life.is_unfinished() {
            service = app.refresh(&service, Pace::InTurn).await?;
        }
        if service.life.is_unfinished() {
            let message = format!(
                "the job or the tunnel of service {name} may still be there: the cluster was not reached"
            );
            return Err(Failure::new(Kind::Unreachable, message).hint("try again once it can be reached"));
        }
        if !keep_files {
            let target = app.target(&service.spec.profile).await.map_err(with_hint).during(failed)?;
            let told = |err| with_hint(app.explain(&service.spec.profile, Failure::from(err)));
            target.files.remove(service.id).await.map_err(told).during(failed)?;
        }
        let ledger = app.ledger().await?;
        match ledger.remove(service.id, service.generation).await {
            // Another process has looked at it meanwhile, or has removed it.
            Err(LedgerError::Conflict { id }) => {
                let found = ledger.list(Select::Id(id)).await.during(failed)?.services.pop();
                service = found.ok_or(EngineError::Unknown { id }).during(failed)?;
            }
            removed => return removed.during(failed),
        }
    }
}

fn with_hint(failure: Failure) -> Failure {
    failure.hint("--keep-files forgets the service without touching its files")
}
