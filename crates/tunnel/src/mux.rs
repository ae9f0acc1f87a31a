//! Small questions to a running master, each with a deadline of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openssh::{Error, Session, Stdio};
use tokio::time::{Instant, sleep, timeout};

use crate::control::check_socket;

/// How long a master may take for an answer that needs no network. It answers within a millisecond when idle.
const LOCAL_ANSWER: Duration = Duration::from_secs(2);

/// The same for one for which this process has waited in vain a moment ago.
const NEXT_ANSWER: Duration = Duration::from_millis(100);

/// How long it was waited for in vain a moment ago. A slow machine is not a hung master: it gets all patience again.
const MOMENT: Duration = Duration::from_secs(10);

/// The sockets whose masters have not answered this process the last time, and when it last waited in full.
static HUNG: Mutex<BTreeMap<PathBuf, Instant>> = Mutex::new(BTreeMap::new());

/// How often a master that gave no clear answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Whether a master is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It answers. Says nothing about the network or the host behind it.
    Up,
    /// Nothing listens on the socket.
    Gone,
    /// Something listens and gives no answer: it is stopped, or stuck.
    Hung,
}

/// The session of the master that listens on `socket`, whether it is alive or not.
pub(crate) fn session(socket: &Path) -> Session {
    Session::resume_mux(socket.into(), None)
}

/// Asks the master whether it is alive. One that hangs is waited for in full once in ten seconds, for 2 s; in between it is
/// asked as often as anybody wants to know, and given little time: a command that asks in several places ends soon all
/// the same.
pub(crate) async fn liveness(socket: &Path) -> Liveness {
    let has_hung = hung().get(socket).is_some_and(|at| at.elapsed() < MOMENT);
    if !has_hung {
        return liveness_at_last(socket).await;
    }
    let found = liveness_within(socket, NEXT_ANSWER).await;
    if found != Liveness::Hung {
        forget_hung(socket);
    }
    found
}

/// Asks the same with all patience, for whoever ends a master that does not answer.
pub(crate) async fn liveness_at_last(socket: &Path) -> Liveness {
    let found = liveness_within(socket, LOCAL_ANSWER).await;
    match found {
        Liveness::Hung => drop(hung().insert(socket.to_owned(), Instant::now())),
        Liveness::Up | Liveness::Gone => forget_hung(socket),
    }
    found
}

/// Forgets that the master on `socket` has hung: it was ended.
pub(crate) fn forget_hung(socket: &Path) {
    hung().remove(socket);
}

fn hung() -> MutexGuard<'static, BTreeMap<PathBuf, Instant>> {
    HUNG.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn liveness_within(socket: &Path, patience: Duration) -> Liveness {
    if let Err(error) = check_socket(socket) {
        tracing::warn!(%error, "a control socket is not used");
        return Liveness::Gone;
    }
    let session = session(socket);
    let until = Instant::now() + patience;
    loop {
        match timeout(patience, session.check()).await {
            Ok(Ok(())) => return Liveness::Up,
            Ok(Err(Error::Disconnected)) => return Liveness::Gone,
            Err(_) => return Liveness::Hung,
            // Its queue is full, or it is just leaving.
            Ok(Err(_)) if Instant::now() < until => sleep(ASK_AGAIN).await,
            Ok(Err(_)) => return Liveness::Hung,
        }
    }
}

/// Whether the host behind the master answers within `deadline`.
///
/// The master answers a plain check by itself, even when the network is gone; a session is opened by the host, and
/// so is its refusal. The session's command is not waited for, so that slow start-up files do not count.
pub(crate) async fn host_answers(socket: &Path, deadline: Duration) -> bool {
    let session = session(socket);
    let mut command = session.raw_command("true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match timeout(deadline, command.spawn()).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => is_session_refusal(&error),
        Err(_) => false,
    }
}

/// Whether the host refused one more session on this connection (sshd's `MaxSessions`, 10 by default).
pub(crate) fn is_session_refusal(error: &Error) -> bool {
    refusal(error).is_some_and(|words| words.contains("Session open refused by peer"))
}

/// What the master said when it refused a request; the texts are those of `mux.c` of OpenSSH 9.2p1.
pub(crate) fn refusal(error: &Error) -> Option<String> {
    let Error::SshMux(inner) = error else { return None };
    let words = inner.to_string();
    words.starts_with("Server refused the request").then_some(words)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_waited_for_once() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("x.sock");
        let waited = async || {
            let began = Instant::now();
            (liveness(&socket).await, began.elapsed())
        };
        assert_eq!(waited().await, (Liveness::Gone, Duration::ZERO));
        let stuck = UnixListener::bind(&socket).unwrap();
        assert_eq!(waited().await, (Liveness::Hung, LOCAL_ANSWER));
        assert_eq!(waited().await, (Liveness::Hung, NEXT_ANSWER));
        sleep(MOMENT).await;
        assert_eq!(waited().await, (Liveness::Hung, LOCAL_ANSWER), "it was slow, maybe");
        assert_eq!(waited().await, (Liveness::Hung, NEXT_ANSWER));
        forget_hung(&socket);
        assert_eq!(waited().await, (Liveness::Hung, LOCAL_ANSWER), "another may be there");
        drop(stuck);
        assert_eq!(waited().await.0, Liveness::Gone);
        std::fs::remove_file(&socket).unwrap();
        let _another = UnixListener::bind(&socket).unwrap();
        assert_eq!(waited().await, (Liveness::Hung, LOCAL_ANSWER));
    }
}
