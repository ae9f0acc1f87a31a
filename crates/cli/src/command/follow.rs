//! Waiting for a service with a live line, and telling how it ended.

use std::time::Duration;

use tokio::signal::unix::SignalKind;
use towline_core::id::ServiceId;
use towline_core::lifecycle::Status;
use towline_core::ports::LogFrom;
use towline_core::service::Service;
use towline_core::span::Span;
use towline_core::why::{Evidence, explain};

use crate::app::App;
use crate::config::Kind as ProfileKind;
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::render::{Live, moment};
use crate::signals::first_of;
use crate::wiring::{Target, Way};

/// How many of the last lines of a log explain an end.
const LOG_LINES: u32 = 15;

/// How long those lines may take to come.
const LOG_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked for whether a cluster is back that was out of reach.
const BACK: Duration = Duration::from_secs(1);

/// How waiting for a service came out.
pub(super) enum Followed {
    /// It has one of the statuses that were waited for, or has ended.
    Done(Box<Service>),
    /// The time is over; the service as it is recorded.
    OutOfTime(Box<Service>),
}

/// Waits until a service has one of the statuses `until` or has ended, for at most `limit`, showing where it stands.
///
/// # Errors
/// [`Kind::Interrupted`] after Ctrl-C, and those of the engine.
pub(super) async fn follow(
    app: &App,
    service: &Service,
    until: &[Status],
    limit: Option<Duration>,
) -> Outcome<Followed> {
    follow_on(Live::new(&app.terminal), app, service, until, limit).await
}

/// The same, shown by `live`.
///
/// # Errors
/// Those of [`follow`].
pub(super) async fn follow_on(
    mut live: Live<'_>,
    app: &App,
    service: &Service,
    until: &[Status],
    limit: Option<Duration>,
) -> Outcome<Followed> {
    let Target { engine, way, .. } = app.target(&service.spec.profile).await?;
    let name = &service.spec.name;
    let mut watch = |service: &Service| live.look(service);
    let out_of_time = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let waiting = async {
        loop {
            tokio::select! {
                waited = engine.wait(service.id, until, &mut watch) => return waited,
                () = back(&way) => drop(engine.clone().urgent().refresh(service.id).await?),
            }
        }
    };
    tokio::select! {
        waited = waiting => {
            let service = waited.during(|| format!("failed to wait for service {name}"))?;
            Ok(Followed::Done(Box::new(service)))
        }
        () = out_of_time => Ok(Followed::OutOfTime(Box::new(recorded(app, service.id).await?))),
        () = interrupted() => Err(left_behind(app, service.id).await),
    }
}

/// Returns once a cluster is back that was out of reach.
async fn back(way: &Way) {
    loop {
        tokio::time::sleep(BACK).await;
        if way.is_back().await {
            return;
        }
    }
}

async fn recorded(app: &App, id: ServiceId) -> Outcome<Service> {
    app.find(&id.to_string()).await
}

/// Returns at Ctrl-C, unless this process was started to ignore it.
pub(super) async fn interrupted() {
    if first_of(&[SignalKind::interrupt()]).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a command that is interrupted leaves behind, and how to go on.
pub(super) async fn left_behind(app: &App, id: ServiceId) -> Failure {
    let Ok(service) = recorded(app, id).await else {
        return Failure::new(Kind::Interrupted, "interrupted: nothing was submitted");
    };
    let (name, status) = (&service.spec.name, service.status());
    let failure = |text: String| Failure::new(Kind::Interrupted, text);
    if status.is_terminal() {
        return failure(format!("interrupted: service {name} has ended as {status}"));
    }
    if let Some(stop) = &service.life.stop {
        let failure = failure(format!("interrupted: the stop of service {name} is recorded and goes on"));
        let when =
            if app.now() < stop.due { format!(", from {} on", moment(stop.due)) } else { String::new() };
        return failure.hint(format!(
            "`towline refresh {name}` carries it out{when}; `towline show {name}` tells where it stands"
        ));
    }
    failure(format!("interrupted: service {name} is {status} and is left as it is"))
        .hint(format!("`towline wait {name}` goes on waiting, `towline stop {name}` ends it"))
}

/// The failure that a service's end is for somebody who waited for it to become healthy: its cause, the end of its log
/// and what may help.
pub(super) async fn ended_failure(app: &App, service: &Service) -> Failure {
    let (name, why) = (&service.spec.name, service.life.why());
    let mut failure =
        Failure::new(Kind::Unhealthy, format!("service {name} ended as {}: {why}", service.status()));
    let log = end_of_log(app, service).await;
    let is_local =
        app.config.profiles.get(&service.spec.profile).is_some_and(|p| p.kind == ProfileKind::Local);
    let evidence = Evidence { is_local, log: log.clone(), ..Evidence::default() };
    if let Some(log) = log {
        failure = failure.excerpt("the end of its log", log);
    }
    failure
        .hint(format!("`towline why {name}` tells more"))
        .hint(explain(service, &evidence, app.now()).advice)
}

async fn end_of_log(app: &App, service: &Service) -> Option<String> {
    let target = app.target(&service.spec.profile).await.ok()?;
    let read = target.files.read_log(service.id, LogFrom::Tail(LOG_LINES), Duration::ZERO);
    let chunk = tokio::time::timeout(LOG_PATIENCE, read).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&chunk.bytes).trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The failure of a wait that took too long.
pub(super) fn out_of_time(service: &Service, limit: Duration) -> Failure {
    let (name, status) = (&service.spec.name, service.status());
    let message = format!("service {name} is still {status} after {}: {}", Span(limit), service.life.why());
    Failure::new(Kind::TimedOut, message).hint(format!("`towline show {name}` tells all that is known of it"))
}
