//! The directory of one service: what is written there, and how it is read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use towline_core::id::{JobId, ServiceId};
use towline_core::runner::{
    PublishedExit, PublishedPlace, RecordError, parse_attempt, parse_exit, parse_place,
};

use crate::job::JobRecord;

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("failed to {deed} {}", .path.display())]
pub(crate) struct FileError {
    deed: &'static str,
    path: PathBuf,
    #[source]
    pub(crate) source: io::Error,
}

/// A file of a job that is there and cannot be read as what it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("failed to read the record job.id")]
    Job(#[source] serde_json::Error),
    #[error("failed to read the record container.json")]
    Container(#[source] serde_json::Error),
}

/// The directory of one service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceDir {
    path: PathBuf,
}

impl ServiceDir {
    pub(crate) fn new(root: &Path, id: ServiceId) -> Self {
        Self { path: root.join(id.to_string()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.path.join("job.sh")
    }

    /// Makes the directory, for its owner alone.
    pub(crate) fn create(&self) -> Result<(), FileError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|source| self.error("make the directory", "", source))
    }

    /// Removes the directory and all in it; done at once if it is not there.
    pub(crate) fn remove(&self) -> Result<(), FileError> {
        match fs::remove_dir_all(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.error("remove", "", source)),
            _ => Ok(()),
        }
    }

    /// Writes a file for its owner alone; a reader sees all of it or nothing.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), FileError> {
        let beside = self.path.join(format!("{name}.tmp"));
        let write = || {
            // A file left by an interrupted write may have another mode.
            if let Err(error) = fs::remove_file(&beside)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&beside, self.path.join(name))
        };
        write().map_err(|source| self.error("write", name, source))
    }

    /// Opens the log to write at its end.
    pub(crate) fn open_log(&self) -> Result<File, FileError> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.log());
        file.map_err(|source| self.error("open", "server.log", source))
    }

    /// Opens the file whose lock is held while the service's job is being started.
    pub(crate) fn open_lock(&self) -> Result<File, FileError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .truncate(false)
            .open(self.lock());
        file.map_err(|source| self.error("open", "lock", source))
    }

    /// Whether the job is being started just now, or was started just before it could write its record.
    pub(crate) fn is_starting(&self) -> Result<bool, FileError> {
        let file = match File::open(self.lock()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(self.error("open", "lock", source)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(source)) => Err(self.error("lock", "lock", source)),
        }
    }

    /// What the job wrote of itself; `None` if there never was one.
    pub(crate) fn job(&self) -> Result<Option<JobRecord>, ReadError> {
        self.read("job.id")?.map(|text| serde_json::from_str(&text).map_err(ReadError::Job)).transpose()
    }

    /// The place that the job published, or failing that the one that it is trying.
    pub(crate) fn place(&self) -> Result<Option<PublishedPlace>, ReadError> {
        if let Some(text) = self.read("place.json")? {
            return Ok(Some(parse_place(&text)?));
        }
        Ok(self.read("attempt.json")?.map(|text| parse_attempt(&text)).transpose()?)
    }

    /// How the job ended, by its own record.
    pub(crate) fn exit(&self) -> Result<Option<PublishedExit>, ReadError> {
        Ok(self.read("exit.json")?.map(|text| parse_exit(&text)).transpose()?)
    }

    /// How long ago the job was first cancelled; `None` if it never was.
    pub(crate) fn cancelled_for(&self, job: &JobId) -> Result<Option<Duration>, ReadError> {
        if self.read("cancel")?.is_none_or(|cancelled| cancelled != job.as_str()) {
            return Ok(None);
        }
        let asked = fs::metadata(self.path.join("cancel")).and_then(|found| found.modified());
        let asked = asked.map_err(|source| self.error("look at", "cancel", source))?;
        // A clock that jumped back makes it look like just now.
        Ok(Some(asked.elapsed().unwrap_or_default()))
    }

    /// Keeps that the job was cancelled, since its end alone does not tell.
    pub(crate) fn mark_cancelled(&self, job: &JobId) -> Result<(), FileError> {
        self.write("cancel", job.as_str())
    }

    fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, FileError> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.error("read", name, source)),
        }
    }

    fn error(&self, deed: &'static str, name: &str, source: io::Error) -> FileError {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        FileError { deed, path, source }
    }
}
