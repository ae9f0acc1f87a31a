//! Keeping: looking around on this machine every second, and at the clusters when it is time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use towline_core::engine::{error_chain, next_look};
use towline_core::id::ServiceId;
use towline_core::lifecycle::{Job, Tunnel};
use towline_core::ports::{Listing, Select};
use towline_core::service::Service;
use towline_core::time::Timestamp;

use super::known::Known;
use super::news::{Event, News};
use crate::app::App;
use crate::exit::Outcome;
use crate::wiring::{Refusal, Way};

/// How long a login that was refused is not tried again. Hosts bar those who try often: `fail2ban` counts five in ten
/// minutes.
const REFUSED: Duration = Duration::from_secs(600);

/// Which services are kept.
#[derive(Clone, Debug)]
pub(crate) enum Whom {
    /// All that have not ended, also those that are started later.
    All,
    /// These.
    These(BTreeSet<ServiceId>),
}

/// Keeps services.
pub(crate) struct Keeper<'a> {
    app: &'a App,
    whom: Whom,
    /// What is known of them.
    pub(crate) known: Known,
    /// The profiles that are being looked at.
    busy: BTreeSet<String>,
    /// Whether there was an SSH connection to a profile when it was last looked for.
    was_up: BTreeMap<String, bool>,
    /// What was wrong with the ledger when it was last asked.
    trouble: Option<String>,
}

/// A look at one cluster.
struct Task {
    profile: String,
    services: Vec<Service>,
    suspects: BTreeSet<ServiceId>,
    is_lost: bool,
    is_due: bool,
    at_once: bool,
}

/// What came of it.
pub(crate) struct Passed {
    profile: String,
    asked: BTreeSet<ServiceId>,
    /// The services as they are recorded now; `None` if it was not time to look.
    look: Outcome<Option<Vec<Service>>>,
}

impl<'a> Keeper<'a> {
    /// Keeps those services.
    pub(crate) fn new(app: &'a App, whom: Whom) -> Self {
        let (known, busy, was_up) = (Known::default(), BTreeSet::new(), BTreeMap::new());
        Self { app, whom, known, busy, was_up, trouble: None }
    }

    /// Looks around on this machine: what others have recorded, and whether the tunnels stand.
    pub(crate) async fn look_around(&mut self) -> Vec<News> {
        let mut news = match self.read_ledger().await {
            Ok(news) => {
                self.trouble = None;
                news
            }
            Err(failure) => {
                let why = error_chain(failure.error.as_ref());
                let is_known = self.trouble.replace(why.clone()).is_some();
                if is_known { Vec::new() } else { vec![News::own(Event::Trouble, why)] }
            }
        };
        let idle = self.known.profiles().into_iter().filter(|profile| !self.busy.contains(profile));
        let checks: Vec<_> =
            idle.map(|profile| check(self.app, self.known.tunnels(&profile), profile)).collect();
        for found in join_all(checks).await {
            news.extend(self.tunnels_found(found));
        }
        news
    }

    async fn read_ledger(&mut self) -> Outcome<Vec<News>> {
        let known = self.known.services().map(|service| (service.id, service.generation)).collect();
        let listing = self.app.ledger().await?.list(Select::Changed(known)).await?;
        let whom = &self.whom;
        let is_kept = |service: &Service| match whom {
            Whom::All => true,
            Whom::These(ids) => ids.contains(&service.id),
        };
        let kept = listing.services.into_iter().filter(is_kept);
        Ok(kept.flat_map(|service| self.known.take_up(service)).collect())
    }

    fn tunnels_found(&mut self, found: Vec<(ServiceId, Option<&'static str>)>) -> Vec<News> {
        found.into_iter().filter_map(|(id, wrong)| self.known.tunnel_found(id, wrong)).collect()
    }

    /// The looks for which it is time; if `all`, at all profiles whose login is not just refused, also where the
    /// next try would have to wait. Each is to be awaited and given to [`Self::passed`].
    pub(crate) async fn due(&mut self, all: bool) -> Vec<impl Future<Output = Passed> + use<'a>> {
        let app = self.app;
        let mut tasks = Vec::new();
        for profile in self.known.profiles() {
            if !self.busy.contains(&profile)
                && let Some(task) = self.task(profile, all).await
            {
                self.busy.insert(task.profile.clone());
                tasks.push(pass(app, task));
            }
        }
        tasks
    }

    async fn task(&mut self, profile: String, all: bool) -> Option<Task> {
        let now = self.app.now();
        let mut services: Vec<Service> = self.known.of_profile(&profile).cloned().collect();
        let is_lost = self.known.is_lost(&profile);
        let mut at_once = all;
        if is_lost && let Ok(target) = self.app.target(&profile).await {
            let is_up = target.way.is_up().await;
            // Somebody else was quicker to log in.
            at_once |= is_up && self.was_up.insert(profile.clone(), is_up) == Some(false);
            if is_up {
                self.known.login_found(&profile);
            }
        }
        if self.known.refused_until(&profile).is_some_and(|until| now < until) {
            return None;
        }
        let way = self.app.target(&profile).await.map(|target| target.way).unwrap_or_default();
        let is_doubted = |service: &Service| {
            service.life.doubt.as_ref().is_some_and(|doubt| doubt.not_before(now).is_some())
        };
        let mut suspects = self.known.broken(&profile);
        // A tunnel that leads nowhere now is opened again once there is a place, and once the node is worth a try.
        let has_no_place = |service: &Service| service.life.phase.job().and_then(Job::place).is_none();
        let is_barred = |service: &Service| refusal(&way, service).is_some_and(|it| now < it.until);
        let waits = |service: &Service| is_doubted(service) || has_no_place(service) || is_barred(service);
        for service in services.iter().filter(|service| waits(service)) {
            suspects.remove(&service.id);
        }
        if at_once {
            suspects = services.iter().map(|service| service.id).collect();
        }
        let is_due = |service: &Service| due_at(&way, service, now).is_some_and(|at| at <= now);
        // Nothing comes of the plans of one whose node refuses.
        services.retain(|service| {
            is_lost || suspects.contains(&service.id) || !is_barred(service) || is_due(service)
        });
        let is_due = !suspects.is_empty() || services.iter().any(is_due);
        let task = Task { profile, services, suspects, is_lost, is_due, at_once };
        (task.is_due || task.is_lost).then_some(task)
    }

