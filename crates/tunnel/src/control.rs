//! The private directory of control sockets, and the files of one master in it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use tokio::time::Instant;

use crate::error::SshError;
use crate::mux::forget_hung;

/// The longest path that a control socket can have, in bytes.
///
/// `ssh` binds its socket under a temporary name, 17 bytes longer, and the kernel takes 107 bytes on Linux and 103
/// elsewhere (`muxserver_listen` in `mux.c` of OpenSSH 9.2p1, `sun_path` in unix(7)).
pub const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 90 } else { 86 };

/// How often a lock that is held is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The files of one master.
#[derive(Clone, Debug)]
pub(crate) struct ControlFiles {
    dir: PathBuf,
    /// The control socket.
    pub(crate) socket: PathBuf,
    /// What the master says: why its login failed, why a connection through a forward failed.
    pub(crate) log: PathBuf,
    /// What the log held before the last login was begun, until that one has said something or is done.
    before: PathBuf,
    /// There while only a person can log in, so that nobody tries without one.
    typed: PathBuf,
    lock: PathBuf,
}

impl ControlFiles {
    /// Names the files of the master with that `name` in `dir`, which must be absolute. Touches nothing.
    pub(crate) fn new(dir: &Path, name: &str) -> Result<Self, SshError> {
        let bad_dir = |problem| SshError::ControlDir { path: dir.to_owned(), problem };
        if !dir.is_absolute() {
            return Err(bad_dir("is not an absolute path"));
        }
        // `ssh` expands `%h` and `${HOME}` in control paths, and handles carry the path as text.
        match dir.to_str() {
            None => return Err(bad_dir("has a name that is not UTF-8")),
            Some(text) if text.contains(['%', '$']) => {
                return Err(bad_dir("has a name with % or $, which ssh would expand"));
            }
            Some(_) => {}
        }
        let socket = dir.join(format!("{name}.sock"));
        if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
            return Err(SshError::ControlPathTooLong { path: socket, limit: LONGEST_SOCKET_PATH });
        }
        let file = |extension| socket.with_extension(extension);
        let (log, before, typed, lock) = (file("log"), file("before"), file("typed"), file("lock"));
        Ok(Self { dir: dir.to_owned(), log, before, typed, lock, socket })
    }

    /// Makes sure that the directory is there and nobody else can look or write into it.
    pub(crate) fn prepare_dir(&self) -> Result<(), SshError> {
        let failed = |deed| {
            let path = self.dir.clone();
            move |error: io::Error| SshError::Files { deed, path, source: error.into() }
        };
        if let Some(parent) = self.dir.parent() {
            std::fs::create_dir_all(parent).map_err(failed("make the directories above"))?;
        }
        match DirBuilder::new().mode(0o700).create(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("make the directory")(error));
            }
            _ => {}
        }
        self.check_dir_for(0o077)
    }

    /// Makes sure that whatever listens on the socket is this user's: nobody else can write into the directory. One that is not
    /// there holds no socket.
    pub(crate) fn check_dir(&self) -> Result<(), SshError> {
        self.check_dir_for(0o022)
    }

    /// Makes sure that the directory is this user's, and others do not have that access.
    fn check_dir_for(&self, access: u32) -> Result<(), SshError> {
        let bad_dir = |problem| Err(SshError::ControlDir { path: self.dir.clone(), problem });
        let meta = match std::fs::symlink_metadata(&self.dir) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                let (deed, path) = ("look at the directory", self.dir.clone());
                return Err(SshError::Files { deed, path, source: error.into() });
            }
        };
        if !meta.is_dir() {
            bad_dir("is not a directory")
        } else if meta.uid() != rustix::process::geteuid().as_raw() {
            bad_dir("belongs to another user")
        } else if meta.mode() & access != 0 {
            bad_dir("is open to other users")
        } else {
            Ok(())
        }
    }

    /// Waits, up to `within`, until no other process launches or stops this master. The lock ends with the returned
    /// file, or with this process. `None` if it is still held.
    pub(crate) async fn lock(&self, within: Duration) -> Result<Option<File>, SshError> {
        let failed = |error: io::Error| {
            let path = self.lock.clone();
            SshError::Files { deed: "lock", path, source: error.into() }
        };
        let file = private_file().write(true).open(&self.lock).map_err(failed)?;
        let until = Instant::now() + within;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(file)),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() >= until => return Ok(None),
                Err(rustix::io::Errno::WOULDBLOCK) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(errno) => return Err(failed(errno.into())),
            }
        }
    }

    /// Opens an empty log for a new master, to be appended to. What it held is kept until [`Self::forget_words`]: a login
    /// that is given up says nothing.
    pub(crate) fn new_log(&self) -> Result<File, SshError> {
        let failed = |error: io::Error| {
            let path = self.log.clone();
            SshError::Files { deed: "open", path, source: error.into() }
        };
        if std::fs::metadata(&self.log).is_ok_and(|meta| meta.len() > 0) {
            std::fs::rename(&self.log, &self.before).map_err(failed)?;
        }
        let file = private_file().append(true).open(&self.log).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        Ok(file)
    }

    /// What the last login or master has said that said anything, its forwards' troubles left out; `None` if none did.
    pub(crate) fn last_words(&self) -> Option<String> {
        [&self.log, &self.before].into_iter().find_map(|path| {
            let said = std::fs::read(path).ok()?;
            let said = String::from_utf8_lossy(&said);
            let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("channel ")).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        })
    }

    /// Forgets what was said before a login that is done, or to which the host has answered.
    pub(crate) fn forget_words(&self) -> Result<(), SshError> {
        remove(&self.before)
    }

    /// Removes the socket that a dead master left behind.
    pub(crate) fn remove_socket(&self) -> Result<(), SshError> {
        forget_hung(&self.socket);
        remove(&self.socket)
    }

    /// Whether only a person can log in, as far as is known.
    pub(crate) fn is_typed(&self) -> bool {
        self.typed.exists()
    }

    /// Keeps in mind that only a person can log in, or that this is so no more.
    pub(crate) fn set_typed(&self, is_typed: bool) -> Result<(), SshError> {
        if !is_typed {
            return remove(&self.typed);
        }
        let opened = private_file().write(true).open(&self.typed);
        opened.map(drop).map_err(|error| SshError::Files {
            deed: "write",
            path: self.typed.clone(),
            source: error.into(),
        })
    }
}

