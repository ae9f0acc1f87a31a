//! Which adapter stands behind which port, for each kind of profile. Nothing else names an adapter.

mod advice;
mod cluster_checks;
#[cfg(feature = "crash-points")]
pub(crate) mod crash_points;
#[cfg(feature = "crash-points")]
mod crashing_ports;
#[cfg(feature = "crash-points")]
mod held_shell;
mod home_checks;
mod ledger;
mod login_checks;
mod logins;
mod node_tunnels;
mod staging;
mod use_checks;
mod waiting;
mod way;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use towline_core::engine::{Engine, Site, error_chain};
use towline_core::id::ServiceId;
use towline_core::ports::{
    Clock, Inspector, Ledger, LedgerError, RemoteShell, ServiceFiles, Tunnels, Turnstile,
};
use towline_core::spec::ServiceSpec;
use towline_core::time::Timestamp;
use towline_local::{DirectTunnels, LocalScheduler, LocalShell};
use towline_slurm::{Home, Slurm, SlurmConfig, script};
use towline_store::{Location, Store};
use towline_tunnel::{HttpProbe, Master, SshShell, SshTunnels};

use crate::config::{Bind, Config, Kind as ProfileKind, Paths, Profile, Via};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::render::Terminal;
use node_tunnels::NodeTunnels;
use waiting::TellingTurnstile;

pub(crate) use advice::advice;
pub(crate) use ledger::{Instead, LedgerCheck, back_up_ledger, check_ledger, ledger_file, ledger_place};
pub(crate) use login_checks::{LONGEST_CONTROL_PATH, control_path, ssh_check};
pub(crate) use logins::{How, MadeLogin, SshLogin, login_command};
pub(crate) use node_tunnels::Refusal;
pub(crate) use staging::{job_options, places, stage};
pub(crate) use use_checks::Asked;
pub(crate) use way::Way;

/// How long a ping may take. A server that computes may answer its health path late.
const PING: Duration = Duration::from_secs(5);

/// The longest sleep in one piece: a machine that was suspended meanwhile looks at its clock again soon after.
const NAP: Duration = Duration::from_secs(1);

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_secs(0).plus(since)
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP)).await;
        }
    }
}

/// What drives the services of a profile, and holds their files.
#[derive(Clone)]
pub(crate) struct Target {
    /// Drives them.
    pub(crate) engine: Engine,
    /// Their logs.
    pub(crate) files: Arc<dyn ServiceFiles>,
    /// Looks at them more closely.
    pub(crate) inspector: Arc<dyn Inspector>,
    /// The way to them.
    pub(crate) way: Way,
}

/// A Slurm cluster and the login to it.
pub(crate) struct Cluster {
    slurm: Arc<Slurm>,
    /// The SSH connection; `None` where this machine is a login node.
    master: Option<Arc<Master>>,
}

/// The place of the ledger: what the configuration says, or a file in the data directory.
///
/// # Errors
/// [`Kind::Config`] for a URL that cannot be understood.
pub(crate) fn ledger_location(config: &Config, paths: &Paths) -> Outcome<Location> {
    match &config.database_url {
        Some(url) => url.parse().map_err(|err| {
            Failure::new(Kind::Config, format!("bad database_url: {err}"))
                .hint("`towline config show` tells where it was set")
        }),
        None => Ok(Location::Sqlite(paths.data_dir.join("towline.db"))),
    }
}

/// The ledger, and what its users share beside it.
#[derive(Clone)]
pub(crate) struct Records {
    /// Services and their history.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Lets one of them look at a cluster at a time.
    turnstile: Arc<dyn Turnstile>,
    /// Where the ledger is and why it may only be read, if that is so.
    read_only: Option<(String, String)>,
}

impl Records {
    /// Makes sure that what is done to a service can be recorded, before it is done.
    fn writable(&self) -> Result<(), LedgerError> {
        match self.read_only.clone() {
            Some((location, why)) => Err(LedgerError::ReadOnly { location, source: why.into() }),
            None => Ok(()),
        }
    }
}

/// Opens the ledger, and makes it if there is none. One that may not be written can be read.
///
/// # Errors
/// That of the location, and whatever keeps it from being opened.
pub(crate) async fn open_records(config: &Config, paths: &Paths, terminal: Terminal) -> Outcome<Records> {
    let location = ledger_location(config, paths)?;
    if config.database_url.is_none() {
        paths.make_data_dir()?;
    }
    let (store, read_only) = match Store::open(&location).await {
        Err(LedgerError::ReadOnly { location: told, source }) => {
            match Store::open_as_it_is(&location).await {
                Ok(store) => (store, Some((told, error_chain(source.as_ref())))),
                Err(_) => return Err(LedgerError::ReadOnly { location: told, source }.into()),
            }
        }
        opened => (opened?, None),
    };
    let store = Arc::new(store);
    let turnstile = Arc::new(TellingTurnstile::new(store.clone(), terminal));
    Ok(Records { ledger: store, turnstile, read_only })
}

