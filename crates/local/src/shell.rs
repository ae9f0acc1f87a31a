//! Shell scripts on this machine.

use std::io;
use std::process::{ExitStatus, Stdio};

use async_trait::async_trait;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use towline_core::ports::{BoxError, RemoteShell, ShellError, ShellOutput, ShellScript};

use crate::process::signal_group;

const HOST: &str = "this machine";

/// Runs scripts on this machine, with this program's environment: for a cluster whose login node it is.
///
/// A script that does not end in time, or whose future is dropped, is killed with all that it started and did not
/// move to another process group.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalShell;

#[async_trait]
impl RemoteShell for LocalShell {
    async fn run(&self, script: &ShellScript) -> Result<ShellOutput, ShellError> {
        let child = Command::new("sh")
            .arg("-s")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| ShellError::NotSent { host: HOST.into(), source: error.into() })?;
        let mut group = Group(child);
        match timeout(script.deadline, talk(&mut group.0, script.text.as_bytes())).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(ShellError::Lost { host: HOST.into(), source: BoxError::from(error) }),
            Err(_) => Err(ShellError::TimedOut { host: HOST.into(), deadline: script.deadline }),
        }
    }
}

/// A process group, killed with its leader if that has not ended by itself.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id the leader was waited for, and its number may belong to another process already.
        let Some(leader) = self.0.id().and_then(|id| i32::try_from(id).ok()) else { return };
        // There is nobody left to tell if it cannot be signalled.
        drop(signal_group(leader, Signal::KILL));
    }
}

/// Feeds the script to the shell and reads all that it prints, at the same time: either pipe may fill up.
async fn talk(child: &mut Child, text: &[u8]) -> io::Result<ShellOutput> {
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("the shell has no pipes"));
    };
    let feed = async move {
        match stdin.write_all(text).await {
            // A script that exits does not read on.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    tokio::try_join!(feed, stdout.read_to_end(&mut out), stderr.read_to_end(&mut err))?;
    let status = child.wait().await?;
    Ok(ShellOutput { stdout: out, stderr: err, code: code(status) })
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    async fn run(text: &str, deadline: Duration) -> Result<ShellOutput, ShellError> {
        LocalShell.run(&ShellScript { text: text.into(), deadline }).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn gives_back_what_a_script_printed_and_how_it_ended() {
        let output = run("echo out; echo err >&2; exit 3", LONG).await.unwrap();
        assert_eq!(output, ShellOutput { stdout: b"out\n".to_vec(), stderr: b"err\n".to_vec(), code: 3 });
        assert_eq!(run("kill -9 $$", LONG).await.unwrap().code, 137);
        assert_eq!(run("nosuch-command", LONG).await.unwrap().code, 127);
    }

    #[tokio::test]
    async fn a_long_script_with_long_output_fills_no_pipe() {
        let filler = format!("# {}\n", "x".repeat(1000)).repeat(500);
        let text = format!("head -c 300000 /dev/zero\nhead -c 300000 /dev/zero >&2\n{filler}echo end\n");
        let output = run(&text, LONG).await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (300_004, 300_000));
        // One that stops reading its own text is no error.
        assert_eq!(run(&format!("exit 0\n{filler}"), LONG).await.unwrap().code, 0);
    }

    #[tokio::test]
    async fn nothing_of_a_late_script_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let text = format!("sleep 300 & echo $! >{0}.tmp; mv {0}.tmp {0}; wait", pid.display());
        let begin = Instant::now();
        let late = async {
            loop {
                // Long enough to write the file sooner or later, far shorter than the sleep.
                let error = run(&text, Duration::from_secs(1)).await.unwrap_err();
                assert!(matches!(error, ShellError::TimedOut { .. }), "{error}");
                if pid.exists() {
                    break;
                }
                assert!(begin.elapsed() < LONG);
            }
        };
        late.await;
        let pid = std::fs::read_to_string(&pid).unwrap();
        while std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|s| !s.contains(") Z "))
        {
            assert!(begin.elapsed() < LONG, "the script's child still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
