//! What every command starts from: the configuration, the clock, the terminal and, once asked for, the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::OnceCell;
use towline_core::engine::{Engine, error_chain};
use towline_core::ports::{Clock, DamagedRow, Ledger, Listing, Select};
use towline_core::service::Service;
use towline_core::time::Timestamp;

use crate::config::{Config, Flags, Layers, Paths, Profile};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::keeper::port_moved;
use crate::names;
use crate::render::{Terminal, age};
use crate::wiring::{self, Records, SshLogin, SystemClock, Target, login_command};

/// One run of the program.
pub(crate) struct App {
    /// Where everything is printed.
    pub(crate) terminal: Terminal,
    /// Where things lie.
    pub(crate) paths: Paths,
    /// The configuration with its origins.
    pub(crate) layers: Layers,
    /// The configuration.
    pub(crate) config: Config,
    clock: Arc<SystemClock>,
    records: OnceCell<Records>,
    targets: Mutex<BTreeMap<String, Target>>,
}

/// When a cluster is asked that did not answer a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Once the time for another try has come.
    InTurn,
    /// At once.
    Now,
}

/// What a look at all unfinished services came to.
#[derive(Debug, Default)]
pub(crate) struct Refreshed {
    /// The services that were looked at, as they are recorded now.
    pub(crate) services: Vec<Service>,
    /// Rows that could not be read.
    pub(crate) damaged: Vec<DamagedRow>,
    /// What could not be learnt, one line a profile.
    pub(crate) warnings: Vec<String>,
}

