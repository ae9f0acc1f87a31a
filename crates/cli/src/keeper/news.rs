//! What a keeper tells: one line an event.

use serde::Serialize;
use towline_core::id::ServiceId;
use towline_core::lifecycle::Status;
use towline_core::service::Service;

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// It begins: how many services there are.
    Keeping,
    /// There is no service to keep; it waits for some.
    Waiting,
    /// A service is found, or has another status.
    Status,
    /// Somebody has removed a service from the ledger before its end was seen.
    Removed,
    /// A tunnel does not stand any more.
    TunnelLost,
    /// It stands again.
    TunnelBack,
    /// A tunnel has another local port: another program has taken the old one.
    PortMoved,
    /// A tunnel leads to another place: the job was moved.
    PlaceMoved,
    /// The node through which a tunnel should go refuses the login.
    NodeRefuses,
    /// There is no news of a profile's services.
    ClusterLost,
    /// There is news again.
    ClusterBack,
    /// A cluster refuses the login, so that somebody has to log in by hand.
    LoginNeeded,
    /// Something failed on this machine, such as the ledger.
    Trouble,
    /// All services that were named have ended.
    Ended,
    /// It was told to leave.
    Stopped,
}

/// One event. As a line of JSON it has the time as `at` besides; fields may be added, none changes its meaning or goes
/// away. What an event is not about is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct News {
    /// What happened.
    pub(crate) event: Event,
    /// Where.
    pub(crate) profile: Option<String>,
    /// The name of the service that it is about.
    pub(crate) service: Option<String>,
    /// And its UUID.
    pub(crate) id: Option<ServiceId>,
    /// Its status now.
    pub(crate) status: Option<Status>,
    /// Its URL now.
    pub(crate) url: Option<String>,
    /// The event in words.
    pub(crate) message: String,
}

impl News {
    /// News of the keeper itself.
    pub(crate) fn own(event: Event, message: impl Into<String>) -> Self {
        let (profile, service, id, status, url) = (None, None, None, None, None);
        Self { event, profile, service, id, status, url, message: message.into() }
    }

    /// News of a cluster.
    pub(crate) fn of_profile(event: Event, profile: &str, message: impl Into<String>) -> Self {
        Self { profile: Some(profile.to_owned()), ..Self::own(event, message) }
    }

    /// News of a service.
    pub(crate) fn of(event: Event, service: &Service, message: impl Into<String>) -> Self {
        Self {
            service: Some(service.spec.name.to_string()),
            id: Some(service.id),
            status: Some(service.status()),
            url: service.url(),
            ..Self::of_profile(event, &service.spec.profile, message)
        }
    }
}

/// What has become of a service between two looks at it.
pub(super) fn changes(before: Option<&Service>, now: &Service) -> Vec<News> {
    let mut news = Vec::new();
    if before.is_none_or(|before| before.status() != now.status()) {
        let url = now.url().map(|url| format!(", {url}")).unwrap_or_default();
        news.push(News::of(Event::Status, now, format!("{}: {}{url}", now.status(), now.life.why())));
    }
    let Some(before) = before else { return news };
    if let Some(message) = port_moved(before, now) {
        news.push(News::of(Event::PortMoved, now, message));
    }
    if let (Some(old), Some(new)) = (before.life.open_tunnel(), now.life.open_tunnel())
        && !old.place.is_same_address(&new.place)
    {
        let (host, port) = (&new.place.host, new.place.port);
        let message = format!("the job was moved: the tunnel leads to {host}:{port} now, from {}", new.url());
        news.push(News::of(Event::PlaceMoved, now, message));
    }
    news
}

/// What to tell if a service has another local port than before.
pub(crate) fn port_moved(before: &Service, now: &Service) -> Option<String> {
    let (old, new) = (before.life.local_port?, now.life.local_port?);
    let url = now.url()?;
    (old != new).then(|| {
        format!(
            "service {} has another local port: {old} was taken by another program; its URL is {url} from now on",
            now.spec.name
        )
    })
}

#[cfg(test)]
mod tests {
    use towline_core::job::Place;
    use towline_core::lifecycle::{Fact, Tunnel, TunnelFact};
    use towline_core::time::Timestamp;

    use super::*;
    use crate::testing::{ended, healthy, service};

    fn with_tunnel(service: Service, port: u16, host: &str) -> Service {
        let place = Place { host: host.into(), port: 8000, pid: 1, listening: true, loopback: false };
        let tunnel = Tunnel { host: "127.0.0.1".into(), port, place, handle: Some("x".into()) };
        let fact = Fact::Tunnel(TunnelFact::Open(tunnel));
        Service { life: service.life.observe(&fact, Timestamp::from_secs(0)), ..service }
    }

    fn told(before: Option<&Service>, now: &Service) -> Vec<(Event, String)> {
        changes(before, now).into_iter().map(|news| (news.event, news.message)).collect()
    }

    #[test]
    fn what_stays_is_not_told_and_what_changes_is_told_once() {
        let web = with_tunnel(healthy(service(1, "web")), 20_001, "c1");
        let first = told(None, &web);
        let url = "http://127.0.0.1:20001";
        assert_eq!(first, [(Event::Status, format!("HEALTHY: the server answers, {url}"))]);
        assert_eq!(told(Some(&web), &web), []);
        let stopped = told(Some(&web), &ended(web.clone()));
        assert!(
            matches!(&stopped[..], [(Event::Status, text)] if text.starts_with("STOPPED: stopped on request"))
        );
    }

    #[test]
    fn another_port_and_another_place_are_told_apart() {
        let web = with_tunnel(healthy(service(1, "web")), 20_001, "c1");
        let moved = told(Some(&web), &with_tunnel(web.clone(), 20_002, "c1"));
        let [(Event::PortMoved, text)] = &moved[..] else { panic!("{moved:?}") };
        assert!(text.contains("20001 was taken") && text.contains("http://127.0.0.1:20002"), "{text}");
        let moved = told(Some(&web), &with_tunnel(web.clone(), 20_001, "c2"));
        let [(Event::PlaceMoved, text)] = &moved[..] else { panic!("{moved:?}") };
        assert!(text.contains("c2:8000") && text.contains("http://127.0.0.1:20001"), "{text}");
    }

    #[test]
    fn a_line_of_json_has_every_field() {
        let news = News::of_profile(Event::ClusterLost, "lab", "away");
        let expected = serde_json::json!({
            "event": "cluster-lost", "profile": "lab", "service": null, "id": null, "status": null, "url": null,
            "message": "away",
        });
        assert_eq!(serde_json::to_value(news).unwrap(), expected);
    }
}
