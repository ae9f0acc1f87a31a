//! A copy of a whole ledger.

use std::io;
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tempfile::NamedTempFile;
use towline_core::ports::LedgerError;

use crate::faults::Faults;
use crate::location::Location;
use crate::migration::is_new_file;
use crate::sqlite::{self, LOCK};
use crate::store::{Store, StoreOptions};

/// Why a ledger was not copied. What was at the place of the copy is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is a file of that name, which was not to be replaced.
    #[error("{} is there already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is a directory, a link or something else of that name that is no regular file, and so is never replaced.
    #[error("{} is there, and is no regular file", .path.display())]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
    /// Nothing was ever recorded in the ledger: a copy of it could only take the place of a better one.
    #[error("the ledger {} is empty", .path.display())]
    Empty {
        /// The ledger.
        path: PathBuf,
    },
    /// The copy would take the place of the ledger, or of a file that belongs to it.
    #[error("{} is the ledger itself or a file of it", .path.display())]
    Itself {
        /// The file.
        path: PathBuf,
    },
    /// The copy cannot be written.
    #[error("failed to write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The ledger is in PostgreSQL, whose own tools copy it (`pg_dump`).
    #[error("the ledger {location} is in a PostgreSQL server, which has tools of its own for that")]
    Server {
        /// The URL without a password.
        location: String,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Store {
    /// Copies the ledger at `location` to a file at `to`, as it is at one moment, while others may go on writing. The
    /// copy has mode 0600 and is whole or not there: it is written beside its place, flushed and renamed. A regular
    /// file that is there already is replaced only with `replace`, and only by a ledger. Nothing of the ledger is
    /// changed.
    ///
    /// The copy is a ledger of its own: to restore it, copy it to the place of the ledger while no program uses that,
    /// and without the old ledger's `-wal` and `-shm` (<https://sqlite.org/howtocorrupt.html>, 1.4).
    ///
    /// # Errors
    /// See [`BackupError`]. A damaged ledger, and what is none, is [`LedgerError::Corrupt`].
    pub async fn back_up(location: &Location, to: &Path, replace: bool) -> Result<(), BackupError> {
        let Location::Sqlite(from) = location else {
            return Err(BackupError::Server { location: location.to_string() });
        };
        check_place(from, to, replace)?;
        let patience = StoreOptions::default().busy_timeout;
        let faults = Faults::new(location, patience);
        let db = sqlite::open_as_it_is(from, patience, &faults).await?;
        let copied = async {
            match is_new_file(&db, &faults).await {
                Ok(true) => return Err(BackupError::Empty { path: from.clone() }),
                // One of a newer program can be copied by an older one.
                Ok(false) | Err(LedgerError::Newer { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            copy(&db, to, replace, &faults).await
        };
        let copied = copied.await;
        // Whatever this says, the copy is made or not.
        db.close_by_ref().await.ok();
        copied
    }
}

fn check_place(from: &Path, to: &Path, replace: bool) -> Result<(), BackupError> {
    let path = to.to_owned();
    let resolved = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
        path.canonicalize().unwrap_or_else(|_| parent.join(path.file_name().unwrap_or_default()))
    };
    let (ledger, place) = (resolved(from), resolved(to));
    let name =
        |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (name_of_place, name_of_ledger) = (name(&place), name(&ledger));
    let is_own = ["-wal", "-shm", "-journal", LOCK].iter().any(|suffix| name_of_place.ends_with(suffix));
    if place == ledger
        || (place.parent() == ledger.parent() && name_of_place.starts_with(&name_of_ledger) && is_own)
    {
        return Err(BackupError::Itself { path });
    }
    match to.symlink_metadata() {
        Ok(there) if !there.is_file() => Err(BackupError::NoFile { path }),
        Ok(_) if !replace => Err(BackupError::Exists { path }),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn copy(db: &DatabaseConnection, to: &Path, replace: bool, faults: &Faults) -> Result<(), BackupError> {
    let failed = |source| BackupError::Write { path: to.to_owned(), source };
    let dir = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Empty, which SQLite takes for a new database, and of mode 0600.
    let made = tempfile::Builder::new().prefix(".towline-backup-").tempfile_in(dir).map_err(failed)?;
    let Some(path) = made.path().to_str() else {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidFilename, "its name is not in UTF-8")));
    };
    let vacuum = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.into()]);
    db.execute_raw(vacuum).await.map_err(|error| match faults.database(&error) {
        // What is full is the disk of the copy: the ledger is only read.
        LedgerError::Full { source, .. } => failed(io::Error::new(io::ErrorKind::StorageFull, source)),
        other => other.into(),
    })?;
    made.as_file().sync_all().map_err(failed)?;
    keep(made, to, replace)
}

fn keep(made: NamedTempFile, to: &Path, replace: bool) -> Result<(), BackupError> {
    let kept = if replace { made.persist(to) } else { made.persist_noclobber(to) };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::Exists { path: to.to_owned() })
        }
        Err(error) => Err(BackupError::Write { path: to.to_owned(), source: error.error }),
    }
}
