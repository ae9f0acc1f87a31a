//! Small questions to a running master, each with a deadline of its own.

use std::path::Path;
use std::time::Duration;

use openssh::{Error, Session, Stdio};
use tokio::time::{Instant, sleep, timeout};

/// How long a master may take for an answer that needs no network. It answers within a millisecond when idle.
const LOCAL_ANSWER: Duration = Duration::from_secs(2);

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

/// Asks the master whether it is alive.
pub(crate) async fn liveness(socket: &Path) -> Liveness {
    let session = session(socket);
    let until = Instant::now() + LOCAL_ANSWER;
    loop {
        match timeout(LOCAL_ANSWER, session.check()).await {
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
