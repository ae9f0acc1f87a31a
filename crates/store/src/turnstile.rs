//! One look at a time, of all who use this ledger.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use towline_core::ports::{Pass, Turnstile};

use crate::location::Location;
use crate::sqlite::{lock, with_suffix};
use crate::store::Store;

/// How many times longer than for a lock of the database others are waited for: a look may take that long where a
/// network drops everything.
const LONGER: u32 = 3;

#[async_trait]
impl Turnstile for Store {
    /// Waits for three times the busy timeout. Beside a file of SQLite it locks one file for each profile (flock(2)), on PostgreSQL an advisory lock in a
    /// transaction: both are gone with the process that holds them.
    async fn enter(&self, profile: &str) -> Option<Pass> {
        let patience = self.patience() * LONGER;
        match self.location() {
            Location::Sqlite(path) => {
                let file = lock(&lock_path(path, profile), patience, self.faults()).await.ok()?;
                Some(Box::new(file))
            }
            #[cfg(feature = "postgres")]
            Location::Postgres(_) => crate::postgres::enter(self.db(), profile, patience).await.ok(),
            #[cfg(not(feature = "postgres"))]
            Location::Postgres(_) => None,
        }
    }
}

/// The lock file of a profile. Two profiles whose names differ by odd characters only share one, and wait for each
/// other.
fn lock_path(ledger: &Path, profile: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let profile: String = profile.chars().map(plain).take(64).collect();
    with_suffix(ledger, &format!(".look-{profile}.lock"))
}
