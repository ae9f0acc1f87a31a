//! The end of every story: the faults stop, and all must settle.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use towline_core::engine::Engine;
use towline_core::job::JobState;
use towline_core::lifecycle::{Phase, Status};
use towline_core::ports::{Clock as _, Ledger as _, Select};
use towline_core::service::Service;
use towline_core::testing::JobTruth;

use super::records::Violation;
use super::stage::Stage;

/// Within so many turns, each when the plans ask for it, everything must have settled.
const TURNS: u64 = 120;

/// Lets the faults of a story stop, and checks that all comes to rest: first with the services that still run, then
/// with all of them stopped.
pub(crate) fn settle(stage: &mut Stage) -> Result<(), Violation> {
    stage.end_the_faults()?;
    let engine = stage.world.engine("lab", Arc::clone(&stage.records) as _);
    turn_until(stage, &engine, "every service stands where its job does", agrees)?;
    check_the_rest(stage)?;
    check_the_granted(stage)?;
    for service in services(stage).into_iter().filter(|service| !service.status().is_terminal()) {
        stage.records.note_stop(service.id);
        let stopped = engine.stop(service.id, Duration::ZERO, towline_core::lifecycle::EndStatus::Stopped);
        drop(stopped.now_or_never().expect("the world never waits"));
        stage.check()?;
    }
    turn_until(stage, &engine, "what is stopped ends", |_, service| !service.life.is_unfinished())?;
    // Whatever was leaving its nodes has left them by now.
    stage.world.advance(Duration::from_secs(3600));
    check_the_rest(stage)
}

/// Looks again, whenever a plan asks for it, until that is true of every service.
fn turn_until(
    stage: &mut Stage,
    engine: &Engine,
    rule: &'static str,
    is_settled: fn(&Stage, &Service) -> bool,
) -> Result<(), Violation> {
    for turn in 0..TURNS {
        drop(engine.refresh_all().now_or_never().expect("the world never waits").expect("the ledger works"));
        stage.check()?;
        let services = services(stage);
        if services.iter().all(|service| is_done(stage, service, is_settled)) {
            return Ok(());
        }
        let now = stage.world.now();
        let forgotten =
            |service: &&Service| service.life.is_unfinished() && service.life.plan(now).wake_at.is_none();
        if let Some(forgotten) = services.iter().find(forgotten) {
            let how = format!("{} is {} for ever", forgotten.spec.name, forgotten.status());
            return Err(Violation { rule: "who is not done is looked at again", how });
        }
        let wakes = services.iter().filter_map(|service| service.life.plan(now).wake_at);
        let pause = wakes.min().map_or(Duration::ZERO, |at| at.since(now));
        // A service that is pinged twice a second must not keep the others from settling.
        let least = Duration::from_secs(2 + turn / 10);
        stage.world.advance(pause.clamp(least, Duration::from_secs(90)));
    }
    let unsettled = services(stage).into_iter().find(|service| !is_done(stage, service, is_settled));
    let unsettled = unsettled.map(|service| {
        format!(
            "{} is {} ({}); in truth: {:?}",
            service.spec.name,
            service.status(),
            service.life.why(),
            stage.world.jobs(service.id)
        )
    });
    Err(Violation { rule, how: unsettled.unwrap_or_default() })
}

/// Of a service that has had two jobs nobody can tell what becomes of it: the scheduler had denied the first one for the
/// whole settling time.
fn is_done(stage: &Stage, service: &Service, is_settled: fn(&Stage, &Service) -> bool) -> bool {
    stage.world.most_live_jobs(service.id) > 1 || is_settled(stage, service)
}

fn services(stage: &Stage) -> Vec<Service> {
    let listing = stage.records.list(Select::All).now_or_never().expect("the ledger never waits");
    listing.expect("the ledger works").services
}

