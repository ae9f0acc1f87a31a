//! One SSH connection per cluster, shared by commands, forwards and processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use openssh::Session;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::control::{ControlFiles, short_name};
use crate::error::SshError;
use crate::launch::{ask, leave, login_words};
use crate::mux::{Liveness, liveness, liveness_at_last, session};
use crate::reach::{Configured, reach};
use crate::reap::reap;

/// Remote commands at a time. sshd allows 10 by default and frees them late; up to 6 were never refused.
const SESSIONS: usize = 4;

/// Requests for forwards at a time; the master's socket queues 64 (`muxserver_listen` in `mux.c`).
const REQUESTS: usize = 16;

/// How long a login that failed is not tried again. A host that is back is found soon, and one that refuses is not
/// hammered until it bans this address.
const PAUSE: Duration = Duration::from_secs(3);

/// How long a master that was found alive counts as such for who is about to ask it for a forward.
const FRESH: Duration = Duration::from_millis(250);

/// How to log in to a host, and where to keep the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterConfig {
    /// The host, as the user would give it to `ssh`: a name, an address, or a `Host` of their configuration.
    pub host: String,
    /// The user there; `None` leaves it to the configuration.
    pub user: Option<String>,
    /// Another configuration file than the user's own (`ssh -F`).
    pub ssh_config: Option<PathBuf>,
    /// An absolute, short path of a directory for the control socket; made with mode 0700 if it is not there.
    pub control_dir: PathBuf,
    /// How long one login may take, authentication and jump hosts included, if nobody is asked.
    pub connect_timeout: Duration,
    /// What a person types to log in where that takes a person, for errors to tell.
    pub login_command: Option<String>,
}

impl MasterConfig {
    /// A login to `host` as the user's configuration says, within 30 s.
    pub fn new(host: impl Into<String>, control_dir: impl Into<PathBuf>) -> Self {
        Self {
            host: host.into(),
            user: None,
            ssh_config: None,
            control_dir: control_dir.into(),
            connect_timeout: Duration::from_secs(30),
            login_command: None,
        }
    }
}

/// An OpenSSH connection that is logged in once and used by many.
///
/// It is a process of its own, which outlives this one and is found again by the next through its control socket; or it
/// is a master that the user has started, if their configuration names its socket and it is there first. Dropping this
/// value closes nothing.
#[derive(Debug)]
pub struct Master {
    pub(crate) config: MasterConfig,
    pub(crate) files: ControlFiles,
    /// The socket of the user's own master, while that is used.
    adopted: Lock<Option<PathBuf>>,
    pub(crate) launching: Mutex<Option<(Instant, SshError)>>,
    ready: Mutex<Option<(Instant, Result<(), SshError>)>>,
    pub(crate) sessions: Semaphore,
    pub(crate) requests: Semaphore,
    checks: Semaphore,
}

impl Master {
    /// Names the master of that host, user and configuration file. Touches nothing yet.
    ///
    /// # Errors
    /// [`SshError::BadName`] for a host or user that `ssh` would misunderstand, [`SshError::ControlPathTooLong`] and
    /// [`SshError::ControlDir`] for a directory that cannot hold control sockets.
    pub fn new(mut config: MasterConfig) -> Result<Self, SshError> {
        check_name("host", &config.host)?;
        if let Some(user) = &config.user {
            check_name("user", user)?;
        }
        if let Some(path) = &mut config.ssh_config {
            *path = std::path::absolute(&*path).map_err(|error| SshError::Files {
                deed: "find",
                path: path.clone(),
                source: error.into(),
            })?;
        }
        let user = config.user.as_deref().unwrap_or_default();
        let file = config.ssh_config.as_deref().unwrap_or(Path::new(""));
        let name =
            short_name(&[config.host.as_bytes(), user.as_bytes(), file.as_os_str().as_encoded_bytes()]);
        let files = ControlFiles::new(&config.control_dir, &name)?;
        Ok(Self {
            config,
            files,
            adopted: Lock::default(),
            launching: Mutex::default(),
            ready: Mutex::default(),
            sessions: Semaphore::new(SESSIONS),
            requests: Semaphore::new(REQUESTS),
            checks: Semaphore::new(SESSIONS),
        })
    }

    /// The host, in the user's words.
    pub fn host(&self) -> &str {
        &self.config.host
    }

    /// The control socket in use, as for `ssh -S`: of our own master, or of the user's once that was taken.
    pub fn control_path(&self) -> PathBuf {
        self.adopted().unwrap_or_else(|| self.files.socket.clone())
    }

