//! What a keeper knows, from which follows what is news.

use std::collections::{BTreeMap, BTreeSet};

use towline_core::id::ServiceId;
use towline_core::lifecycle::{Status, Tunnel};
use towline_core::service::Service;
use towline_core::time::Timestamp;

use super::news::{Event, News, changes};

/// The services that are kept, and how their clusters and tunnels stand.
#[derive(Debug, Default)]
pub(crate) struct Known {
    services: BTreeMap<ServiceId, Service>,
    /// Whose tunnel does not stand, and what is wrong with it.
    broken: BTreeMap<ServiceId, &'static str>,
    /// Whose node refuses the login.
    barred: BTreeSet<ServiceId>,
    /// Profiles without news of their services, and why.
    lost: BTreeMap<String, String>,
    /// Profiles that refuse the login, and when that may be tried again.
    refused: BTreeMap<String, Timestamp>,
}

impl Known {
    /// The unfinished services.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// Those of a profile.
    pub(crate) fn of_profile(&self, profile: &str) -> impl Iterator<Item = &Service> {
        self.services.values().filter(move |service| service.spec.profile == profile)
    }

    /// The profiles that they are of.
    pub(crate) fn profiles(&self) -> BTreeSet<String> {
        self.services.values().map(|service| service.spec.profile.clone()).collect()
    }

    /// The tunnels that should stand.
    pub(crate) fn tunnels(&self, profile: &str) -> Vec<(ServiceId, Tunnel)> {
        let wanted = self.of_profile(profile).filter(|service| !service.life.tunnel_unwanted);
        let living = wanted.filter(|service| !service.status().is_terminal());
        living.filter_map(|service| Some((service.id, service.life.open_tunnel()?.clone()))).collect()
    }

    /// How many tunnels stand.
    pub(crate) fn standing(&self) -> usize {
        let wanted = self.profiles().into_iter().flat_map(|profile| self.tunnels(&profile));
        wanted.filter(|(id, _)| !self.broken.contains_key(id)).count()
    }

    /// The services of a profile whose tunnels do not stand.
    pub(crate) fn broken(&self, profile: &str) -> BTreeSet<ServiceId> {
        let of_profile = self.of_profile(profile).map(|service| service.id);
        of_profile.filter(|id| self.broken.contains_key(id)).collect()
    }

    /// Whether there is no news of a profile.
    pub(crate) fn is_lost(&self, profile: &str) -> bool {
        self.lost.contains_key(profile)
    }

    /// When the login to a profile may be tried again that was refused.
    pub(crate) fn refused_until(&self, profile: &str) -> Option<Timestamp> {
        self.refused.get(profile).copied()
    }

    /// Takes up what is recorded of a service by now, unless something newer is known. One that is finished is forgotten;
    /// where it is already, its end was told.
    pub(crate) fn take_up(&mut self, service: Service) -> Vec<News> {
        let before = self.services.get(&service.id);
        let is_old = before.is_some_and(|before| before.generation > service.generation);
        if is_old || before.is_none() && !service.life.is_unfinished() {
            return Vec::new();
        }
        let news = changes(before, &service);
        if service.life.is_unfinished() {
            self.services.insert(service.id, service);
        } else {
            self.forget(service.id);
        }
        news
    }

    /// Takes up that somebody has removed a service, which only ended ones can be.
    pub(crate) fn removed(&mut self, id: ServiceId) -> Option<News> {
        let service = self.forget(id)?;
        let seen = service.status();
        let message = match seen.is_terminal() {
            true => "removed from the ledger".to_owned(),
            false => format!("ended and removed from the ledger since it was seen {seen}"),
        };
        Some(News { url: None, ..News::of(Event::Removed, &service, message) })
    }

    /// Forgets a service, which is returned if it was known.
    fn forget(&mut self, id: ServiceId) -> Option<Service> {
        self.broken.remove(&id);
        self.barred.remove(&id);
        self.services.remove(&id)
    }

    /// Takes up why the node of a service refuses the login, or that it does not.
    pub(crate) fn node_found(&mut self, id: ServiceId, refuses: Option<String>) -> Option<News> {
        let service = self.services.get(&id)?;
        let Some(why) = refuses else {
            self.barred.remove(&id);
            return None;
        };
        self.barred.insert(id).then(|| {
            let name = &service.spec.name;
            let message =
                format!("no tunnel: {why}: `towline tunnel open {name}` tries at once and tells what helps");
            News::of(Event::NodeRefuses, service, message)
        })
    }

    /// Takes up whether the tunnel of a service stands, or what is wrong with it.
    pub(crate) fn tunnel_found(&mut self, id: ServiceId, wrong: Option<&'static str>) -> Option<News> {
        let service = self.services.get(&id)?;
        match (wrong, self.broken.contains_key(&id)) {
            (Some(why), false) => {
                self.broken.insert(id, why);
                Some(News::of(Event::TunnelLost, service, format!("the tunnel is lost: {why}")))
            }
            (None, true) => {
                self.broken.remove(&id);
                let url = service.url().unwrap_or_default();
                Some(News::of(Event::TunnelBack, service, format!("the tunnel is open again: {url}")))
            }
            (Some(_), true) | (None, false) => None,
        }
    }

