//! One SSH connection per cluster, shared by commands, forwards and processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openssh::Session;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep};

use crate::control::{ControlFiles, short_name};
use crate::error::SshError;
use crate::launch::{ask, login_words};
use crate::mux::{Liveness, liveness, session};
use crate::reach::reach;

/// Remote commands at a time. sshd allows 10 by default and frees them late; up to 6 were never refused.
const SESSIONS: usize = 4;

/// Requests for forwards at a time; the master's socket queues 64 (`muxserver_listen` in `mux.c`).
const REQUESTS: usize = 16;

/// How long a login that failed is not tried again. A host that is back is found soon, and one that refuses is not
/// hammered until it bans this address.
const PAUSE: Duration = Duration::from_secs(3);

/// How long a master that was found alive counts as such for who is about to ask it for a forward.
const FRESH: Duration = Duration::from_millis(250);

/// How long a master that was told to leave may take.
const LEAVE: Duration = Duration::from_secs(5);

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
    /// How long one login may take, authentication and jump hosts included.
    pub connect_timeout: Duration,
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
        }
    }
}

/// An OpenSSH connection that is logged in once and used by many.
///
/// It is a process of its own, which outlives this one and is found again by the next through its control socket.
/// Dropping this value closes nothing.
#[derive(Debug)]
pub struct Master {
    pub(crate) config: MasterConfig,
    pub(crate) files: ControlFiles,
    launching: Mutex<Option<(Instant, SshError)>>,
    ready_at: Mutex<Option<Instant>>,
    pub(crate) sessions: Semaphore,
    pub(crate) requests: Semaphore,
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
            launching: Mutex::default(),
            ready_at: Mutex::default(),
            sessions: Semaphore::new(SESSIONS),
            requests: Semaphore::new(REQUESTS),
        })
    }

    /// The host, in the user's words.
    pub fn host(&self) -> &str {
        &self.config.host
    }

    /// The control socket, as for `ssh -S`.
    pub fn control_path(&self) -> &Path {
        &self.files.socket
    }

    /// How long one login may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.config.connect_timeout
    }

    /// The words by which `ssh` is told where to log in.
    pub(crate) fn login_words(&self) -> Vec<OsString> {
        login_words(&self.config)
    }

    /// A session on a living master: the one that is there, or a new one after a login.
    ///
    /// Many callers, in this and in other processes, make one login only, and those of one process share its failure:
    /// for 3 s they get the same error without another attempt. A dead master is replaced, and so is one that does not
    /// answer, which is killed first. Says nothing about the network behind a master that was there already. If
    /// dropped, a login under way is given up.
    ///
    /// # Errors
    /// Any [`SshError`]; nothing was sent over the connection then.
    pub async fn session(&self) -> Result<Session, SshError> {
        if !self.is_up().await {
            let mut last_failure = self.launching.lock().await;
            if let Some((at, error)) = &*last_failure
                && at.elapsed() < PAUSE
            {
                return Err(error.clone());
            }
            *last_failure = None;
            if let Err(error) = self.replace().await {
                *last_failure = Some((Instant::now(), error.clone()));
                return Err(error);
            }
        }
        Ok(session(&self.files.socket))
    }

    /// Makes sure that there is a living master, as [`Self::session`] does. Of many that come at the same time one asks:
    /// the question costs a master as much as opening a forward.
    pub(crate) async fn make_ready(&self) -> Result<(), SshError> {
        let mut ready_at = self.ready_at.lock().await;
        if ready_at.is_none_or(|at| at.elapsed() >= FRESH) {
            *ready_at = None;
            drop(self.session().await?);
            *ready_at = Some(Instant::now());
        }
        Ok(())
    }

    /// Forgets that the master was found alive: it has just gone.
    pub(crate) async fn forget_ready(&self) {
        *self.ready_at.lock().await = None;
    }

    /// Forgets that a login has just failed: the next one is tried at once.
    pub(crate) async fn forget_failure(&self) {
        *self.launching.lock().await = None;
    }

    /// Whether a master is there already, so that a session needs no login. Says nothing about the network behind it.
    pub async fn is_up(&self) -> bool {
        // Never closed; were it, the question could still be asked.
        let _permit = self.requests.acquire().await.ok();
        liveness(&self.files.socket).await == Liveness::Up
    }

    /// The process id of the master, or `None` if none answers.
    ///
    /// # Errors
    /// [`SshError::NoProgram`] if there is no `ssh` to ask with.
    pub async fn pid(&self) -> Result<Option<u32>, SshError> {
        let answer = ask(&self.config, &self.files, "check").await?;
        Ok(answer.as_deref().and_then(read_pid))
    }

    /// Ends the master, and with it every command and forward that uses it. Returns whether there was one.
    ///
    /// # Errors
    /// [`SshError::LaunchInProgress`] if another process is just launching it, [`SshError::Files`] if its remains
    /// cannot be removed.
    pub async fn stop(&self) -> Result<bool, SshError> {
        if !self.files.socket.exists() {
            return Ok(false);
        }
        let _lock = self.lock().await?;
        let was_there = match liveness(&self.files.socket).await {
            Liveness::Gone => false,
            Liveness::Hung => {
                self.kill().await;
                true
            }
            Liveness::Up => {
                ask(&self.config, &self.files, "exit").await?;
                let until = Instant::now() + LEAVE;
                while liveness(&self.files.socket).await == Liveness::Up && Instant::now() < until {
                    sleep(Duration::from_millis(10)).await;
                }
                true
            }
        };
        self.files.remove_remains()?;
        Ok(was_there)
    }

    async fn lock(&self) -> Result<std::fs::File, SshError> {
        self.files.prepare_dir()?;
        let waited = self.config.connect_timeout;
        let held = || SshError::LaunchInProgress { host: self.config.host.clone(), waited };
        self.files.lock(waited).await?.ok_or_else(held)
    }

    /// Launches a master in place of a dead one, unless somebody else has by now.
    async fn replace(&self) -> Result<(), SshError> {
        let _lock = self.lock().await?;
        match liveness(&self.files.socket).await {
            Liveness::Up => return Ok(()),
            Liveness::Gone => {}
            Liveness::Hung => self.kill().await,
        }
        self.files.remove_remains()?;
        tracing::debug!(host = self.config.host, "launching an ssh master");
        reach(&self.config, &self.files).await?;
        if let Some(pid) = self.pid().await? {
            // Only needed if this master ever hangs; without it that one is left to the user.
            if let Err(error) = std::fs::write(&self.files.pid, pid.to_string()) {
                tracing::warn!(%error, "failed to keep the process id of the ssh master");
            }
        }
        Ok(())
    }

    /// Kills the master whose process id was kept, if that is still it: a stopped one would hold its ports for ever.
    async fn kill(&self) {
        let Some(pid) = std::fs::read_to_string(&self.files.pid).ok().and_then(|text| text.parse().ok())
        else {
            return;
        };
        let is_ours = |pid: i32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                let socket = self.files.socket.as_os_str().as_encoded_bytes();
                line.windows(socket.len()).any(|part| part == socket)
            })
        };
        let Some(process) = rustix::process::Pid::from_raw(pid).filter(|_| is_ours(pid)) else { return };
        tracing::warn!(pid, host = self.config.host, "the ssh master does not answer; killing it");
        if rustix::process::kill_process(process, rustix::process::Signal::KILL).is_ok() {
            let until = Instant::now() + LEAVE;
            while is_ours(pid) && Instant::now() < until {
                sleep(Duration::from_millis(10)).await;
            }
        }
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