    fn adopted(&self) -> Option<PathBuf> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the user's own master for ours, or no longer. Whoever found that nothing comes back over it lets go of it:
    /// it may have no keep-alives, and is asked for a sign of life before it is taken again.
    pub(crate) fn adopt(&self, socket: Option<PathBuf>) {
        *self.adopted.lock().unwrap_or_else(PoisonError::into_inner) = socket;
    }

    /// How long one login may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.config.connect_timeout
    }

    /// The words by which `ssh` is told where to log in.
    pub(crate) fn login_words(&self) -> Vec<OsString> {
        login_words(&self.config)
    }

    /// A session on a living master: the one that is there, the user's own if their configuration names one that lives, or
    /// a new one after a login.
    ///
    /// Many callers, in this and in other processes, make one login only, and those of one process share its failure:
    /// for 3 s they get the same error without another attempt. A dead master is replaced, and so is one that does not
    /// answer, which is killed first unless it is the user's, or took a person ([`SshError::NotAnswering`]). Says nothing
    /// about the network behind a master that was there already. Nobody is asked anything; where the last login took a
    /// person ([`Self::log_in`]), none is tried. If dropped, a login under way is given up.
    ///
    /// # Errors
    /// Any [`SshError`]; nothing was sent over the connection then.
    pub async fn session(&self) -> Result<Session, SshError> {
        if let Some(socket) = self.look().await? {
            return Ok(session(&socket));
        }
        let mut last_failure = self.launching.lock().await;
        if let Some((at, error)) = &*last_failure
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        *last_failure = None;
        match self.replace().await {
            Ok(socket) => Ok(session(&socket)),
            Err(error) => {
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Makes sure that there is a living master, as [`Self::session`] does. Of many that come at the same time one asks:
    /// the question costs a master as much as opening a forward. Those who waited for it share its failure.
    pub(crate) async fn make_ready(&self) -> Result<(), SshError> {
        let came = Instant::now();
        let mut ready = self.ready.lock().await;
        match &*ready {
            Some((at, Ok(()))) if at.elapsed() < FRESH => return Ok(()),
            Some((at, Err(error))) if *at >= came => return Err(error.clone()),
            _ => {}
        }
        *ready = None;
        let found = self.session().await.map(drop);
        *ready = Some((Instant::now(), found.clone()));
        found
    }

    /// Forgets that the master was found alive: it has just gone.
    pub(crate) async fn forget_ready(&self) {
        *self.ready.lock().await = None;
    }

    /// Forgets that a login has just failed: the next one is tried at once.
    pub(crate) async fn forget_failure(&self) {
        *self.launching.lock().await = None;
    }

    /// Whether a master is there already, so that a session needs no login. Says nothing about the network behind it.
    pub async fn is_up(&self) -> bool {
        matches!(self.look().await, Ok(Some(_)))
    }

    /// The socket of the master that is there: ours before the user's. An error if ours could be somebody else's.
    pub(crate) async fn look(&self) -> Result<Option<PathBuf>, SshError> {
        self.files.check_dir()?;
        // Never closed; were it, the question could still be asked.
        let _permit = self.checks.acquire().await.ok();
        if liveness(&self.files.socket).await == Liveness::Up {
            self.adopt(None);
            return Ok(Some(self.files.socket.clone()));
        }
        let Some(theirs) = self.adopted() else { return Ok(None) };
        if liveness(&theirs).await == Liveness::Up {
            return Ok(Some(theirs));
        }
        self.adopt(None);
        Ok(None)
    }

    /// The process id of our own master, or `None` if none answers.
    ///
    /// # Errors
    /// [`SshError::NoProgram`] if there is no `ssh` to ask with, [`SshError::ControlDir`] if it could be somebody else's.
    pub async fn pid(&self) -> Result<Option<u32>, SshError> {
        self.files.check_dir()?;
        let answer = ask(&self.config, &self.files, "check").await?;
        Ok(answer.as_deref().and_then(read_pid))
    }

    /// Ends our own master, and with it every command and forward that uses it, as well as what is left of former ones; the
    /// user's own is left alone. Forgets that a login takes a person. Returns whether there was anything to end.
    ///
    /// # Errors
    /// [`SshError::LaunchInProgress`] if another process is just launching it, [`SshError::Files`] if its remains
    /// cannot be removed.
    pub async fn stop(&self) -> Result<bool, SshError> {
        let _lock = self.lock().await?;
        let was_up = liveness(&self.files.socket).await == Liveness::Up;
        if was_up {
            leave(&self.config, &self.files).await?;
        }
        let left = self.clear().await?;
        self.files.set_typed(false)?;
        Ok(was_up || left > 0)
    }

    pub(crate) async fn lock(&self) -> Result<std::fs::File, SshError> {
        self.files.prepare_dir()?;
        let waited = self.config.connect_timeout;
        let held = || SshError::LaunchInProgress { host: self.config.host.clone(), waited };
        self.files.lock(waited).await?.ok_or_else(held)
    }

    /// Launches a master in place of a dead one, unless somebody else has by now or the user has one. Returns its socket.
    async fn replace(&self) -> Result<PathBuf, SshError> {
        let ours = &self.files.socket;
        let found = match liveness(ours).await {
            // Whatever comes instead will need its ports.
            Liveness::Hung => self.end_hung().await?,
            found => found,
        };
        if found == Liveness::Up {
            return Ok(ours.clone());
        }
        let said = self.configuration().await;
        if let Some(theirs) = self.find_theirs(said.as_deref()).await {
            self.adopt(Some(theirs.clone()));
            return Ok(theirs);
        }
        // Asked before the lock too, which whoever is typing holds for long.
        self.refuse_typed(found)?;
        let _lock = self.lock().await?;
        let found = liveness_at_last(ours).await;
        if found == Liveness::Up {
            return Ok(ours.clone());
        }
        self.refuse_typed(found)?;
        self.clear().await?;
        tracing::debug!(host = self.config.host, "launching an ssh master");
        reach(&self.config, &self.files, Configured::read(said.as_deref())).await?;
        Ok(ours.clone())
    }

    /// An error where a login took a person: none is tried without one, and none of theirs is ended by doubt.
    fn refuse_typed(&self, found: Liveness) -> Result<(), SshError> {
        if !self.files.is_typed() {
            return Ok(());
        }
        let (host, login) = (self.config.host.clone(), self.config.login_command.clone());
        Err(match found {
            Liveness::Hung => SshError::NotAnswering { host, login },
            Liveness::Up | Liveness::Gone => SshError::NotLoggedIn { host, login },
        })
    }

    /// Ends our own master, which did not answer, unless it does now or took a person. Returns what is there then.
    async fn end_hung(&self) -> Result<Liveness, SshError> {
        if self.files.is_typed() {
            return Ok(Liveness::Hung);
        }
        let _lock = self.lock().await?;
        let found = liveness_at_last(&self.files.socket).await;
        if found == Liveness::Up || self.files.is_typed() {
            return Ok(found);
        }
        self.clear().await?;
        Ok(Liveness::Gone)
    }

    /// Takes away what dead masters and half-done logins have left: processes and the socket. For whoever holds the lock
    /// and has seen that no master answers. Returns how many processes there were.
    pub(crate) async fn clear(&self) -> Result<usize, SshError> {
        let count = reap(&self.files.socket).await;
        self.files.remove_socket()?;
        Ok(count)
    }
}

/// Reads `Master running (pid=4711)`.
fn read_pid(said: &str) -> Option<u32> {
    said.split_once("pid=")?.1.split(')').next()?.parse().ok()
}

fn check_name(role: &'static str, name: &str) -> Result<(), SshError> {
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || name.starts_with('-') || name.contains(is_odd) {
        return Err(SshError::BadName { role, name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_ssh_would_misunderstand_are_refused() {
        for host in ["", "-oProxyCommand=id", "a b", "a\nb"] {
            let error = Master::new(MasterConfig::new(host, "/run/t")).unwrap_err();
            assert!(matches!(error, SshError::BadName { role: "host", .. }), "{error}");
        }
        let config = MasterConfig { user: Some("-x".into()), ..MasterConfig::new("login", "/run/t") };
        assert!(matches!(Master::new(config), Err(SshError::BadName { role: "user", .. })));
    }

    #[test]
    fn a_master_is_shared_by_the_same_login_only() {
        let path = |config| Master::new(config).unwrap().control_path().to_owned();
        let plain = MasterConfig::new("login", "/run/t");
        let alice = MasterConfig { user: Some("alice".into()), ..plain.clone() };
        let other = MasterConfig { ssh_config: Some("/etc/lab".into()), ..plain.clone() };
        let patient = MasterConfig { connect_timeout: Duration::from_secs(99), ..plain.clone() };
        assert_eq!(path(plain.clone()), path(patient));
        assert_ne!(path(plain.clone()), path(alice));
        assert_ne!(path(plain), path(other));
    }

    #[test]
    fn the_process_id_is_read_from_a_check() {
        assert_eq!(read_pid("Master running (pid=4711)\r\n"), Some(4711));
        assert_eq!(read_pid("Control socket connect: No such file"), None);
    }
}
