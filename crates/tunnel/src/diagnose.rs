//! Why a login does not work, and what a login that works is good for: for people who are looking for a fault.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;
use towline_core::ports::TunnelError;

use crate::error::SshError;
use crate::forward::{Forward, free_port};
use crate::master::Master;
use crate::mux::host_answers;
use crate::route::{Cause, Route};
use crate::tunnels::{SshTunnels, failure};
use crate::verbose::{Denial, read_denial};
use crate::words::read_failure;

/// How long `ssh` may take for what needs no connection. It may run `Match exec` commands of the user.
pub(crate) const CONFIG_TIME: Duration = Duration::from_secs(10);

/// How long the host may take to open a session on a connection that is there.
const HOST_ANSWER: Duration = Duration::from_secs(10);

/// How long the far end of a forward may take to say something.
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// The oldest OpenSSH with which this crate is known to work.
const OLDEST: (u32, u32) = (8, 0);

/// The program `ssh` of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshProgram {
    /// What it says of itself, such as `OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026`.
    pub version: String,
    /// Whether this crate is known to work with it, as far as its version tells: OpenSSH 8.0 or newer. `None` if it is no
    /// OpenSSH.
    pub is_known: Option<bool>,
}

/// Where and how `ssh` would log in, once it has read its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The user there.
    pub user: String,
    /// Name or address of the host.
    pub hostname: String,
    /// Its TCP port, as written.
    pub port: String,
    /// What is in between: a jump host, or a command.
    pub by_way_of: Option<String>,
}

/// What became of a connection through a forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// The far end answered through it.
    Works,
    /// The host tried, and the far end refused: forwards are allowed.
    Refused,
    /// The host does not open forwards; its words.
    Prohibited(String),
    /// The host tried in vain, or gave no reason; its words.
    Failed(String),
}

/// Asks `ssh` which one it is.
///
/// # Errors
/// [`SshError::NoProgram`] if there is none on the `PATH`, [`SshError::Failed`] if it cannot be run.
pub async fn ssh_program() -> Result<SshProgram, SshError> {
    let mut command = Command::new("ssh");
    let output = run(command.arg("-V"), "this machine", CONFIG_TIME).await?;
    // OpenSSH prints its version to standard error.
    let said = String::from_utf8_lossy(&output.stderr);
    let version = said.lines().next().unwrap_or_default().trim().to_owned();
    let is_known = version_number(&version).map(|number| number >= OLDEST);
    Ok(SshProgram { version, is_known })
}

