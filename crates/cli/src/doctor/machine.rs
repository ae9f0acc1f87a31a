//! What is checked of this machine alone.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::check::Check;
use crate::app::App;
use crate::config::Paths;
use crate::exit::Kind;
use crate::render::size;
use crate::wiring;

/// Room below which a ledger may soon be unable to grow, in bytes.
const ROOM: u64 = 32 << 20;

/// A configuration that could be read: where it is, and how many profiles it has.
pub(crate) fn config_check(app: &App) -> Check {
    let path = &app.paths.config_file;
    let note = if path.exists() { "" } else { " (not there; defaults are used)" };
    Check::ok("config", format!("{}{note}", path.display()))
}

/// Whether the ledger can be opened, is sound, and can be written.
pub(crate) async fn ledger_check(app: &App) -> Check {
    const NAME: &str = "ledger";
    let found = match wiring::check_ledger(&app.config, &app.paths).await {
        Ok(found) => found,
        Err(failure) if failure.kind == Kind::NotFound => {
            let place = wiring::ledger_place(&app.config, &app.paths);
            let place = place.map(|place| place.ledger).unwrap_or_default();
            return Check::ok(NAME, format!("{place} (not there yet; the first `towline run` makes it)"));
        }
        Err(failure) => return Check::failed(NAME, &failure),
    };
    let place = &found.place.ledger;
    if let Some(first) = found.problems.first() {
        let text = format!("{place}: {} (problems: {})", first.problem, found.problems.len());
        let hint = "`towline db check` tells all that is damaged, and how to go on";
        // A damaged record harms its own service only.
        return match found.problems.iter().any(|damage| damage.of == "database") {
            true => Check::wrong(NAME, text, hint),
            false => Check::warning(NAME, text, hint),
        };
    }
    if found.place.database == "sqlite"
        && let Err(error) = access(Path::new(place), Access::WRITE_OK)
    {
        let error = std::io::Error::from(error);
        let text = format!("{place} cannot be written: {error}");
        return Check::wrong(NAME, text, remedy(Path::new(place), &error, ELSEWHERE));
    }
    let services = match found.services {
        1 => "1 service".to_owned(),
        count => format!("{count} services"),
    };
    Check::ok(NAME, format!("{place}, sound, {services}"))
}

const ELSEWHERE: &str = "set TOWLINE_DATA_DIR to a directory that you can write";

/// Whether the directories that Towline uses can be made or written. With `sockets` that of control sockets as well.
pub(crate) fn directories_check(paths: &Paths, sockets: bool) -> Check {
    const NAME: &str = "directories";
    let mut told = Vec::new();
    let runtime = sockets.then_some((
        "sockets in",
        &paths.runtime_dir,
        "set XDG_RUNTIME_DIR to a directory of your own",
    ));
    for (what, dir, elsewhere) in [("data in", &paths.data_dir, ELSEWHERE)].into_iter().chain(runtime) {
        let note = match try_out(dir) {
            Ok(Found::Writable) => "",
            Ok(Found::CanBeMade) => " (not there yet)",
            Err((at, problem)) => {
                let text = format!("{} cannot be written: {problem}", at.display());
                return Check::wrong(NAME, text, remedy(&at, &problem, elsewhere));
            }
        };
        told.push(format!("{what} {}{note}", dir.display()));
    }
    let text = told.join(", ");
    match statvfs(nearest(&paths.data_dir)) {
        Ok(disk) if disk.f_blocks > 0 && disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM => {
            let left = size(disk.f_bavail.saturating_mul(disk.f_frsize));
            let hint = format!("free some space there (`df -h {}`), or {ELSEWHERE}", quoted(&paths.data_dir));
            Check::warning(NAME, format!("{text}; {left} are left for the ledger"), hint)
        }
        _ => Check::ok(NAME, text),
    }
}

/// What to do about a place that cannot be written: something to type if it is that simple, or to go `elsewhere`.
fn remedy(at: &Path, problem: &std::io::Error, elsewhere: &str) -> String {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, StorageFull};
    match problem.kind() {
        PermissionDenied => format!("`chmod u+rwX {}`, or {elsewhere}", quoted(at)),
        StorageFull | QuotaExceeded => {
            format!("free some space there (`df -h {0}; df -i {0}`), or {elsewhere}", quoted(at))
        }
        _ => elsewhere.to_owned(),
    }
}

/// A directory that is fine.
#[derive(Debug)]
enum Found {
    Writable,
    CanBeMade,
}

/// Writes a file in a directory and removes it again; looks whether one that is not there could be made. Else tells
/// where the trouble is.
fn try_out(dir: &Path) -> Result<Found, (PathBuf, std::io::Error)> {
    let at = nearest(dir);
    let failed = |error| (at.clone(), error);
    if !at.is_dir() {
        return Err(failed(std::io::ErrorKind::NotADirectory.into()));
    }
    if at != dir {
        access(&at, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(error.into()))?;
        return Ok(Found::CanBeMade);
    }
    let mut file = tempfile::tempfile_in(dir).map_err(failed)?;
    file.write_all(&[0; 4096]).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Found::Writable)
}

