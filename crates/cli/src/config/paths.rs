//! Where things lie on this machine.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// The longest directory for control sockets: a socket's path may have 107 bytes (`unix(7)`), of which its own name
/// and the 17 characters that OpenSSH adds while it binds take the rest.
const RUNTIME_DIR_MAX: usize = 60;

/// The files and directories that towline uses on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The configuration file; it need not exist.
    pub(crate) config_file: PathBuf,
    /// Where the ledger lies and local services run.
    pub(crate) data_dir: PathBuf,
    /// Where control sockets lie; short, and private to this user.
    pub(crate) runtime_dir: PathBuf,
}

/// Why the paths could not be told or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    /// There is no home directory to put anything in.
    #[error("failed to find a home directory")]
    NoHome(#[source] etcetera::HomeDirError),
    /// A directory could not be made or looked at.
    #[error("failed to make the directory {}", .path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory belongs to somebody else.
    #[error("{} belongs to another user (uid {owner})", .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
    },
    /// Something that is no directory is in the way.
    #[error("{} is not a directory", .path.display())]
    InTheWay {
        /// What is there.
        path: PathBuf,
    },
}

impl Paths {
    /// Finds the paths: `TOWLINE_CONFIG` and `TOWLINE_DATA_DIR` first, then the XDG base directories.
    ///
    /// # Errors
    /// [`PathError::NoHome`] if neither they nor a home directory tell.
    pub(crate) fn find(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, PathError> {
        let config_file = match env("TOWLINE_CONFIG") {
            Some(path) => PathBuf::from(path),
            None => base()?.config_dir().join("towline/config.toml"),
        };
        let data_dir = match env("TOWLINE_DATA_DIR") {
            Some(path) => PathBuf::from(path),
            None => base()?.data_dir().join("towline"),
        };
        let runtime_dir = env("XDG_RUNTIME_DIR")
            .map(|dir| Path::new(&dir).join("towline"))
            .filter(|dir| dir.is_absolute() && dir.as_os_str().len() <= RUNTIME_DIR_MAX)
            .unwrap_or_else(|| PathBuf::from(format!("/tmp/towline-{}", rustix::process::getuid().as_raw())));
        Ok(Self { config_file: absolute(config_file), data_dir: absolute(data_dir), runtime_dir })
    }

    /// Makes the data directory, for this user alone.
    ///
    /// # Errors
    /// [`PathError::Make`] if it cannot be made.
    pub(crate) fn make_data_dir(&self) -> Result<(), PathError> {
        make_private(&self.data_dir)
    }

    /// Makes the directory for control sockets and makes sure that nobody else can use it: whoever owns the directory
    /// of a control socket commands the login behind it.
    ///
    /// # Errors
    /// [`PathError::Foreign`] or [`PathError::InTheWay`] if somebody else was there first, [`PathError::Make`]
    /// otherwise.
    pub(crate) fn make_runtime_dir(&self) -> Result<(), PathError> {
        let path = &self.runtime_dir;
        let failed = |source| PathError::Make { path: path.clone(), source };
        make_private(path)?;
        let found = path.symlink_metadata().map_err(failed)?;
        if !found.is_dir() {
            return Err(PathError::InTheWay { path: path.clone() });
        }
        if found.uid() != rustix::process::getuid().as_raw() {
            return Err(PathError::Foreign { path: path.clone(), owner: found.uid() });
        }
        if found.mode() & 0o077 != 0 {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).map_err(failed)?;
        }
        Ok(())
    }
}

/// Makes a directory of mode 0700 with its parents; leaves one that is there as it is.
fn make_private(path: &Path) -> Result<(), PathError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| PathError::Make { path: path.to_owned(), source })
}

fn base() -> Result<etcetera::base_strategy::Xdg, PathError> {
    etcetera::base_strategy::Xdg::new().map_err(PathError::NoHome)
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(vars: &[(&str, &str)]) -> Paths {
        let lookup =
            |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Paths::find(&lookup).unwrap()
    }

    #[test]
    fn variables_override_the_base_directories() {
        let paths = find(&[("TOWLINE_CONFIG", "/c/x.toml"), ("TOWLINE_DATA_DIR", "/d")]);
        assert_eq!(paths.config_file, Path::new("/c/x.toml"));
        assert_eq!(paths.data_dir, Path::new("/d"));
    }

    #[test]
    fn the_runtime_directory_stays_short() {
        let all = [("TOWLINE_CONFIG", "/c"), ("TOWLINE_DATA_DIR", "/d"), ("XDG_RUNTIME_DIR", "/run/user/7")];
        assert_eq!(find(&all).runtime_dir, Path::new("/run/user/7/towline"));
        let long = format!("/run/{}", "x".repeat(80));
        let all = [("TOWLINE_CONFIG", "/c"), ("TOWLINE_DATA_DIR", "/d"), ("XDG_RUNTIME_DIR", long.as_str())];
        assert!(find(&all).runtime_dir.starts_with("/tmp"));
    }

    #[test]
    fn the_runtime_directory_is_made_private() {
        let dir = tempfile::tempdir().unwrap();
        let runtime_dir = dir.path().join("run");
        let paths =
            Paths { config_file: "/c".into(), data_dir: "/d".into(), runtime_dir: runtime_dir.clone() };
        std::fs::create_dir(&runtime_dir).unwrap();
        std::fs::set_permissions(&runtime_dir, PermissionsExt::from_mode(0o755)).unwrap();
        paths.make_runtime_dir().unwrap();
        assert_eq!(runtime_dir.metadata().unwrap().mode() & 0o777, 0o700);

        std::fs::remove_dir(&runtime_dir).unwrap();
        std::os::unix::fs::symlink(dir.path(), &runtime_dir).unwrap();
        assert!(matches!(paths.make_runtime_dir(), Err(PathError::InTheWay { .. })));
    }
}