/// The engine, the files and the inspector of a profile. Connects to nothing yet.
///
/// # Errors
/// [`Kind::Config`] if the profile cannot be used, or the ledger may only be read.
pub(crate) fn target(
    name: &str,
    profile: &Profile,
    paths: &Paths,
    records: Records,
    clock: Arc<dyn Clock>,
) -> Outcome<Target> {
    records.writable()?;
    check_via(profile).during(|| format!("failed to use profile {name}"))?;
    let probe = Arc::new(HttpProbe::new(PING));
    let mut way = Way::default();
    let (site, files, inspector): (Site, Arc<dyn ServiceFiles>, Arc<dyn Inspector>) = match profile.kind {
        ProfileKind::Local => {
            let local = Arc::new(LocalScheduler::new(local_root(profile, paths)?));
            let site = Site { scheduler: local.clone(), tunnels: Arc::new(DirectTunnels), probe };
            (site, local.clone(), local)
        }
        ProfileKind::Slurm => {
            let Cluster { slurm, master, .. } =
                cluster(name, profile, paths).during(|| format!("failed to use profile {name}"))?;
            let site = match master {
                Some(master) => {
                    way = Way::by(master.clone());
                    let tunnels: Arc<dyn Tunnels> = match profile.via {
                        Via::Login => Arc::new(SshTunnels::new(master)),
                        Via::Node => {
                            let tunnels = SshTunnels::by_way_of_nodes(master);
                            Arc::new(NodeTunnels::new(tunnels, clock.clone(), way.refusals()))
                        }
                    };
                    Site { scheduler: slurm.clone(), tunnels, probe }
                }
                None => Site { scheduler: slurm.clone(), tunnels: Arc::new(DirectTunnels), probe },
            };
            (site, slurm.clone(), slurm)
        }
    };
    let Records { ledger, turnstile, .. } = records;
    #[cfg(feature = "crash-points")]
    let (site, ledger) = crash_points::around(site, ledger)?;
    let engine = Engine::new(name, site, ledger, clock).sharing(turnstile);
    Ok(Target { engine, files, inspector, way })
}

/// The cluster of a Slurm profile. Connects to nothing yet.
///
/// # Errors
/// [`Kind::Config`] if the profile cannot be used, or there is no directory for control sockets.
pub(crate) fn cluster(name: &str, profile: &Profile, paths: &Paths) -> Outcome<Cluster> {
    let config = SlurmConfig::new(slurm_home(profile)?);
    let Some(master) = logins::master(name, profile, paths)? else {
        return Ok(Cluster { slurm: Arc::new(Slurm::new(Arc::new(LocalShell), config)), master: None });
    };
    let shell: Arc<dyn RemoteShell> = Arc::new(SshShell::new(master.clone()));
    #[cfg(feature = "crash-points")]
    let shell = crash_points::around_shell(shell, config.home.as_str())?;
    Ok(Cluster { slurm: Arc::new(Slurm::new(shell, config)), master: Some(master) })
}

/// Only what is behind a login host can be gone to by way of one.
fn check_via(profile: &Profile) -> Outcome<()> {
    let is_far = profile.kind == ProfileKind::Slurm && profile.host.is_some();
    if profile.via == Via::Login || is_far {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Config,
        "via = \"node\" is for clusters that are reached by SSH, and it names no host",
    )
    .hint("take via out of the profile, or give it a host; `towline config show` tells where it was set"))
}

/// Makes sure that services that are to listen on the loopback interface alone can be reached there.
///
/// # Errors
/// [`Kind::Refused`] if tunnels of the profile do not go through its nodes.
pub(crate) fn check_bind(name: &str, profile: &Profile) -> Outcome<()> {
    check_via(profile)?;
    if profile.bind != Some(Bind::Loopback) || profile.reaches_loopback() {
        return Ok(());
    }
    let message = "a service that listens on the loopback interface of its node would be out of reach";
    let hint = match &profile.host {
        Some(_) => format!(
            "set via = \"node\" in profile {name}, so that tunnels go through the nodes, if the cluster lets you ssh to the \
             nodes of your jobs; or run it with --bind all"
        ),
        None => "run it with --bind all: from a login node there is no way to a node's loopback interface"
            .to_owned(),
    };
    Err(Failure::new(Kind::Refused, message).hint(hint))
}

/// What would be submitted for a service, byte for byte.
///
/// # Errors
/// [`Kind::Usage`] if the service could not be run, [`Kind::Config`] if the profile cannot be used.
pub(crate) fn dry_run(
    profile: &Profile,
    paths: &Paths,
    id: ServiceId,
    spec: &ServiceSpec,
) -> Outcome<String> {
    spec.check()?;
    Ok(match profile.kind {
        ProfileKind::Local => LocalScheduler::new(local_root(profile, paths)?).script(id, spec)?,
        ProfileKind::Slurm => script::render(id, spec, &slurm_home(profile)?)?,
    })
}

fn slurm_home(profile: &Profile) -> Outcome<Home> {
    match &profile.home {
        Some(home) => home.parse().map_err(|err| {
            Failure::new(Kind::Config, format!("{err}")).hint("such as ~/.towline or /scratch/me/towline")
        }),
        None => Ok(Home::default()),
    }
}

/// The directory of the services of a local profile.
///
/// # Errors
/// [`Kind::Config`] if the profile names one that is not absolute.
pub(crate) fn local_root(profile: &Profile, paths: &Paths) -> Outcome<PathBuf> {
    let Some(home) = &profile.home else { return Ok(paths.data_dir.join("local")) };
    let path = match home.strip_prefix("~/") {
        Some(rest) => etcetera::home_dir().map(|dir| dir.join(rest)).ok(),
        None => Some(PathBuf::from(home)),
    };
    path.filter(|path| path.is_absolute()).ok_or_else(|| {
        Failure::new(Kind::Config, format!("bad home: {home:?} is neither absolute nor below ~/"))
    })
}
