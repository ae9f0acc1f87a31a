//! What can go wrong between this machine and a host reached by SSH.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why a host could not be used over SSH.
///
/// `words` are those of `ssh` itself (OpenSSH 9.2 was read), whose messages are not translated. With a jump host they
/// may be about that one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// There is no program `ssh` on the `PATH`.
    #[error("failed to find the program ssh")]
    NoProgram(#[source] Arc<io::Error>),
    /// The host or user is empty, or `ssh` would take it for something else, such as an option.
    #[error("{name:?} cannot be the {role} of an ssh connection")]
    BadName {
        /// `host` or `user`.
        role: &'static str,
        /// What was given.
        name: String,
    },
    /// A UNIX socket cannot have a path of that length. Nothing was sent.
    #[error("the control path {} is too long for a socket (over {limit} bytes)", .path.display())]
    ControlPathTooLong {
        /// The path of the control socket.
        path: PathBuf,
        /// The longest that works, in bytes.
        limit: usize,
    },
    /// The directory for control sockets is not private to this user, or not usable. Nothing was sent.
    #[error("the control directory {} {problem}", .path.display())]
    ControlDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it, as the rest of a sentence.
        problem: &'static str,
    },
    /// A file beside the control socket could not be used.
    #[error("failed to {deed} {}", .path.display())]
    Files {
        /// What was tried, as a verb.
        deed: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another process has held the lock of the launch for so long; it may be waiting for its own login.
    #[error("another process has been logging in to {host} for {} s", .waited.as_secs())]
    LaunchInProgress {
        /// The host, in the user's words.
        host: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The host's name does not resolve.
    #[error("failed to resolve {host}: {words}")]
    Unresolved {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said.
        words: String,
    },
    /// Nothing listens on the host's SSH port.
    #[error("{host} refused the connection: {words}")]
    Refused {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said.
        words: String,
    },
    /// The host did not answer, or the login did not end, in time.
    #[error("{host} did not answer in time: {words}")]
    TimedOut {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said, or what was waited for.
        words: String,
    },
    /// No network leads to the host.
    #[error("no route to {host}: {words}")]
    NoRoute {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said.
        words: String,
    },
    /// The connection was closed before the login was done.
    #[error("{host} closed the connection: {words}")]
    Closed {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said.
        words: String,
    },
    /// The host's key is not among the known ones.
    #[error("the host key of {host} is not known: {words}")]
    HostKeyUnknown {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said.
        words: String,
    },
    /// The host shows another key than the known one: it was reinstalled, or somebody is in between.
    #[error("the host key of {host} has changed: {words}")]
    HostKeyChanged {
        /// The host, in the user's words.
        host: String,
        /// Which known key it contradicts, and where that is kept.
        words: String,
        /// Under which name that key is known, as for `ssh-keygen -R`.
        name: Option<String>,
        /// The file in which it is, as for `ssh-keygen -f`.
        file: Option<PathBuf>,
    },
    /// The host accepted none of the keys; or it wants something that only a person can type.
    #[error("{host} refused the login: {words}")]
    Denied {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said, with the methods that the host would accept.
        words: String,
        /// [`login_command`](crate::MasterConfig::login_command), where one of these methods has something to type.
        login: Option<String>,
    },
    /// There is no master, and a person has to log in: the last one did ([`Master::log_in`](crate::Master::log_in)).
    /// The host was not asked.
    #[error("nobody is logged in to {host}, which wants what only a person can type")]
    NotLoggedIn {
        /// The host, in the user's words.
        host: String,
        /// [`login_command`](crate::MasterConfig::login_command)
        login: Option<String>,
    },
    /// A master for which a person has logged in is there and does not answer: it is stopped, or stuck. It is left alone, for
    /// only a person can make another; once it goes on it is used again. [`Master::log_in`](crate::Master::log_in) replaces
    /// it, [`Master::stop`](crate::Master::stop) ends it.
    #[error("the connection to {host} does not answer, and is left alone since it took a person to log in")]
    NotAnswering {
        /// The host, in the user's words.
        host: String,
        /// [`login_command`](crate::MasterConfig::login_command)
        login: Option<String>,
    },
    /// The host wants what only a person can type, and nobody can be asked: this process has no terminal, or not in
    /// its foreground, and no `SSH_ASKPASS`.
    #[error("there is neither a terminal nor SSH_ASKPASS to ask what {host} wants to know: {words}")]
    NobodyToAsk {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said when it was not to ask.
        words: String,
    },
    /// Whoever was asked has ended the login, with Ctrl-C or by closing the terminal.
    #[error("the login to {host} was interrupted")]
    Interrupted {
        /// The host, in the user's words.
        host: String,
    },
    /// A compute node lets in only users with a job there, and this one has none there (any more, or yet).
    #[error("{host} lets in only users who have a job there: {words}")]
    NoJobThere {
        /// The host, in the user's words.
        host: String,
        /// What the node said.
        words: String,
    },
    /// The user's ssh configuration cannot be used.
    #[error("the ssh configuration for {host} cannot be used: {words}")]
    Config {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said.
        words: String,
    },
    /// `ssh` failed in another way.
    #[error("failed to log in to {host}: {words}")]
    Failed {
        /// The host, in the user's words.
        host: String,
        /// What `ssh` said.
        words: String,
    },
    /// The master is there and does not do what it is asked.
    #[error("failed to use the ssh master of {host}")]
    Master {
        /// The host, in the user's words.
        host: String,
        /// Why.
        #[source]
        source: Arc<openssh::Error>,
    },
}
