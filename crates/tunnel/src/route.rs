//! The way through a master: whether it works, and why it did not.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::control::log_beside;
use crate::mux::{Liveness, host_answers, liveness};

/// How long one check of the master counts for others that come at the same time.
const FRESH: Duration = Duration::from_millis(250);

/// How long the host behind a master may take to answer before it counts as out of reach.
const HOST_ANSWER: Duration = Duration::from_secs(3);

/// A log larger than this is emptied once it has been read.
const LARGEST_LOG: u64 = 64 * 1024;

/// Why connections through forwards were cut, by the master's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The place refused them: nothing listens there.
    Refused,
    /// The place was not even tried, or not reached; the master's words.
    OutOfReach(String),
    /// Several were cut for different reasons.
    Mixed,
    /// The master says nothing: it did connect them.
    Untold,
    /// There is no log that could tell: the master is not one of ours.
    Unknowable,
}

/// The way through one master.
#[derive(Debug)]
pub(crate) struct Route {
    socket: PathBuf,
    asked: Mutex<Option<(Instant, bool)>>,
    answered_at: Mutex<Option<Instant>>,
    log: Mutex<Log>,
}

impl Route {
    pub(crate) fn new(control: &str) -> Self {
        let socket = PathBuf::from(control);
        let log = Mutex::new(Log { path: log_beside(&socket), read_to: 0 });
        Self { socket, asked: Mutex::default(), answered_at: Mutex::default(), log }
    }

    /// Whether the master is there. If not, whatever listens on its forwards' ports is somebody else.
    pub(crate) async fn is_up(&self) -> bool {
        let came = Instant::now();
        let mut asked = self.asked.lock().await;
        match *asked {
            Some((at, true)) if at.elapsed() < FRESH => return true,
            // All that wait for one that hangs wait for the same answer.
            Some((at, false)) if at >= came => return false,
            _ => {}
        }
        let is_up = liveness(&self.socket).await == Liveness::Up;
        *asked = Some((Instant::now(), is_up));
        is_up
    }

    /// Whether the host behind the master has answered since `since`, asking it if need be: the master alone notices a
    /// network that drops everything only after 9 s.
    pub(crate) async fn is_answered_since(&self, since: Instant) -> bool {
        let mut answered_at = self.answered_at.lock().await;
        if answered_at.is_some_and(|at| at >= since) {
            return true;
        }
        let answers = host_answers(&self.socket, HOST_ANSWER).await;
        *answered_at = answers.then(Instant::now);
        answers
    }

    /// Marks what the log holds so far and keeps others of this process from doing so, to see what one connection
    /// adds to it: its lines do not say which forward they are about.
    pub(crate) async fn watch_log(&self) -> LogWatch<'_> {
        let mut log = self.log.lock().await;
        log.skip_to_end();
        LogWatch { log }
    }
}

/// The log from some moment on.
#[derive(Debug)]
pub(crate) struct LogWatch<'a> {
    log: MutexGuard<'a, Log>,
}

impl LogWatch<'_> {
    /// Why the connections that were cut since then were cut.
    pub(crate) fn cause(mut self) -> Cause {
        if self.log.path.is_none() {
            return Cause::Unknowable;
        }
        self.log.read_on().map_or(Cause::Untold, |lines| read_causes(&lines))
    }
}

#[derive(Debug)]
struct Log {
    /// None if the master is not one of ours.
    path: Option<PathBuf>,
    read_to: u64,
}

impl Log {
    fn open(&self) -> Option<(File, u64)> {
        let file = OpenOptions::new().read(true).append(true).open(self.path.as_deref()?).ok()?;
        let length = file.metadata().ok()?.len();
        Some((file, length))
    }

    fn skip_to_end(&mut self) {
        if let Some((file, length)) = self.open() {
            // The master appends, so it goes on at the beginning.
            let is_emptied = length > LARGEST_LOG && file.set_len(0).is_ok();
            self.read_to = if is_emptied { 0 } else { length };
        }
    }

    fn read_on(&mut self) -> Option<String> {
        let (mut file, length) = self.open()?;
        let mut bytes = Vec::new();
        // Another process may have emptied it.
        file.seek(SeekFrom::Start(if length < self.read_to { 0 } else { self.read_to })).ok()?;
        file.take(LARGEST_LOG).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Reads lines such as `channel 2: open failed: connect failed: Connection refused`, written by
/// `channel_input_open_failure` of OpenSSH 9.2p1 with the words of the server.
fn read_causes(lines: &str) -> Cause {
    let mut causes = lines.lines().filter_map(|line| {
        let words = line.split_once(": open failed: ")?.1.trim();
        let is_refusal = words == "connect failed: Connection refused";
        Some(if is_refusal { Cause::Refused } else { Cause::OutOfReach(words.to_owned()) })
    });
    let Some(first) = causes.next() else { return Cause::Untold };
    if causes.all(|cause| cause == first) { first } else { Cause::Mixed }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn causes_are_told_apart() {
        let refused = "channel 2: open failed: connect failed: Connection refused\r\n";
        let prohibited = "channel 3: open failed: administratively prohibited: open failed\r\n";
        assert_eq!(read_causes(refused), Cause::Refused);
        assert_eq!(read_causes(&refused.repeat(2)), Cause::Refused);
        let words = "administratively prohibited: open failed".to_owned();
        assert_eq!(read_causes(prohibited), Cause::OutOfReach(words));
        assert_eq!(read_causes(&format!("{refused}{prohibited}")), Cause::Mixed);
        assert_eq!(read_causes("mux_client_request_session: something else\r\n"), Cause::Untold);
    }

    #[tokio::test]
    async fn only_what_was_written_since_counts_and_a_large_log_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0123456789abcdef.log");
        let mut log = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let route = Route::new(path.with_extension("sock").to_str().unwrap());

        writeln!(log, "channel 1: open failed: connect failed: Connection refused").unwrap();
        let watch = route.watch_log().await;
        assert_eq!(watch.cause(), Cause::Untold);

        log.write_all(&vec![b'\n'; 70_000]).unwrap();
        let watch = route.watch_log().await;
        writeln!(log, "channel 1: open failed: connect failed: Connection refused").unwrap();
        assert_eq!(watch.cause(), Cause::Refused);
        assert!(std::fs::metadata(&path).unwrap().len() < 100);
    }

    #[tokio::test]
    async fn no_log_is_no_cause() {
        let route = Route::new("/nonexistent/0123456789abcdef.sock");
        assert_eq!(route.watch_log().await.cause(), Cause::Untold);
        assert!(!route.is_up().await);
    }

    #[tokio::test]
    async fn what_lies_beside_a_foreign_socket_is_not_read_nor_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.log");
        let text = "channel 1: open failed: connect failed: Connection refused\n".repeat(2000);
        std::fs::write(&path, &text).unwrap();
        let route = Route::new(dir.path().join("master.sock").to_str().unwrap());
        let watch = route.watch_log().await;
        assert_eq!(watch.cause(), Cause::Unknowable);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