    /// Takes up whether there is news of a profile's services, or why there is none.
    pub(crate) fn cluster_found(&mut self, profile: &str, why: Option<String>) -> Option<News> {
        match (why, self.lost.contains_key(profile)) {
            (Some(why), false) => {
                let message = format!("no news: {why}");
                self.lost.insert(profile.to_owned(), why);
                Some(News::of_profile(Event::ClusterLost, profile, message))
            }
            (None, true) => {
                self.lost.remove(profile);
                self.refused.remove(profile);
                Some(News::of_profile(Event::ClusterBack, profile, "there is news again"))
            }
            (Some(_), true) | (None, false) => None,
        }
    }

    /// Takes up that a profile refuses the login, which may be tried again at `again`.
    pub(crate) fn login_refused(&mut self, profile: &str, again: Timestamp) -> Option<News> {
        let is_known = self.refused.insert(profile.to_owned(), again).is_some();
        (!is_known).then(|| {
            let message = format!("the login is refused: `towline profile login {profile}` logs in by hand");
            News::of_profile(Event::LoginNeeded, profile, message)
        })
    }

    /// Takes up that a refused login is worth a try: somebody has logged in.
    pub(crate) fn login_found(&mut self, profile: &str) {
        self.refused.remove(profile);
    }

    /// Why there is no news of a profile, for the first such.
    pub(crate) fn first_lost(&self) -> Option<(&str, &str)> {
        self.lost.iter().next().map(|(profile, why)| (profile.as_str(), why.as_str()))
    }

    /// A service that should answer and does not, or whose tunnel does not stand or cannot.
    pub(crate) fn first_ill(&self) -> Option<&Service> {
        let has_no_tunnel = |id| self.broken.contains_key(id) || self.barred.contains(id);
        self.services().find(|service| service.status() == Status::Unhealthy || has_no_tunnel(&service.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ended, healthy, service};

    #[test]
    fn what_lasts_is_told_once() {
        let mut known = Known::default();
        let web = healthy(service(1, "web"));
        let id = web.id;
        assert_eq!(known.take_up(web.clone()).len(), 1);
        assert!(known.take_up(web.clone()).is_empty());
        assert_eq!(known.tunnel_found(id, Some("gone")).map(|news| news.event), Some(Event::TunnelLost));
        assert_eq!(known.tunnel_found(id, Some("gone")), None);
        assert_eq!(known.broken("lab"), BTreeSet::from([id]));
        assert_eq!(known.tunnel_found(id, None).map(|news| news.event), Some(Event::TunnelBack));
        assert_eq!(known.tunnel_found(id, None), None);
        let away = || Some("away".to_owned());
        assert_eq!(known.cluster_found("lab", away()).map(|news| news.event), Some(Event::ClusterLost));
        assert_eq!(known.cluster_found("lab", away()), None);
        assert!(known.login_refused("lab", Timestamp::from_secs(9)).is_some());
        assert!(known.login_refused("lab", Timestamp::from_secs(99)).is_none());
        assert_eq!(known.refused_until("lab"), Some(Timestamp::from_secs(99)));
        assert_eq!(known.cluster_found("lab", None).map(|news| news.event), Some(Event::ClusterBack));
        assert_eq!((known.cluster_found("lab", None), known.refused_until("lab")), (None, None));
    }

    #[test]
    fn what_is_older_than_what_is_known_is_no_news_and_what_is_finished_is_forgotten() {
        let mut known = Known::default();
        let mut web = healthy(service(1, "web"));
        web.generation = 2;
        known.take_up(web.clone());
        let old = Service { generation: 1, ..service(1, "web") };
        assert!(known.take_up(old).is_empty());
        let end = Service { generation: 3, ..ended(web) };
        assert_eq!(known.take_up(end.clone()).len(), 1);
        assert_eq!(known.services().count(), 0);
        assert!(known.take_up(end).is_empty(), "two have seen the same end");
    }

    #[test]
    fn a_removal_is_told_unless_the_end_was() {
        let mut known = Known::default();
        let web = healthy(service(1, "web"));
        let id = web.id;
        known.take_up(web.clone());
        let removed = known.removed(id).unwrap();
        assert_eq!(
            (removed.event, removed.status, removed.url),
            (Event::Removed, Some(Status::Healthy), None)
        );
        assert!(removed.message.contains("since it was seen HEALTHY"), "{}", removed.message);
        assert_eq!((known.services().count(), known.removed(id)), (0, None));
        known.take_up(web.clone());
        known.take_up(ended(web));
        assert_eq!(known.removed(id), None);
    }

    #[test]
    fn a_node_that_refuses_is_told_once_and_is_not_well() {
        let mut known = Known::default();
        let web = healthy(service(1, "web"));
        let id = web.id;
        known.take_up(web);
        let refuses = || Some("c1 refused the login".to_owned());
        let told = known.node_found(id, refuses()).unwrap();
        assert_eq!(told.event, Event::NodeRefuses);
        assert!(told.message.contains("c1 refused the login: `towline tunnel open web`"), "{}", told.message);
        assert_eq!(known.node_found(id, refuses()), None);
        assert_eq!(known.first_ill().map(|service| service.id), Some(id));
        assert_eq!(known.node_found(id, None), None);
        assert_eq!(known.first_ill(), None);
    }
}
