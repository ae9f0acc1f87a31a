//! Who is logged in, and logging in with a person's help.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::process::Command;

use crate::diagnose::run;
use crate::error::SshError;
use crate::forward::Forward;
use crate::launch::{Try, launch_typed};
use crate::master::Master;
use crate::mux::{Liveness, host_answers, liveness, liveness_at_last};
use crate::node::is_carried;
use crate::reach::{Configured, reach};
use towline_core::lifecycle::Tunnel;

/// How long `ssh` may take to tell what the configuration says; it may run `Match exec` commands of the user.
const CONFIG_TIME: Duration = Duration::from_secs(1);

/// How long the host behind the user's own master may take for a sign of life.
const HOST_ANSWER: Duration = Duration::from_secs(3);

/// A login that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The control socket of its master.
    pub socket: PathBuf,
    /// Whether its master is one of ours; if not, the user has started it.
    pub is_ours: bool,
    /// When it was made, as far as its socket tells.
    pub since: Option<SystemTime>,
    /// Whether its master answers. One that does not, and for which a person has logged in, is used again once it does.
    pub answers: bool,
}

impl Login {
    fn of(socket: PathBuf, is_ours: bool) -> Self {
        // Bound once the login is done, and not written since.
        let since = std::fs::symlink_metadata(&socket).and_then(|meta| meta.modified()).ok();
        Self { socket, is_ours, since, answers: true }
    }
}

/// What became of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogIn {
    /// It had been made before, and serves.
    Before(Login),
    /// It was made without a question: a person is not needed for it.
    Unasked(Login),
    /// It was made by a person.
    Typed(Login),
}

impl Master {
    /// The login that commands and tunnels would use now, or once it answers; `None` if they would have to make one. Asks
    /// nobody but `ssh` of this machine, and says nothing about the network behind the login.
    pub async fn login(&self) -> Option<Login> {
        if let Some(socket) = self.look().await.ok()? {
            let is_ours = socket == self.files.socket;
            return Some(Login::of(socket, is_ours));
        }
        let said = self.configuration().await;
        if let Some(theirs) = self.named_in(said.as_deref()).await {
            return Some(Login::of(theirs, false));
        }
        let is_typed_and_hangs =
            self.files.is_typed() && liveness(&self.files.socket).await == Liveness::Hung;
        is_typed_and_hangs.then(|| Login { answers: false, ..Login::of(self.files.socket.clone(), true) })
    }

    /// Whether a login takes a person, as far as is known: the last one that was made or tried did. If so no other is
    /// tried without one.
    pub fn needs_person(&self) -> bool {
        self.files.is_typed()
    }

    /// Whether a tunnel of [`SshTunnels`](crate::SshTunnels) goes through our own master, by itself or by way of a node, and
    /// ends with it.
    pub fn carries(&self, tunnel: &Tunnel) -> bool {
        let forward = tunnel.handle.as_deref().and_then(|handle| Forward::from_handle(handle).ok());
        forward.is_some_and(|forward| {
            Path::new(&forward.control) == self.files.socket || is_carried(self, &forward)
        })
    }

