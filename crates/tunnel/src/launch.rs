//! Starts the `ssh` process that becomes a master.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::control::ControlFiles;
use crate::error::SshError;
use crate::master::MasterConfig;
use crate::mux::{Liveness, liveness};
use crate::reap::reap;
use crate::terminal::Terminal;
use crate::words::{has_typed_method, read_failure, tells_changed_key, tidy};

/// The options of every master. What they do not name is the user's own configuration.
///
/// - `ControlPersist=no`: with `-f -N` the master stays all the same, and a jump host's error messages are not lost
///   as they are with `yes` (`ssh_proxy_connect` in `sshconnect.c` of OpenSSH 9.2p1).
/// - `ClearAllForwardings`, `ExitOnForwardFailure`: the user's own forwards are none of our business, and one that
///   fails must not end ours.
/// - `ServerAlive*`: a connection over which nothing comes for 9 s ends the master, and with it whatever waits on its
///   forwards: `ssh` asks after 3 and 6 s of silence and gives up when it would ask for the third time
///   (`server_alive_check` in `clientloop.c` of OpenSSH 9.2p1).
/// - `LogLevel`: the log must say why a connection through a forward failed, and no more.
const OPTIONS: &[&str] = &[
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
    /// Whether the user's configuration takes any host key, also one that has changed.
    pub(crate) takes_any_key: bool,
}

/// What takes the place of `StrictHostKeyChecking no`: unknown keys are accepted as the user wants it, changed ones are not.
/// Since OpenSSH 7.6 (ssh_config(5)).
const NO_CHANGED_KEY: &str = "StrictHostKeyChecking=accept-new";

/// Never asks anything, since nobody may be there to answer.
const NOBODY: &str = "BatchMode=yes";

/// Asks, even if the user's configuration says otherwise.
const SOMEBODY: &str = "BatchMode=no";

/// How long a master that was told to leave may take.
const LEAVE: Duration = Duration::from_secs(5);

/// How often it is looked whether `ssh` has said something while a person answers it.
const LOOK: Duration = Duration::from_millis(50);

/// Logs in without a question and leaves a master behind. If dropped, the login is given up; one that was just done may
/// leave its master, which the next launch finds.
pub(crate) async fn launch(
    config: &MasterConfig,
    files: &ControlFiles,
    patience: Try,
) -> Result<(), SshError> {
    let mut command = command(config, files, NOBODY, patience)?;
    // The `ssh` to a jump host does not get our options: whatever it asks is answered by a program that fails, and not at
    // the terminal, where it would be stopped as it is not in the foreground. Since OpenSSH 8.4 (ssh(1)).
    command.env("SSH_ASKPASS_REQUIRE", "force").env("SSH_ASKPASS", "false");
    let mut login = Login::start(&mut command, config)?;
    let ended = match timeout(patience.whole, login.0.wait()).await {
        Ok(ended) => ended.map_err(|source| program_failure(source, config))?,
        Err(_) => return Err(late(config, files, config.connect_timeout)),
    };
    conclude(ended, config, files).await
}

/// Logs in by asking whoever sits at the terminal or, where there is none, by `SSH_ASKPASS`; leaves a master behind as
/// [`launch`] does. What `ssh` says meanwhile goes line by line to `said`; its questions do not. `refused` is what it
/// said when it was not to ask.
pub(crate) async fn launch_typed(
    config: &MasterConfig,
    files: &ControlFiles,
    patience: Try,
    refused: String,
    said: &mut (dyn FnMut(&str) + Send),
) -> Result<(), SshError> {
    let terminal = Terminal::find();
    let mut command = command(config, files, SOMEBODY, patience)?;
    if terminal.is_none() {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !is_set("SSH_ASKPASS") {
            return Err(SshError::NobodyToAsk { host: config.host.clone(), words: refused });
        }
        // Before 8.4 `ssh` took the presence of a display for the wish (readpass.c).
        command.env("SSH_ASKPASS_REQUIRE", "force");
        if !is_set("DISPLAY") {
            command.env("DISPLAY", ":0");
        }
    }
    // Declared after the terminal: whatever happens, `ssh` ends before the terminal is taken back from it.
    let mut login = Login::start(&mut command, config)?;
    if let (Some(terminal), Some(group)) = (&terminal, login.group()) {
        terminal.lend(group).map_err(|source| program_failure(source, config))?;
    }
    let mut log = Follow { path: &files.log, read_to: 0 };
    let ended = timeout(patience.whole, async {
        loop {
            tokio::select! {
                ended = login.0.wait() => return ended,
                () = sleep(LOOK) => log.tell(said),
            }
        }
    });
    let ended = ended.await;
    log.tell(said);
    match ended {
        Ok(Ok(ended)) if ended.signal().is_some() => Err(SshError::Interrupted { host: config.host.clone() }),
        Ok(Ok(ended)) => conclude(ended, config, files).await,
        Ok(Err(source)) => Err(program_failure(source, config)),
        Err(_) => Err(late(config, files, patience.whole)),
    }
}