/// Whether a service stands where its job does.
fn agrees(stage: &Stage, service: &Service) -> bool {
    let status = service.status();
    if status.is_terminal() {
        return !service.life.is_unfinished();
    }
    let now = stage.world.now();
    let Phase::Live { job, .. } = &service.life.phase else { return false };
    let jobs = stage.world.jobs(service.id);
    let Some(truth) = jobs.iter().rfind(|truth| truth.id == job.id) else { return false };
    let is_to_close = service.life.tunnel_unwanted && service.life.open_tunnel().is_some();
    if is_to_close || service.life.stop.as_ref().is_some_and(|stop| stop.due <= now) {
        return false;
    }
    // A service whose tunnel is to be closed is no longer pinged: it stays what it was.
    let unpinged = service.life.tunnel_unwanted && status == Status::Healthy;
    let was_healthy = status == Status::Unhealthy || unpinged;
    match &truth.state {
        JobState::Queued => was_healthy || status == Status::Pending,
        JobState::Running if truth.answers && !service.life.tunnel_unwanted => status == Status::Healthy,
        JobState::Configuring | JobState::Running | JobState::Suspended => {
            was_healthy || status == Status::Starting
        }
        JobState::Leaving => true,
        JobState::Ended(_) => false,
    }
}

/// Checks what must be true of the world and the ledger once all is at rest.
fn check_the_rest(stage: &mut Stage) -> Result<(), Violation> {
    for id in Stage::ids() {
        let service = stage.service(id);
        let known = service.as_ref().filter(|service| !service.status().is_terminal());
        let known = known.and_then(|service| service.life.phase.job()).map(|job| &job.id);
        let jobs = stage.world.jobs(id);
        let stays = |job: &&JobTruth| job.is_live() && job.state != JobState::Leaving;
        if let Some(job) = jobs.iter().filter(stays).find(|job| Some(&job.id) != known)
            && !stage.is_misled(id)
            && !stage.world.has_denied_a_cancel(id)
        {
            stage.records.accuse("no living job is unknown", story_of(service.as_ref(), job));
        }
        check_history(stage, id);
    }
    for (id, tunnel) in stage.world.tunnels() {
        let Some(service) = stage.service(id) else { continue };
        let recorded = service.life.open_tunnel().map(|recorded| &recorded.handle);
        // One that was opened and not recorded is found when it is opened again.
        let is_wanted = !service.status().is_terminal() && !service.life.tunnel_unwanted;
        if is_wanted && recorded.is_none_or(|recorded| *recorded == tunnel.handle) {
            continue;
        }
        if stage.records.has_known(&tunnel) {
            let how =
                format!("port {} was opened for {} ({})", tunnel.port, service.spec.name, service.status());
            stage.records.accuse("no tunnel is left open", how);
        } else {
            stage.strays += 1;
        }
    }
    stage.check()
}

/// Checks that what was granted to users is done, or is still to be done.
fn check_the_granted(stage: &mut Stage) -> Result<(), Violation> {
    for service in services(stage).into_iter().filter(|service| stage.records.is_stop_granted(service.id)) {
        if !service.status().is_terminal() && service.life.stop.is_none() {
            let how = format!("{} is {}", service.spec.name, service.status());
            stage.records.accuse("a stop that was granted is not forgotten", how);
        }
    }
    stage.check()
}

fn story_of(service: Option<&Service>, job: &JobTruth) -> String {
    let recorded = service.map(|service| format!("{} ({})", service.status(), service.life.why()));
    format!("{job:?}; its service is {recorded:?}")
}

/// Checks that the history tells how the service came to be where it is.
fn check_history(stage: &Stage, id: towline_core::id::ServiceId) {
    let Some(service) = stage.service(id) else { return };
    let history = stage.history(id);
    let tos: Vec<Status> = history.iter().map(|event| event.to).collect();
    let is_chain =
        history.windows(2).all(|pair| pair[1].from == Some(pair[0].to) && pair[1].to != pair[0].to);
    let ends = tos.iter().filter(|status| status.is_terminal()).count();
    if !is_chain || tos.first() != Some(&Status::Submitted) || tos.last() != Some(&service.status()) {
        stage.records.accuse("the history leads to the status", format!("{tos:?}, {}", service.status()));
    }
    if ends > usize::from(service.status().is_terminal()) {
        stage.records.accuse("one end at most, and the last", format!("{tos:?}"));
    }
}
