//! Starts the `ssh` process that becomes a master.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::control::ControlFiles;
use crate::error::SshError;
use crate::master::MasterConfig;
use crate::mux::{Liveness, liveness};
use crate::words::read_failure;

/// The options of every master. What they do not name is the user's own configuration.
///
/// - `BatchMode`: never asks anything, since nobody may be there to answer.
/// - `ControlPersist=no`: with `-f -N` the master stays all the same, and a jump host's error messages are not lost
///   as they are with `yes` (`ssh_proxy_connect` in `sshconnect.c` of OpenSSH 9.2p1).
/// - `ClearAllForwardings`, `ExitOnForwardFailure`: the user's own forwards are none of our business, and one that
///   fails must not end ours.
/// - `ServerAlive*`: a connection over which nothing comes for 9 s ends the master, and with it whatever waits on its
///   forwards: `ssh` asks after 3 and 6 s of silence and gives up when it would ask for the third time
///   (`server_alive_check` in `clientloop.c` of OpenSSH 9.2p1).
/// - `LogLevel`: the log must say why a connection through a forward failed, and no more.
const OPTIONS: &[&str] = &[
    "BatchMode=yes",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "ExitOnForwardFailure=no",
    "ServerAliveInterval=3",
    "ServerAliveCountMax=2",
    "StreamLocalBindUnlink=yes",
    "LogLevel=INFO",
];

/// How long one login is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try {
    /// How long the host may take to answer and to agree on keys; `None` leaves that to the user's configuration.
    pub(crate) answer: Option<Duration>,
    /// How long all of it may take.
    pub(crate) whole: Duration,
}

/// Logs in and leaves a master behind. If dropped, the login is given up; one that was just done may leave its master,
/// which the next launch finds.
pub(crate) async fn launch(
    config: &MasterConfig,
    files: &ControlFiles,
    patience: Try,
) -> Result<(), SshError> {
    // Both the log and what is printed to standard error go to one file: a pipe would be kept open by whatever
    // `ProxyCommand` the master goes on using.
    let log = files.new_log()?;
    let child = Command::new("ssh")
        .args(arguments(config, files, patience.answer))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| program_failure(source, config))?;
    let mut login = Login(child);
    let ended = match timeout(patience.whole, login.0.wait()).await {
        Ok(ended) => ended.map_err(|source| program_failure(source, config))?,
        Err(_) => return Err(late(config)),
    };
    if ended.success() && liveness(&files.socket).await == Liveness::Up {
        return Ok(());
    }
    let said = std::fs::read(&files.log).unwrap_or_default();
    Err(read_failure(&config.host, &String::from_utf8_lossy(&said)))
}

/// An `ssh` that logs in, in a process group of its own: the `ProxyCommand` or jump host that the master goes on using
/// must survive a Ctrl-C at our terminal, and must not survive a login that was given up.
struct Login(Child);

impl Drop for Login {
    fn drop(&mut self) {
        // Without an id it was waited for, and its number may belong to somebody else already.
        let group = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            // It may just have ended by itself.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs `ssh -O command` on the master and returns what it said; `None` if there is no master that answers.
pub(crate) async fn ask(
    config: &MasterConfig,
    files: &ControlFiles,
    command: &str,
) -> Result<Option<String>, SshError> {
    // `-O` never connects, so the host is but a word, and no configuration is needed.
    let output = Command::new("ssh")
        .args(["-F", "none", "-S"])
        .arg(&files.socket)
        .args(["-O", command, "--", "master"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match timeout(Duration::from_secs(5), output).await {
        Ok(Ok(output)) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
        Ok(Ok(_)) | Err(_) => Ok(None),
        Ok(Err(source)) => Err(program_failure(source, config)),
    }
}

fn arguments(config: &MasterConfig, files: &ControlFiles, answer: Option<Duration>) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["-M".into(), "-S".into(), (&files.socket).into()];
    args.extend(["-f", "-N", "-E"].map(OsString::from));
    args.push((&files.log).into());
    for option in OPTIONS {
        args.extend(["-o".into(), option.into()]);
    }
    if let Some(answer) = answer {
        args.extend(["-o".into(), format!("ConnectTimeout={}", answer.as_secs()).into()]);
    }
    args.extend(login_words(config));
    args
}

/// The words by which `ssh` is told where to log in. They stand last: a host is never taken for an option.
pub(crate) fn login_words(config: &MasterConfig) -> Vec<OsString> {
    let mut args = Vec::new();
    if let Some(path) = &config.ssh_config {
        args.extend(["-F".into(), path.into()]);
    }
    if let Some(user) = &config.user {
        args.extend(["-l".into(), user.into()]);
    }
    args.extend(["--".into(), (&config.host).into()]);
    args
}

fn late(config: &MasterConfig) -> SshError {
    let words = format!("the login did not end within {} s", config.connect_timeout.as_secs());
    SshError::TimedOut { host: config.host.clone(), words }
}

fn program_failure(source: io::Error, config: &MasterConfig) -> SshError {
    if source.kind() == io::ErrorKind::NotFound {
        SshError::NoProgram(source.into())
    } else {
        SshError::Failed { host: config.host.clone(), words: format!("ssh could not be run: {source}") }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_never_options() {
        let config = MasterConfig {
            user: Some("alice".into()),
            ssh_config: Some("/etc/lab".into()),
            ..MasterConfig::new("login", "/run/t")
        };
        let files = ControlFiles::new(Path::new("/run/t"), "x").unwrap();
        let args = arguments(&config, &files, None);
        let tail: Vec<_> = args.iter().rev().take(6).rev().map(|arg| arg.to_str().unwrap()).collect();
        assert_eq!(tail, ["-F", "/etc/lab", "-l", "alice", "--", "login"]);
    }
}
