//! Which local ports lead through a master that is to end with the last of them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often the list is tried again while another process changes it.
const PAUSE: Duration = Duration::from_millis(5);

/// The list of one master, held: nobody else opens or closes a forward of it meanwhile. A file beside its socket, so that
/// all processes share it; whatever ends one of them gives it free.
#[derive(Debug)]
pub(crate) struct Uses {
    file: File,
    ports: Vec<u16>,
}

impl Uses {
    /// Waits, up to `within`, until nobody else holds the list of the master with that socket.
    pub(crate) async fn hold(control: &Path, within: Duration) -> io::Result<Self> {
        let path = control.with_extension("uses");
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let until = Instant::now() + within;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => {
                    let words = format!("another process has used it for {} s", within.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, words));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let ports = text.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(Self { file, ports })
    }

    /// Adds a port before it is opened, since one in the list that is not open does no harm, and says whether it is new.
    pub(crate) fn add(&mut self, port: u16) -> io::Result<bool> {
        if self.ports.contains(&port) {
            return Ok(false);
        }
        self.ports.push(port);
        self.write()?;
        Ok(true)
    }

    /// Takes a port off.
    pub(crate) fn remove(&mut self, port: u16) -> io::Result<()> {
        self.ports.retain(|known| *known != port);
        self.write()
    }

    /// Whether no port is left on which `listens`. Those of processes that were killed are forgotten.
    pub(crate) fn is_over(&mut self, listens: impl Fn(u16) -> bool) -> bool {
        self.ports.retain(|port| listens(*port));
        self.ports.is_empty()
    }

    fn write(&mut self) -> io::Result<()> {
        let text: String = self.ports.iter().map(|port| format!("{port}\n")).collect();
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports_are_shared_and_held_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let control = dir.path().join("x.sock");
        // A process that another test has just started keeps what was open until its program is loaded.
        let hold = async || Uses::hold(&control, Duration::from_secs(10)).await;
        let mut uses = hold().await.unwrap();
        assert!(uses.add(20_001).unwrap() && uses.add(20_002).unwrap());
        assert!(!uses.add(20_001).unwrap());
        let held = Uses::hold(&control, Duration::ZERO).await;
        assert_eq!(held.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(uses);
        let mut uses = hold().await.unwrap();
        assert!(!uses.is_over(|_| true));
        uses.remove(20_001).unwrap();
        drop(uses);
        let mut uses = hold().await.unwrap();
        assert_eq!(uses.ports, [20_002]);
        assert!(uses.is_over(|port| port != 20_002), "a port on which nobody listens is no use");
    }
}