/// Reads such as `OpenSSH_9.2p1 ...`, `OpenSSH_for_Windows_8.1p1, ...`.
fn version_number(version: &str) -> Option<(u32, u32)> {
    let word = version.split([' ', ',']).next()?.strip_prefix("OpenSSH_")?;
    let (_, number) = word.rsplit_once('_').unwrap_or(("", word));
    let (major, rest) = number.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

impl Master {
    /// What `ssh` makes of host and user by its configuration. Connects to nothing.
    ///
    /// # Errors
    /// [`SshError::NoProgram`], [`SshError::Config`] and [`SshError::Failed`], with the words of `ssh`.
    pub async fn resolve(&self) -> Result<Resolved, SshError> {
        let mut command = Command::new("ssh");
        let output = run(command.arg("-G").args(self.login_words()), self.host(), CONFIG_TIME).await?;
        if !output.status.success() {
            return Err(read_failure(self.host(), &String::from_utf8_lossy(&output.stderr)));
        }
        Ok(read_resolved(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Whether the host behind a running master answers, within 10 s. The master itself notices a network that drops
    /// everything only after 9 s. Costs one session.
    pub async fn host_answers(&self) -> bool {
        // Never closed; were it, the question could still be asked.
        let _permit = self.sessions.acquire().await.ok();
        host_answers(&self.control_path(), HOST_ANSWER).await
    }

    /// Why the host refuses the login: which keys it was shown, and what it would accept. Costs one more refused login,
    /// so ask only after [`SshError::Denied`]. `None` if it is not refused this time.
    ///
    /// # Errors
    /// Any [`SshError`] of a login but [`SshError::Denied`].
    pub async fn explain_denial(&self) -> Result<Option<Denial>, SshError> {
        let mut command = Command::new("ssh");
        command.arg("-v");
        // A connection of its own, whatever the user's configuration shares or runs.
        for option in [
            "BatchMode=yes",
            "ControlMaster=no",
            "ControlPath=none",
            "ClearAllForwardings=yes",
            "RemoteCommand=none",
        ] {
            command.args(["-o", option]);
        }
        command.args(self.login_words()).arg("true");
        let output = run(&mut command, self.host(), self.connect_timeout()).await?;
        if output.status.success() {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        match read_failure(self.host(), &said) {
            SshError::Denied { .. } => Ok(Some(read_denial(&said))),
            other => Err(other),
        }
    }
}

impl SshTunnels {
    /// Opens a forward to a port as the host sees it, connects through it, waits up to 5 s for the far end's first byte,
    /// and closes it. Of use with a server that speaks first, such as the host's own sshd.
    ///
    /// # Errors
    /// Those of [`open`](towline_core::ports::Tunnels::open).
    pub async fn try_out(&self, host: &str, port: u16) -> Result<Forwarding, TunnelError> {
        let _permit = self.ready().await?;
        let control = self.master.control_path().to_string_lossy().into_owned();
        let route = Route::new(&control);
        let local = free_port().map_err(|error| TunnelError::Failed(error.into()))?;
        let forward = Forward { control, local, host: host.to_owned(), port, node: None };
        forward.open().await.map_err(failure)?;
        let watch = route.watch_log().await;
        let heard = timeout(FIRST_BYTE, first_byte(local)).await;
        forward.close().await.map_err(failure)?;
        Ok(match (heard, watch.cause()) {
            (Ok(Ok(true)), _) => Forwarding::Works,
            (_, Cause::Refused) => Forwarding::Refused,
            (_, Cause::OutOfReach(words)) if words.contains("prohibited") => Forwarding::Prohibited(words),
            (_, Cause::OutOfReach(words)) => Forwarding::Failed(words),
            (Err(_), _) => Forwarding::Failed(format!("nothing came back within {} s", FIRST_BYTE.as_secs())),
            (Ok(_), _) => Forwarding::Failed("the connection was closed without a reason".to_owned()),
        })
    }
}

/// Whether the far end of a local port says anything before it closes.
async fn first_byte(port: u16) -> std::io::Result<bool> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut byte = [0];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut byte) {
            Ok(read) => return Ok(read > 0),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) async fn run(command: &mut Command, host: &str, limit: Duration) -> Result<Output, SshError> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(limit, output).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(source)) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(SshError::NoProgram(source.into()))
        }
        Ok(Err(source)) => {
            Err(SshError::Failed { host: host.to_owned(), words: format!("ssh could not be run: {source}") })
        }
        Err(_) => {
            let words = format!("ssh did not end within {} s", limit.as_secs());
            Err(SshError::TimedOut { host: host.to_owned(), words })
        }
    }
}

/// Reads what `ssh -G` prints: a line `keyword value` for each setting, keywords in lower case (ssh(1)).
pub(crate) fn read_resolved(said: &str) -> Resolved {
    let value = |name: &str| {
        let lines = said.lines().filter_map(|line| line.split_once(' '));
        lines
            .filter(|(key, value)| *key == name && *value != "none")
            .map(|(_, value)| value.trim().to_owned())
            .next()
    };
    Resolved {
        user: value("user").unwrap_or_default(),
        hostname: value("hostname").unwrap_or_default(),
        port: value("port").unwrap_or_default(),
        by_way_of: value("proxyjump").or_else(|| value("proxycommand").map(|command| format!("`{command}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_ssh_prints_them() {
        for (said, number) in [
            ("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026", Some((9, 2))),
            ("OpenSSH_7.4p1, OpenSSL 1.0.2k-fips  26 Jan 2017", Some((7, 4))),
            ("OpenSSH_for_Windows_8.1p1, LibreSSL 3.0.2", Some((8, 1))),
            ("OpenSSH_10.0p2, OpenSSL 3.5.0", Some((10, 0))),
            ("Dropbear v2022.83", None),
            ("OpenSSH_", None),
            ("", None),
        ] {
            assert_eq!(version_number(said), number, "{said}");
        }
    }

    #[test]
    fn what_ssh_makes_of_a_host_is_read() {
        let said =
            "host lab\nuser alice\nhostname 10.77.1.2\nport 22\nproxycommand none\nproxyjump jump.example\n";
        let resolved = read_resolved(said);
        assert_eq!(
            (resolved.user.as_str(), resolved.hostname.as_str(), resolved.port.as_str()),
            ("alice", "10.77.1.2", "22")
        );
        assert_eq!(resolved.by_way_of.as_deref(), Some("jump.example"));
        assert_eq!(read_resolved("proxycommand nc %h %p\n").by_way_of.as_deref(), Some("`nc %h %p`"));
        assert_eq!(read_resolved("garbage\n\n x"), Resolved::default());
    }
}