/// Both the log and what is printed to standard error go to one file: a pipe would be kept open by whatever
/// `ProxyCommand` the master goes on using.
fn command(
    config: &MasterConfig,
    files: &ControlFiles,
    batch: &str,
    patience: Try,
) -> Result<Command, SshError> {
    let mut command = Command::new("ssh");
    command.args(arguments(config, files, batch, patience));
    command.process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(files.new_log()?);
    Ok(command)
}

/// What an `ssh` that has ended came to.
async fn conclude(ended: ExitStatus, config: &MasterConfig, files: &ControlFiles) -> Result<(), SshError> {
    let said = std::fs::read(&files.log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    if ended.success() && liveness(&files.socket).await == Liveness::Up {
        if !tells_changed_key(&said) {
            return files.forget_words();
        }
        // A jump host's, where the user has told ssh to go on with a warning; nobody would see it.
        leave(config, files).await?;
        reap(&files.socket).await;
        files.remove_socket()?;
    }
    Err(match read_failure(&config.host, &said) {
        SshError::Denied { host, words, .. } => {
            let login = config.login_command.clone().filter(|_| has_typed_method(&words));
            SshError::Denied { host, words, login }
        }
        other => other,
    })
}

/// Reads a log that grows, whole lines at a time.
struct Follow<'a> {
    path: &'a Path,
    read_to: usize,
}

impl Follow<'_> {
    fn tell(&mut self, said: &mut (dyn FnMut(&str) + Send)) {
        let bytes = std::fs::read(self.path).unwrap_or_default();
        let new = bytes.get(self.read_to..).unwrap_or_default();
        let Some(end) = new.iter().rposition(|byte| *byte == b'\n') else { return };
        for line in String::from_utf8_lossy(&new[..end]).lines().map(tidy).filter(|line| !line.is_empty()) {
            said(&line);
        }
        self.read_to += end + 1;
    }
}

/// An `ssh` that logs in, in a process group of its own: the `ProxyCommand` or jump host that the master goes on using
/// must survive a Ctrl-C at our terminal, and must not survive a login that was given up.
struct Login(Child);

impl Login {
    fn start(command: &mut Command, config: &MasterConfig) -> Result<Self, SshError> {
        Ok(Self(command.spawn().map_err(|source| program_failure(source, config))?))
    }

    /// Its process group. `None` once it was waited for: the number may belong to somebody else already.
    fn group(&self) -> Option<Pid> {
        self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()))
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        if let Some(group) = self.group() {
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

/// Tells a master that is up to leave, and waits until it has.
pub(crate) async fn leave(config: &MasterConfig, files: &ControlFiles) -> Result<(), SshError> {
    ask(config, files, "exit").await?;
    let until = Instant::now() + LEAVE;
    while liveness(&files.socket).await == Liveness::Up && Instant::now() < until {
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// The first three are what [`crate::reap`] knows a master by.
fn arguments(config: &MasterConfig, files: &ControlFiles, batch: &str, patience: Try) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["-M".into(), "-S".into(), (&files.socket).into()];
    args.extend(["-f", "-N", "-E"].map(OsString::from));
    args.push((&files.log).into());
    for option in [&[batch], OPTIONS].concat() {
        args.extend(["-o".into(), option.into()]);
    }
    if patience.takes_any_key {
        args.extend(["-o".into(), NO_CHANGED_KEY.into()]);
    }
    if let Some(answer) = patience.answer {
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

/// The error of a login that has not ended in time. Since a host that is away makes `ssh` end sooner, what was said of that
/// before counts no more.
fn late(config: &MasterConfig, files: &ControlFiles, within: Duration) -> SshError {
    if let Err(error) = files.forget_words() {
        return error;
    }
    let words = format!("the login did not end within {} s", within.as_secs());
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
    use super::*;

    #[test]
    fn names_are_never_options() {
        let config = MasterConfig {
            user: Some("alice".into()),
            ssh_config: Some("/etc/lab".into()),
            ..MasterConfig::new("login", "/run/t")
        };
        let files = ControlFiles::new(Path::new("/run/t"), "x").unwrap();
        let patience = Try { answer: None, whole: Duration::from_secs(9), takes_any_key: false };
        let args = arguments(&config, &files, NOBODY, patience);
        let tail: Vec<_> = args.iter().rev().take(6).rev().map(|arg| arg.to_str().unwrap()).collect();
        assert_eq!(tail, ["-F", "/etc/lab", "-l", "alice", "--", "login"]);
    }
}
