//! `towline why`

use towline_core::engine::error_chain;
use towline_core::service::Service;
use towline_core::why::{Evidence, explain};

use crate::app::App;
use crate::args::{JsonArg, ServiceArg};
use crate::exit::{Failure, Outcome};
use crate::render::{WhyView, answer};

/// Tell why a service stands where it stands, and what to do about it
///
/// A sentence, the evidence for it, and advice: what holds the job in the queue and whether it can ever start, where
/// the way to a silent server breaks, what ended it and what its log says. What cannot be learnt now is explained
/// from what is recorded. Of the log's last lines the one that tells most is marked with `>`.
///
/// With --json an object: `id`, `name`, `status`, `profile`, `job_id`, `since` and `observed_at` as `show` has them;
/// `sentence`; `outlook`, one of `fine`, `waits`, `blocked`, `never` and `ended`; `evidence`, objects with a `topic`
/// and a `text`; `advice`; `log`, its last lines; and `unknown`, what could not be learnt.
#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    service: ServiceArg,
    #[command(flatten)]
    output: JsonArg,
}

/// Explains one service. What cannot be learnt is part of the explanation, and no failure.
pub(super) async fn why(app: &App, args: &WhyArgs) -> Outcome<()> {
    let service = app.find(&args.service.service).await?;
    let (service, evidence) = look(app, service).await;
    let explanation = explain(&service, &evidence, app.now());
    if args.output.json {
        return Ok(app.terminal.json(&WhyView::new(&service, &evidence, &explanation))?);
    }
    Ok(app.terminal.data(&answer(&evidence, &explanation))?)
}

/// Looks at the service again, as far as it lives, and then at what explains it.
async fn look(app: &App, service: Service) -> (Service, Evidence) {
    let target = match app.target(&service.spec.profile).await {
        Ok(target) => target,
        Err(failure) => return (service, unlearnt(&failure)),
    };
    let mut gaps = Vec::new();
    let service = if service.status().is_terminal() {
        service
    } else {
        match target.engine.refresh(service.id).await {
            Ok(service) => service,
            Err(error) => {
                gaps.push(error_chain(&error));
                service
            }
        }
    };
    let mut evidence = match target.inspector.inspect(&service).await {
        Ok(evidence) => evidence,
        Err(error) => {
            Evidence { reached: Some(false), gaps: vec![error_chain(&error)], ..Evidence::default() }
        }
    };
    evidence.gaps.append(&mut gaps);
    (service, evidence)
}

fn unlearnt(failure: &Failure) -> Evidence {
    Evidence { reached: Some(false), gaps: vec![error_chain(failure.error.as_ref())], ..Evidence::default() }
}
