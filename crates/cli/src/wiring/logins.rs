//! The SSH logins of profiles, for whoever makes and ends them by hand.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use towline_core::lifecycle::Tunnel;
use towline_core::time::Timestamp;
use towline_tunnel::{LogIn, Login, Master, MasterConfig};

use crate::config::{Paths, Profile};
use crate::exit::{Failure, Kind, Outcome};

/// How long a person may take to log in: reading a code from a telephone, and that through a jump host as well. sshd
/// itself waits two minutes by default (`LoginGraceTime`).
const TYPING: Duration = Duration::from_secs(300);

/// What a person types to log in to a profile.
pub(crate) fn login_command(profile: &str) -> String {
    format!("towline profile login {profile}")
}

/// The SSH connection of a profile; `None` if it needs none. Connects to nothing yet.
///
/// # Errors
/// [`Kind::Config`] if the profile cannot be used, or there is no directory for control sockets.
pub(super) fn master(name: &str, profile: &Profile, paths: &Paths) -> Outcome<Option<Arc<Master>>> {
    let Some(host) = &profile.host else { return Ok(None) };
    paths.make_runtime_dir()?;
    let login = MasterConfig {
        user: profile.user.clone(),
        ssh_config: profile.ssh_config.clone(),
        login_command: Some(login_command(name)),
        ..MasterConfig::new(host.as_str(), &paths.runtime_dir)
    };
    let master = Master::new(login).map_err(|err| Failure::from_error(Kind::Config, err))?;
    Ok(Some(Arc::new(master)))
}

/// The SSH login of a profile.
pub(crate) struct SshLogin(Arc<Master>);

/// A login that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MadeLogin {
    /// Whether its connection is towline's; if not, it is one that the user has started.
    pub(crate) is_ours: bool,
    /// When it was made, as far as that is known.
    pub(crate) since: Option<Timestamp>,
    /// The control socket of its connection.
    pub(crate) socket: String,
    /// Whether its connection answers; it is used again once it does.
    pub(crate) answers: bool,
}

impl From<Login> for MadeLogin {
    fn from(login: Login) -> Self {
        let since = login.since.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self {
            is_ours: login.is_ours,
            since: since.map(|since| Timestamp::from_secs(0).plus(since)),
            socket: login.socket.to_string_lossy().into_owned(),
            answers: login.answers,
        }
    }
}

/// How a login came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was there before.
    Before,
    /// Without a question.
    Unasked,
    /// By a person.
    Typed,
}

impl SshLogin {
    /// The one of that profile; `None` if it needs none.
    ///
    /// # Errors
    /// [`Kind::Config`] if the profile cannot be used.
    pub(crate) fn of(name: &str, profile: &Profile, paths: &Paths) -> Outcome<Option<Self>> {
        Ok(master(name, profile, paths)?.map(Self))
    }

    /// The login that is there, if there is one. Asks no host.
    pub(crate) async fn made(&self) -> Option<MadeLogin> {
        self.0.login().await.map(MadeLogin::from)
    }

    /// Whether it takes a person, as far as is known.
    pub(crate) fn needs_person(&self) -> bool {
        self.0.needs_person()
    }

    /// Logs in, at the terminal if need be; what `ssh` says meanwhile goes to `said`.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] with why there is no login, [`Kind::Interrupted`] after Ctrl-C.
    pub(crate) async fn make(&self, said: &mut (dyn FnMut(&str) + Send)) -> Outcome<(How, MadeLogin)> {
        let made = self.0.log_in(TYPING, said).await;
        let made = made.map_err(|error| Failure::from_error(Kind::Unreachable, error))?;
        Ok(match made {
            LogIn::Before(login) => (How::Before, login.into()),
            LogIn::Unasked(login) => (How::Unasked, login.into()),
            LogIn::Typed(login) => (How::Typed, login.into()),
        })
    }

    /// Ends towline's own connection and what is left of former ones. Returns whether there was any.
    ///
    /// # Errors
    /// Whatever kept it from being ended.
    pub(crate) async fn end(&self) -> Outcome<bool> {
        self.0.stop().await.map_err(|error| Failure::from_error(Kind::Internal, error))
    }

    /// Whether that tunnel ends with towline's own connection.
    pub(crate) fn carries(&self, tunnel: &Tunnel) -> bool {
        self.0.carries(tunnel)
    }
}