impl App {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`Kind::Config`] if there is no home directory, or a value is wrong.
    pub(crate) fn load(terminal: Terminal, flags: &Flags) -> Outcome<Self> {
        #[cfg(feature = "crash-points")]
        wiring::crash_points::check()?;
        let paths = find_paths()?;
        let layers = Layers::load(&paths.config_file, environment(), flags)?;
        let config = layers.config()?;
        Ok(Self {
            terminal,
            paths,
            layers,
            config,
            clock: Arc::new(SystemClock),
            records: OnceCell::new(),
            targets: Mutex::default(),
        })
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The ledger, opened at the first call.
    ///
    /// # Errors
    /// Whatever keeps it from being opened.
    pub(crate) async fn ledger(&self) -> Outcome<Arc<dyn Ledger>> {
        Ok(self.records().await?.ledger.clone())
    }

    async fn records(&self) -> Outcome<&Records> {
        self.records.get_or_try_init(|| wiring::open_records(&self.config, &self.paths, self.terminal)).await
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest name if there is none.
    pub(crate) fn profile(&self, name: &str) -> Outcome<&Profile> {
        self.config.profiles.get(name).ok_or_else(|| {
            let failure = Failure::new(Kind::NotFound, format!("there is no profile {}", names::shown(name)));
            match names::nearest(name, self.config.profiles.keys().map(String::as_str)) {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => {
                    failure.hint("`towline profile ls` lists the profiles, `towline profile add` adds one")
                }
            }
        })
    }

    /// The engine and the files of a profile, the same at every call. Connects to nothing yet.
    ///
    /// # Errors
    /// [`Kind::NotFound`] without such a profile, [`Kind::Config`] if it cannot be used, and the ledger's.
    pub(crate) async fn target(&self, profile: &str) -> Outcome<Target> {
        let records = self.records().await?.clone();
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = targets.get(profile) {
            return Ok(known.clone());
        }
        let target =
            wiring::target(profile, self.profile(profile)?, &self.paths, records, self.clock.clone())?;
        targets.insert(profile.to_owned(), target.clone());
        Ok(target)
    }

    /// The service that a word means, as it is recorded.
    ///
    /// # Errors
    /// [`Kind::NotFound`] or [`Kind::Usage`] if it means none or several, and the ledger's.
    pub(crate) async fn find(&self, word: &str) -> Outcome<Service> {
        let listing = self.ledger().await?.list(Select::All).await?;
        let found = names::resolve(word, &listing.services).cloned();
        if found.as_ref().is_ok_and(|service| !service.status().is_terminal()) {
            return found;
        }
        match listing.damaged.iter().find(|row| row.name == word || row.id == word) {
            Some(row) => Err(Failure::new(
                Kind::Internal,
                format!("the record of service {} ({}) is damaged: {}", row.name, row.id, row.problem),
            )
            .hint("`towline db check` tells all that is damaged, and how to go on; other services are not concerned")),
            None => found,
        }
    }

    /// A failure to do something in a profile, whose hints name the whole login to it.
    pub(crate) fn explain(&self, profile: &str, mut failure: Failure) -> Failure {
        if let Some(profile) = self.config.profiles.get(profile) {
            for hint in &mut failure.hints {
                *hint = profile.with_login(hint);
            }
        }
        failure
    }

    /// Looks at one service again; what could not be learnt is warned of.
    ///
    /// # Errors
    /// The ledger's, and those of a profile that cannot be used.
    pub(crate) async fn refresh(&self, service: &Service, pace: Pace) -> Outcome<Service> {
        let engine = self.engine(&service.spec.profile, std::slice::from_ref(service), pace).await?;
        let failed = || format!("failed to look at service {}", service.spec.name);
        let before = service;
        let service = engine.refresh(service.id).await.during(failed)?;
        if let Some(line) = port_moved(before, &service) {
            self.terminal.warn(&line);
        }
        for line in doubts(&service.spec.profile, std::slice::from_ref(&service), self.now()) {
            self.terminal.warn(&line);
        }
        self.tell_logins(std::slice::from_ref(&service)).await;
        Ok(service)
    }

    /// Looks at all unfinished services again, at all profiles at once. A profile that cannot be used or a cluster that
    /// cannot be reached becomes a warning.
    ///
    /// # Errors
    /// The ledger's.
    pub(crate) async fn refresh_all(&self, pace: Pace) -> Outcome<Refreshed> {
        let Listing { services, damaged } = self.ledger().await?.list(Select::Unfinished).await?;
        let mut profiles: BTreeMap<String, Vec<Service>> = BTreeMap::new();
        for service in services {
            profiles.entry(service.spec.profile.clone()).or_default().push(service);
        }
        let looks = profiles.into_iter().map(async |(profile, services)| {
            let look = self.refresh_listed(&profile, services, pace).await;
            (profile, look)
        });
        let mut refreshed = Refreshed { damaged, ..Refreshed::default() };
        for (profile, look) in join_all(looks).await {
            match look {
                Ok((Listing { services, .. }, moves)) => {
                    refreshed.warnings.extend(moves);
                    refreshed.warnings.extend(doubts(&profile, &services, self.now()));
                    refreshed.services.extend(services);
                }
                Err(failure) => {
                    let chain = error_chain(failure.error.as_ref());
                    refreshed.warnings.push(format!("profile {profile} was not looked at: {chain}"));
                    let known = self.ledger().await?.list(Select::Unfinished).await?.services;
                    let known = known.into_iter().filter(|service| service.spec.profile == profile);
                    refreshed.services.extend(known);
                }
            }
        }
        refreshed.services.sort_by_key(|service| (service.created_at, service.id));
        Ok(refreshed)
    }

    /// The same of the services of one profile.
    ///
    /// # Errors
    /// The ledger's, and those of a profile that cannot be used.
    pub(crate) async fn refresh_profile(&self, profile: &str, pace: Pace) -> Outcome<Refreshed> {
        let Listing { mut services, .. } = self.ledger().await?.list(Select::Unfinished).await?;
        services.retain(|service| service.spec.profile == profile);
        if services.is_empty() {
            return Ok(Refreshed::default());
        }
        let (Listing { services, .. }, mut warnings) = self.refresh_listed(profile, services, pace).await?;
        warnings.extend(doubts(profile, &services, self.now()));
        Ok(Refreshed { services, warnings, ..Refreshed::default() })
    }

    /// Tells what could not be learnt, and where somebody has to log in first.
    pub(crate) async fn tell(&self, refreshed: &Refreshed) {
        for warning in &refreshed.warnings {
            self.terminal.warn(warning);
        }
        self.tell_logins(&refreshed.services).await;
    }

    /// Names the logins that take a person, and without which nothing could be learnt of some of these services.
    async fn tell_logins(&self, services: &[Service]) {
        let doubtful = services.iter().filter(|service| service.life.no_news().is_some());
        let profiles: BTreeSet<&str> = doubtful.map(|service| service.spec.profile.as_str()).collect();
        for name in profiles {
            let login =
                self.config.profiles.get(name).map(|profile| SshLogin::of(name, profile, &self.paths));
            if let Some(Ok(Some(login))) = login
                && login.needs_person()
                && login.made().await.is_none_or(|made| !made.answers)
            {
                self.terminal.hint(&login_command(name));
            }
        }
    }

    /// Ends a command that did several things of which some failed: prints all failures but the last, which is the
    /// command's own.
    ///
    /// # Errors
    /// The last failure.
    pub(crate) fn conclude(&self, mut failures: Vec<Failure>) -> Outcome<()> {
        let Some(last) = failures.pop() else { return Ok(()) };
        for failure in &failures {
            self.terminal.failure(failure);
        }
        Err(last)
    }

    /// Looks at these services of a profile again, and says whose local port was moved.
    async fn refresh_listed(
        &self,
        profile: &str,
        services: Vec<Service>,
        pace: Pace,
    ) -> Outcome<(Listing, Vec<String>)> {
        let engine = self.engine(profile, &services, pace).await?;
        let before: BTreeMap<_, _> = services.iter().map(|service| (service.id, service.clone())).collect();
        let listing = engine.refresh_listed(Listing { services, damaged: Vec::new() }).await?;
        let moved = |service: &Service| port_moved(before.get(&service.id)?, service);
        let moves = listing.services.iter().filter_map(moved).collect();
        Ok((listing, moves))
    }

    /// The engine by which to look at these services. A cluster that was out of reach is asked at once if it is back.
    async fn engine(&self, profile: &str, services: &[Service], pace: Pace) -> Outcome<Engine> {
        let target = self.target(profile).await?;
        let now = self.now();
        let waits =
            |service: &Service| service.life.doubt.as_ref().is_some_and(|it| it.not_before(now).is_some());
        let at_once = pace == Pace::Now || services.iter().any(waits) && target.way.is_back().await;
        Ok(if at_once { target.engine.urgent() } else { target.engine })
    }
}

/// Where things lie on this machine.
///
/// # Errors
/// [`Kind::Config`] without a home directory.
pub(crate) fn find_paths() -> Outcome<Paths> {
    Ok(Paths::find(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?)
}

pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    #[cfg(feature = "crash-points")]
    let variables = variables.filter(|(name, _)| !wiring::crash_points::VARIABLES.contains(&name.as_str()));
    variables
}

/// What makes whole seconds of a wait that are not over before it is.
const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

/// One line for each reason why services of a profile were not seen, with the time of the next try.
fn doubts(profile: &str, services: &[Service], now: Timestamp) -> Vec<String> {
    let mut reasons: BTreeMap<String, (usize, Timestamp)> = BTreeMap::new();
    let living = services.iter().filter(|service| !service.status().is_terminal());
    for doubt in living.filter_map(|service| service.life.no_news()) {
        let next = doubt.retry_at();
        let (count, first) = reasons.entry(doubt.why).or_insert((0, next));
        (*count, *first) = (*count + 1, next.min(*first));
    }
    let line = |(reason, (count, next)): (String, (usize, Timestamp))| {
        let whom = if count == 1 { "one service".to_owned() } else { format!("{count} services") };
        let wait = next.since(now);
        let next = match wait.is_zero() {
            true => String::new(),
            false => format!(
                "; next try in {} (`towline refresh --now` tries at once)",
                age(wait + ALMOST_A_SECOND)
            ),
        };
        format!("profile {profile}: no news of {whom}, shown as last known: {reason}{next}")
    };
    reasons.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use towline_core::lifecycle::Doubt;

    use super::*;
    use crate::testing::{ended, service};

    #[test]
    fn each_reason_for_doubt_is_told_once() {
        let doubtful = |number: u128, why: &str| {
            let mut service = service(number, "web");
            let at = Timestamp::from_secs(0);
            service.life.doubt = Some(Doubt { since: at, last: at, count: 1, why: why.into() });
            service
        };
        let services = [
            doubtful(1, "no route"),
            doubtful(2, "no route"),
            doubtful(3, "new word"),
            ended(doubtful(4, "late")),
            service(5, "web"),
        ];
        let lines = doubts("lab", &services, Timestamp::from_secs(0));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("no news of 2 services") && line.contains("no route")));
        assert!(lines.iter().any(|line| line.contains("one service") && line.contains("new word")));
        assert!(lines.iter().all(|line| line.contains("next try in 1s")), "{lines:?}");
        let later = doubts("lab", &services, Timestamp::from_secs(1));
        assert!(later.iter().all(|line| !line.contains("next try")), "{later:?}");
    }
}