/// The path itself if it is there, or the nearest directory above it that is.
fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    there.unwrap_or(Path::new("/")).to_owned()
}

/// Whether control sockets have short enough paths, in the directory in which the user wants them.
pub(crate) fn control_path_check(paths: &Paths, wanted: Option<&str>) -> Check {
    const NAME: &str = "control-path";
    let dir = paths.runtime_dir.display();
    let text = match wiring::control_path(paths) {
        Ok(path) => {
            format!("{} of at most {} bytes, in {dir}", path.as_os_str().len(), wiring::LONGEST_CONTROL_PATH)
        }
        Err(failure) => return Check::failed(NAME, &failure),
    };
    match wanted.map(Path::new).filter(|wanted| !paths.runtime_dir.starts_with(wanted)) {
        None => Check::ok(NAME, text),
        Some(wanted) => {
            let why = if wanted.is_absolute() { "too long for sockets" } else { "not absolute" };
            Check::warning(
                NAME,
                format!("XDG_RUNTIME_DIR={} is {why}, so that {dir} is used: {text}", wanted.display()),
                "set XDG_RUNTIME_DIR to a short absolute path, such as the /run/user/UID of your system: what is in \
                 /tmp may be cleared away",
            )
        }
    }
}

/// Whether services of a local profile have a place for their files.
pub(crate) fn local_home_check(root: &Path) -> Check {
    const NAME: &str = "home";
    match try_out(root) {
        Ok(Found::Writable) => Check::ok(NAME, format!("{} can be written", root.display())),
        Ok(Found::CanBeMade) => Check::ok(NAME, format!("{} (not there yet)", root.display())),
        Err((at, error)) => {
            let text = format!("failed to write below {}: {error}", at.display());
            let hint = remedy(&at, &error, "name another home in the profile");
            Check::wrong(NAME, text, hint)
        }
    }
}

/// Whether the programs are there that start a service on this machine.
pub(crate) fn tools_check() -> Check {
    const NAME: &str = "shell";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&&str| {
        std::env::split_paths(&path).any(|dir| access(dir.join(name), Access::EXEC_OK).is_ok())
    };
    let missing: Vec<&str> = ["bash", "setsid"].iter().filter(|name| !is_there(name)).copied().collect();
    match missing.as_slice() {
        [] => Check::ok(NAME, "bash and setsid are there"),
        missing => Check::wrong(
            NAME,
            format!("not on PATH: {}", missing.join(", ")),
            "install them; Debian's packages are bash and util-linux",
        ),
    }
}

/// A path as a word of a command that a person may type.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    shlex::try_quote(&text).map(|word| word.into_owned()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn paths(runtime_dir: &str) -> Paths {
        Paths { config_file: "/c".into(), data_dir: "/d".into(), runtime_dir: runtime_dir.into() }
    }

    #[test]
    fn control_paths_are_short_and_where_the_user_wants_them() {
        let check = |dir: &str, wanted| control_path_check(&paths(dir), wanted);
        assert_eq!(check("/run/user/7/towline", Some("/run/user/7")).verdict, Verdict::Ok);
        assert_eq!(check("/tmp/towline-7", None).verdict, Verdict::Ok);
        let long = check("/tmp/towline-7", Some("/very/long"));
        assert!(long.verdict == Verdict::Warning && long.text.contains("too long"), "{long:?}");
        assert!(check("/tmp/towline-7", Some("run")).text.contains("not absolute"));
        assert!(check(&format!("/{}", "x".repeat(68)), None).is_failed());
        assert!(!check(&format!("/{}", "x".repeat(67)), None).is_failed());
    }

    #[test]
    fn a_directory_that_could_be_made_is_not_made() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("a/b");
        assert!(matches!(try_out(&dir), Ok(Found::CanBeMade)));
        assert!(!base.path().join("a").exists());
        assert!(matches!(try_out(base.path()), Ok(Found::Writable)));
        std::fs::write(base.path().join("a"), "").unwrap();
        let (at, error) = try_out(&dir).unwrap_err();
        assert_eq!((at, error.kind()), (base.path().join("a"), std::io::ErrorKind::NotADirectory));
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1, "nothing is left behind");
        assert!(try_out(Path::new("/proc")).is_err(), "not even root can make files there");
    }

    #[test]
    fn what_to_do_goes_with_what_is_wrong() {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let told = |kind: std::io::ErrorKind| remedy(Path::new("/a b"), &kind.into(), "go away");
        assert_eq!(told(PermissionDenied), "`chmod u+rwX '/a b'`, or go away");
        assert_eq!(told(StorageFull), "free some space there (`df -h '/a b'; df -i '/a b'`), or go away");
        assert_eq!(told(ReadOnlyFilesystem), "go away");
    }

    #[test]
    fn paths_are_told_as_one_types_them() {
        assert_eq!(quoted(Path::new("/a/b")), "/a/b");
        assert_eq!(quoted(Path::new("/a b")), "'/a b'");
    }
}