    /// Takes up what came of a look.
    pub(crate) async fn passed(&mut self, passed: Passed) -> Vec<News> {
        let Passed { profile, asked, look } = passed;
        self.busy.remove(&profile);
        let services = match look {
            Ok(Some(services)) => services,
            Ok(None) => return Vec::new(),
            Err(failure) => {
                let why = error_chain(failure.error.as_ref());
                return self.known.cluster_found(&profile, Some(why)).into_iter().collect();
            }
        };
        let there: BTreeSet<ServiceId> = services.iter().map(|service| service.id).collect();
        let mut news: Vec<News> = asked.difference(&there).filter_map(|id| self.known.removed(*id)).collect();
        let living = services.iter().filter(|service| !service.status().is_terminal());
        let doubt =
            living.filter_map(|service| service.life.doubt.as_ref()).map(|doubt| doubt.why.clone()).next();
        let way = self.app.target(&profile).await.map(|target| target.way).unwrap_or_default();
        for service in services {
            let (id, refusal) = (service.id, refusal(&way, &service));
            news.extend(self.known.take_up(service));
            news.extend(self.known.node_found(id, refusal.map(|refusal| refusal.why)));
        }
        news.extend(self.known.cluster_found(&profile, doubt.clone()));
        if doubt.is_some() {
            self.was_up.insert(profile.clone(), way.is_up().await);
            if way.is_refused().await {
                news.extend(self.known.login_refused(&profile, self.app.now().plus(REFUSED)));
            }
        }
        let found = check(self.app, self.known.tunnels(&profile), profile).await;
        news.extend(self.tunnels_found(found));
        news
    }

    /// Why the ledger could not be read when it was last asked, if it could not.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether those that were named have all ended.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.whom, Whom::These(_)) && self.known.services().next().is_none()
    }

    /// Makes all looks for which it is time, and waits for them.
    pub(crate) async fn pass_all(&mut self, all: bool) -> Vec<News> {
        let looks = self.due(all).await;
        let mut news = Vec::new();
        for passed in join_all(looks).await {
            news.extend(self.passed(passed).await);
        }
        news
    }
}

/// That the node refuses the login through which the tunnel of a service should go.
fn refusal(way: &Way, service: &Service) -> Option<Refusal> {
    if service.life.tunnel_unwanted {
        return None;
    }
    way.refusal(&service.life.phase.job()?.place()?.host)
}

/// When a service is to be looked at: as it plans; and where its node refuses the login, as often as the scheduler's word is
/// needed, until the node is worth a try.
fn due_at(way: &Way, service: &Service, now: Timestamp) -> Option<Timestamp> {
    let planned = next_look([service], now)?;
    let Some(refusal) = refusal(way, service).filter(|refusal| now < refusal.until) else {
        return Some(planned);
    };
    let told_at = service.life.looked_at.map_or(now, |at| at.plus(service.life.terms.verify));
    Some(planned.max(told_at.min(refusal.until)))
}

/// Looks whether the tunnels of a profile stand, and what is wrong with those that do not.
async fn check(
    app: &App,
    tunnels: Vec<(ServiceId, Tunnel)>,
    profile: String,
) -> Vec<(ServiceId, Option<&'static str>)> {
    if tunnels.is_empty() {
        return Vec::new();
    }
    let Ok(target) = app.target(&profile).await else { return Vec::new() };
    let shown: Vec<&Tunnel> = tunnels.iter().map(|(_, tunnel)| tunnel).collect();
    let wrong = target.way.broken(&shown).await;
    tunnels.iter().map(|(id, _)| *id).zip(wrong).collect()
}

/// Looks at one cluster.
async fn pass(app: &App, task: Task) -> Passed {
    let Task { profile, services, mut suspects, is_lost, is_due, at_once } = task;
    let asked: BTreeSet<ServiceId> = services.iter().map(|service| service.id).collect();
    let look = async {
        let target = app.target(&profile).await?;
        let is_back = is_lost && !at_once && target.way.is_back().await;
        if is_back {
            suspects.clone_from(&asked);
        }
        if !is_due && !is_back {
            return Ok(None);
        }
        let engine = if is_back || at_once { target.engine.urgent() } else { target.engine };
        let listing = Listing { services, damaged: Vec::new() };
        Ok(Some(engine.keep_listed(listing, &suspects).await?.services))
    };
    let look = look.await;
    Passed { profile, asked, look }
}