/// The log of the master that listens on `socket`, if it is one that this crate has launched. What lies beside the
/// socket of another is none of our business.
pub(crate) fn log_beside(socket: &Path) -> Option<PathBuf> {
    let name = socket.file_name()?.to_str()?.strip_suffix(".sock")?;
    let is_ours = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_ours.then(|| socket.with_extension("log"))
}

/// Makes sure that nobody else can have put there what listens on a control socket, ours or one of the user's own: whoever
/// listens reads all that is sent over it. In a directory such as `/tmp` others can make files, but not replace ours.
pub(crate) fn check_socket(socket: &Path) -> Result<(), SshError> {
    let dir = socket.parent().unwrap_or(Path::new("/"));
    let bad_dir = |problem| Err(SshError::ControlDir { path: dir.to_owned(), problem });
    let us = rustix::process::geteuid().as_raw();
    // What cannot be looked at cannot be connected to.
    let (Ok(held), Ok(holds)) = (std::fs::symlink_metadata(socket), std::fs::metadata(dir)) else {
        return Ok(());
    };
    let is_sticky = holds.mode() & 0o1000 != 0;
    // Where everybody has a group of their own, a user's own directories are open to the group.
    let others = if log_beside(socket).is_some() { 0o022 } else { 0o002 };
    if ![us, 0].contains(&holds.uid()) {
        bad_dir("belongs to another user")
    } else if holds.mode() & others != 0 && !is_sticky {
        bad_dir("is open to other users")
    } else if held.uid() != us || !held.file_type().is_socket() {
        bad_dir("holds something else than a socket of this user")
    } else {
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), SshError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SshError::Files { deed: "remove", path: path.to_owned(), source: error.into() })
        }
        _ => Ok(()),
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// A short name for these parts, the same in every process and every release (FNV-1a, 64 bits).
pub(crate) fn short_name(parts: &[&[u8]]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_directory_is_made_private() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("a/b");
        let files = ControlFiles::new(&dir, "x").unwrap();
        files.prepare_dir().unwrap();
        files.prepare_dir().unwrap();
        assert_eq!(mode_of(&dir), 0o700);
        drop(files.new_log().unwrap());
        assert_eq!(mode_of(&files.log), 0o600);
    }

    #[test]
    fn a_directory_open_to_others_is_refused_and_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("open");
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, Permissions::from_mode(0o750)).unwrap();
        let error = ControlFiles::new(&dir, "x").unwrap().prepare_dir().unwrap_err();
        assert!(error.to_string().ends_with("is open to other users"), "{error}");
        assert_eq!(mode_of(&dir), 0o750);
    }

    #[test]
    fn a_link_or_a_file_is_no_directory() {
        let base = tempfile::tempdir().unwrap();
        symlink(base.path(), base.path().join("link")).unwrap();
        std::fs::write(base.path().join("file"), "").unwrap();
        for name in ["link", "file"] {
            let files = ControlFiles::new(&base.path().join(name), "x").unwrap();
            assert!(matches!(files.prepare_dir(), Err(SshError::ControlDir { .. })), "{name}");
        }
    }

    #[test]
    fn a_socket_that_others_may_have_put_there_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let (dir, socket) = (base.path().join("d"), base.path().join("d/0123456789abcdef.sock"));
        std::fs::create_dir(&dir).unwrap();
        let check = |mode| {
            std::fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
            check_socket(&socket).map_err(|error| error.to_string())
        };
        assert_eq!(check(0o777), Ok(()), "there is none");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert_eq!((check(0o700), check(0o755), check(0o1777)), (Ok(()), Ok(()), Ok(())));
        for mode in [0o777, 0o720, 0o702] {
            assert!(check(mode).unwrap_err().ends_with("is open to other users"), "{mode:o}");
        }
        let theirs = dir.join("cm-lab");
        drop(std::os::unix::net::UnixListener::bind(&theirs).unwrap());
        std::fs::set_permissions(&dir, Permissions::from_mode(0o775)).unwrap();
        assert!(check_socket(&theirs).is_ok(), "as a umask of 002 makes it");
        std::fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
        assert!(check_socket(&theirs).is_err());
        std::fs::remove_file(&socket).unwrap();
        std::fs::write(&socket, "").unwrap();
        assert!(check(0o700).unwrap_err().ends_with("than a socket of this user"));
    }

    #[test]
    fn a_login_that_says_nothing_does_not_make_one_forget() {
        let base = tempfile::tempdir().unwrap();
        let files = ControlFiles::new(base.path(), "x").unwrap();
        assert_eq!(files.last_words(), None);
        std::fs::write(&files.log, "one\n").unwrap();
        for _ in 0..2 {
            drop(files.new_log().unwrap());
            assert_eq!(files.last_words().as_deref(), Some("one"));
        }
        std::fs::write(&files.log, "channel 1: open failed\ntwo\n").unwrap();
        assert_eq!(files.last_words().as_deref(), Some("two"));
        drop(files.new_log().unwrap());
        files.forget_words().unwrap();
        assert_eq!(files.last_words(), None);
    }

    #[test]
    fn the_longest_socket_path_is_known_beforehand() {
        let room = LONGEST_SOCKET_PATH - "/x.sock".len();
        let fits = format!("/{}", "d".repeat(room - 1));
        let too_long = format!("/{}", "d".repeat(room));
        assert!(ControlFiles::new(Path::new(&fits), "x").is_ok());
        let error = ControlFiles::new(Path::new(&too_long), "x").unwrap_err();
        assert!(matches!(error, SshError::ControlPathTooLong { .. }), "{error}");
    }

    #[test]
    fn names_that_ssh_would_expand_are_refused() {
        for dir in ["relative", "/run/%h", "/run/${HOME}"] {
            let error = ControlFiles::new(Path::new(dir), "x").unwrap_err();
            assert!(matches!(error, SshError::ControlDir { .. }), "{error}");
        }
    }

    #[test]
    fn names_differ_by_part_and_never_by_release() {
        assert_eq!(short_name(&[b"login", b"alice", b""]), short_name(&[b"login", b"alice", b""]));
        assert_ne!(short_name(&[b"login", b"alice"]), short_name(&[b"logina", b"lice"]));
        assert_eq!(short_name(&[]), "cbf29ce484222325");
    }

    #[test]
    fn only_masters_of_ours_have_a_log() {
        let name = short_name(&[b"login"]);
        let ours = ControlFiles::new(Path::new("/run/t"), &name).unwrap();
        assert_eq!(log_beside(&ours.socket), Some(ours.log));
        for other in ["/home/a/.ssh/master.sock", "/home/a/.ssh/cm-a@lab:22", "/run/t/5f63a0eedcadd032"] {
            assert_eq!(log_beside(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn who_logs_in_is_kept_in_mind() {
        let base = tempfile::tempdir().unwrap();
        let files = ControlFiles::new(&base.path().join("c"), "x").unwrap();
        files.prepare_dir().unwrap();
        assert!(!files.is_typed());
        files.set_typed(false).unwrap();
        files.set_typed(true).unwrap();
        files.set_typed(true).unwrap();
        assert!(files.is_typed());
        files.set_typed(false).unwrap();
        assert!(!files.is_typed());
    }

    #[tokio::test]
    async fn one_holds_the_lock_at_a_time() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("c");
        let files = ControlFiles::new(&dir, "x").unwrap();
        files.prepare_dir().unwrap();
        let held = files.lock(Duration::ZERO).await.unwrap();
        assert!(held.is_some());
        assert!(files.lock(Duration::ZERO).await.unwrap().is_none());
        drop(held);
        // A process that another test has just started keeps what was open until its program is loaded.
        assert!(files.lock(Duration::from_secs(10)).await.unwrap().is_some());
    }
}
