//! Shell scripts on a host reached by SSH.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openssh::{Child, Error, Session, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use towline_core::ports::{RemoteShell, ShellError, ShellOutput, ShellScript};

use crate::error::SshError;
use crate::master::Master;
use crate::mux::is_session_refusal;

/// What the host is asked to run, always the same, in words that every login shell understands (bash, dash, zsh, tcsh
/// and fish); by its path, since start-up files may spoil `PATH`. The outer `sh` turns a death by signal into an exit code, which the multiplexing protocol cannot carry.
///
/// It is no login shell: `/etc/profile` and `~/.profile` are not read, only what the user's shell reads for any
/// `ssh host command` (for bash `~/.bashrc`, for zsh `~/.zshenv`, for tcsh `~/.cshrc`, for fish `config.fish`). That is where
/// a site's Slurm has to be on the `PATH` for other tools as well; a profile may be slow, may ask, may replace the shell.
const COMMAND: &str = "exec /bin/sh -c '/bin/sh -s; exit $?'";

/// How long the host may take to open a session on a connection that is there. The master itself notices a network that
/// drops everything only after 9 s.
const OPENED: Duration = Duration::from_secs(8);

/// How long to wait before asking again for a session that the host refused; ended ones are freed late.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Runs scripts over a [`Master`], at most four at a time; others wait in line.
///
/// A script is read whole before its first command runs: one that arrives in part, because the connection broke, runs
/// not at all. Its standard input is empty. What a login shell's start-up files print stands before its output.
#[derive(Clone, Debug)]
pub struct SshShell {
    master: Arc<Master>,
}

impl SshShell {
    /// Runs scripts over that master, which is launched when it is first needed.
    pub fn new(master: Arc<Master>) -> Self {
        Self { master }
    }

    /// Opens a session with the constant command, once one is free; `None` if the host does not answer.
    async fn start<'a>(&'a self, session: &'a Session) -> Result<Option<Started<'a>>, Error> {
        let permit =
            self.master.sessions.acquire().await.map_err(|closed| Error::Master(io::Error::other(closed)))?;
        loop {
            let mut command = session.raw_command(COMMAND);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            match timeout(OPENED, command.spawn()).await {
                Ok(Ok(child)) => return Ok(Some(Started { child, _permit: permit })),
                Ok(Err(error)) if is_session_refusal(&error) => sleep(ASK_AGAIN).await,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(None),
            }
        }
    }
}

struct Started<'a> {
    child: Child<&'a Session>,
    _permit: SemaphorePermit<'a>,
}

#[async_trait]
impl RemoteShell for SshShell {
    /// See the trait. The deadline counts from when the master is there; a login has [`connect_timeout`] of its own.
    ///
    /// The sources of [`ShellError::NotSent`] are [`SshError`]s.
    ///
    /// [`connect_timeout`]: crate::MasterConfig::connect_timeout
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError> {
        let host = || self.master.host().to_owned();
        let not_sent = |source: SshError| ShellError::NotSent { host: host(), source: source.into() };
        let session = self.master.session().await.map_err(not_sent)?;
        let until = Instant::now() + script.deadline;
        let late = |limit: Duration| {
            let words = format!("no session was opened within {} s", limit.as_secs());
            not_sent(SshError::TimedOut { host: host(), words })
        };
        let started = match timeout_at(until, self.start(&session)).await {
            Ok(Ok(Some(started))) => started,
            Ok(Ok(None)) => {
                self.master.adopt(None);
                return Err(late(OPENED));
            }
            Ok(Err(error)) => {
                return Err(not_sent(SshError::Master { host: host(), source: error.into() }));
            }
            Err(_) => return Err(late(script.deadline)),
        };
        match timeout_at(until, converse(started.child, &framed(&script.text))).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(source)) => Err(ShellError::Lost { host: host(), source: source.into() }),
            Err(_) => Err(ShellError::TimedOut { host: host(), deadline: script.deadline }),
        }
    }
}

/// Makes the script one compound command: the shell reads it to its end before it runs any of it, and nothing in it
/// can eat the rest of it from standard input. Line numbers stay.
fn framed(script: &str) -> String {
    format!("{{ : ; {script}\n}} </dev/null\n")
}

/// Sends `text`, collects both outputs and waits for the end.
async fn converse(mut child: Child<&Session>, text: &str) -> Result<ShellOutput, Error> {
    let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let send = async {
        if let Some(mut stdin) = stdin {
            match stdin.write_all(text.as_bytes()).await {
                // The script or its shell ended without reading on; its exit code tells more.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                other => other.map_err(Error::ChildIo)?,
            }
        }
        Ok(())
    };
    let ((), stdout, stderr) = tokio::try_join!(send, collect(stdout), collect(stderr))?;
    let code = match child.wait().await {
        Ok(status) => status.code().ok_or(Error::RemoteProcessTerminated)?,
        // The library takes exit code 127 for an error of its own.
        Err(Error::Remote(error)) if error.kind() == io::ErrorKind::NotFound => 127,
        Err(error) => return Err(error),
    };
    Ok(ShellOutput { stdout, stderr, code })
}

async fn collect(pipe: Option<impl AsyncReadExt + Unpin>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await.map_err(Error::ChildIo)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Output, Stdio};

    use super::*;

    /// Runs the constant command by `login_shell`, as sshd would, and feeds it `input`.
    fn run_by(login_shell: &str, input: &str) -> Option<Output> {
        let child = Command::new(login_shell)
            .args(["-c", COMMAND])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => panic!("{login_shell}: {error}"),
        };
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Some(child.wait_with_output().unwrap())
    }

    #[test]
    fn every_login_shell_runs_scripts_alike() {
        let script = "echo \"it's $((6 * 7)) \\$HOME `echo $0`!\"\ncat <<'END'\n$x\nEND\nexit 3";
        for shell in ["sh", "dash", "bash", "zsh", "ksh", "tcsh", "fish"] {
            let Some(output) = run_by(shell, &framed(script)) else {
                println!("skipped: {shell} is not installed");
                continue;
            };
            assert_eq!(String::from_utf8_lossy(&output.stdout), "it's 42 $HOME /bin/sh!\n$x\n", "{shell}");
            assert_eq!(output.status.code(), Some(3), "{shell}");
        }
    }

    #[test]
    fn a_signal_becomes_an_exit_code() {
        let output = run_by("sh", &framed("kill -TERM $$")).unwrap();
        assert_eq!(output.status.code(), Some(128 + 15));
    }

    #[test]
    fn a_script_cut_short_does_not_run() {
        let whole = framed("echo one\necho two");
        for end in 0..whole.find('}').unwrap() {
            let output = run_by("sh", &whole[..end]).unwrap();
            assert!(output.stdout.is_empty(), "{:?}", &whole[..end]);
        }
        assert_eq!(run_by("sh", &whole).unwrap().stdout, b"one\ntwo\n");
    }

    #[test]
    fn odd_scripts_keep_their_meaning() {
        let cases = [("", "", 0), ("# nothing", "", 0), ("\n\nfalse", "", 1), ("cat; echo end", "end\n", 0)];
        for (script, stdout, code) in cases {
            let output = run_by("sh", &framed(script)).unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{script:?}");
            assert_eq!(output.status.code(), Some(code), "{script:?}");
        }
    }
}