    /// Logs in once, with the help of whoever sits at the terminal if need be, unless there is a login already. The
    /// terminal belongs to `ssh` meanwhile, Ctrl-C included; without one `SSH_ASKPASS` asks.
    ///
    /// A master of ours that does not answer is ended. It is tried without a question first. What takes a person may last
    /// `within`; the master that it leaves is like any other. From then on [`Self::session`] does not try to log in by itself, until a login works without a question or
    /// [`Self::stop`] is called. What `ssh` says goes to `said`, line by line, without control characters; what it asks
    /// goes to the terminal. If dropped, the login is given up, and nothing is left of it.
    ///
    /// # Errors
    /// Any [`SshError`] of a login; [`SshError::NobodyToAsk`] if it takes a person and there is none,
    /// [`SshError::Interrupted`] if the person gave up, [`SshError::LaunchInProgress`] if another process is at it.
    pub async fn log_in(
        &self,
        within: Duration,
        said: &mut (dyn FnMut(&str) + Send),
    ) -> Result<LogIn, SshError> {
        if let Some(socket) = self.look().await? {
            let is_ours = socket == self.files.socket;
            return Ok(LogIn::Before(Login::of(socket, is_ours)));
        }
        let said_of_it = self.configuration().await;
        if let Some(theirs) = self.find_theirs(said_of_it.as_deref()).await {
            self.adopt(Some(theirs.clone()));
            return Ok(LogIn::Before(Login::of(theirs, false)));
        }
        let mut last_failure = self.launching.lock().await;
        let _lock = self.lock().await?;
        let ours = || Login::of(self.files.socket.clone(), true);
        if liveness_at_last(&self.files.socket).await == Liveness::Up {
            return Ok(LogIn::Before(ours()));
        }
        self.clear().await?;
        *last_failure = None;
        let configured = Configured::read(said_of_it.as_deref());
        let (refused, takes_person) = match reach(&self.config, &self.files, configured).await {
            Ok(()) => {
                self.files.set_typed(false)?;
                return Ok(LogIn::Unasked(ours()));
            }
            Err(SshError::Denied { words, .. }) => (words, true),
            Err(SshError::HostKeyUnknown { words, .. }) => (words, false),
            Err(error) => return Err(error),
        };
        let mark = Mark::set(self)?;
        let patience = Try { answer: None, whole: within, takes_any_key: configured.takes_any_key };
        launch_typed(&self.config, &self.files, patience, refused, said).await?;
        // A host key is asked for once. Whether a key alone does from then on, the next login tells.
        if takes_person {
            mark.keep();
        }
        Ok(LogIn::Typed(ours()))
    }

    /// What the user's configuration says of the host, as `ssh -G` prints it; `None` if it does not say so in time.
    pub(crate) async fn configuration(&self) -> Option<String> {
        let mut command = Command::new("ssh");
        command.arg("-G").args(self.login_words());
        let output = run(&mut command, self.host(), CONFIG_TIME).await.ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The user's own master, if there is one through which the host answers.
    pub(crate) async fn find_theirs(&self, configuration: Option<&str>) -> Option<PathBuf> {
        let socket = self.named_in(configuration).await?;
        host_answers(&socket, HOST_ANSWER).await.then_some(socket)
    }

    /// The socket that the user's configuration names for the host, if a master of theirs is alive on it.
    async fn named_in(&self, configuration: Option<&str>) -> Option<PathBuf> {
        let socket = read_control_path(configuration?)?;
        (socket != self.files.socket && liveness(&socket).await == Liveness::Up).then_some(socket)
    }
}

/// Reads the control path from what `ssh -G` prints, tokens expanded; `None` for `none`.
fn read_control_path(said: &str) -> Option<PathBuf> {
    let path = said.lines().find_map(|line| line.strip_prefix("controlpath "))?;
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

/// Keeps others from trying to log in while a person does, and afterwards if that person succeeded.
struct Mark<'a> {
    master: &'a Master,
    is_kept: bool,
}

impl<'a> Mark<'a> {
    fn set(master: &'a Master) -> Result<Self, SshError> {
        let is_kept = master.files.is_typed();
        master.files.set_typed(true)?;
        Ok(Self { master, is_kept })
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = self.master.files.set_typed(false)
        {
            tracing::warn!(%error, "failed to forget a login that was given up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_paths_are_read_as_ssh_prints_them() {
        let said = "host lab\ncontrolmaster auto\ncontrolpath /home/a b/.ssh/cm-%x\ncontrolpersist no\n";
        assert_eq!(read_control_path(said), Some("/home/a b/.ssh/cm-%x".into()));
        for none in ["controlpath none\n", "controlpath cm/x\n", "host lab\n", ""] {
            assert_eq!(read_control_path(none), None, "{none}");
        }
    }
}
