//! One look at a time, of all who use this ledger.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use towline_core::ports::{Pass, Turnstile};

use crate::location::Location;
use crate::sqlite::with_suffix;
use crate::store::Store;

/// How often a lock file that somebody else holds is tried again.
const RETRY: Duration = Duration::from_millis(10);

#[async_trait]
impl Turnstile for Store {
    /// Beside a file of SQLite it locks one file for each name (flock(2)); on PostgreSQL it takes an advisory lock on a
    /// connection of its own. Both are gone with the process that holds them, and taken from one that has held them for
    /// longer than [`StoreOptions::look_timeout`](crate::StoreOptions::look_timeout): that process is suspended, or
    /// its machine is gone. Who has waited for that once does not wait for it a second time.
    async fn enter(&self, whom: &str) -> Option<Pass> {
        let waited = self.has_waited_for_a_look();
        let patience = if waited.load(Ordering::Relaxed) { Duration::ZERO } else { self.look_timeout() };
        let deadline = Instant::now() + patience;
        let pass: Option<Pass> = match self.location() {
            Location::Sqlite(path) => {
                lock(&lock_path(path, whom), deadline).await.ok().map(|file| Box::new(file) as Pass)
            }
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => crate::postgres::enter(url, whom, patience, self.look_timeout()).await,
            #[cfg(not(feature = "postgres"))]
            Location::Postgres(_) => None,
        };
        waited.store(Instant::now() >= deadline, Ordering::Relaxed);
        pass
    }
}

/// Locks the file at `path`. Whoever holds it at the deadline is left with a file that has no name any more.
async fn lock(path: &Path, deadline: Instant) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(RETRY).await,
            Err(TryLockError::WouldBlock) if is_at(&file, path) => std::fs::remove_file(path)?,
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let id = |found: io::Result<std::fs::Metadata>| found.map(|found| (found.dev(), found.ino())).ok();
    let held = id(file.metadata());
    held.is_some() && held == id(path.metadata())
}

/// The lock file of a profile. Two profiles whose names differ by odd characters only share one, and wait for each
/// other.
fn lock_path(ledger: &Path, whom: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let whom: String = whom.chars().map(plain).take(64).collect();
    with_suffix(ledger, &format!(".look-{whom}.lock"))
}
