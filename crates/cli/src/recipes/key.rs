//! The key that a service is to ask its clients for, as `--api-key` says it.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use towline_recipes::{Key, SecretValue};
use uuid::Uuid;

use super::options::NONE;
use crate::exit::{Failure, Kind, Outcome};

/// What stands before the file of a key that was typed: it is read once, and gone.
const TAKEN: &str = "taken";

/// What the name of that file begins with.
const KEY_FILE: &str = "towline-key-";

/// The longest file of a key, in bytes.
const KEY_MAX: u64 = 1 << 16;

/// What `--api-key` says; a random key where it says nothing and the service can check one.
///
/// A key that stands on the command line `words` is put into a file, and this program is started again without it: all on
/// this machine can read command lines. Then this does not return. Without words, which nobody has typed, it is refused.
///
/// # Errors
/// [`Kind::Usage`] for what names no key, [`Kind::Config`] for a file that cannot be read or that others can read. No key is
/// in them.
pub(crate) fn key(said: Option<&str>, words: &[OsString]) -> Outcome<Key> {
    let Some(said) = said else {
        return value(random()).map(Key::IfTaken);
    };
    let key = match said.split_once(':') {
        None if said == NONE => return Ok(Key::None),
        None => {
            value(said.to_owned())?;
            return Err(match words {
                [] => Failure::new(Kind::Usage, "bad --api-key: a key itself belongs into a file of its own"),
                words => start_without(said, words),
            });
        }
        Some(("env", name)) => std::env::var(name).map_err(|_| {
            // Who writes env:$KEY has given the key itself, which is printed nowhere.
            Failure::new(Kind::Usage, "bad --api-key: the variable that it names is not set here")
                .hint("write the name of the variable, without $: env:NAME")
        })?,
        Some(("file", path)) => of_file(Path::new(path))?,
        Some((TAKEN, path)) if is_ours(Path::new(path)) => {
            let key = of_file(Path::new(path))?;
            // It is of no use to anybody any more; where it lies, nobody else reads it.
            drop(std::fs::remove_file(path));
            key
        }
        Some(_) => {
            let message = "bad --api-key: it is neither a key, env:NAME, file:PATH nor none";
            return Err(Failure::new(Kind::Usage, message)
                .hint("a key with a colon in it can be given in a variable or a file"));
        }
    };
    value(key.trim_end_matches(['\r', '\n']).to_owned()).map(Key::Given)
}

/// A key that nobody can guess: 244 random bits of the operating system.
fn random() -> String {
    format!("tl-{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn value(text: String) -> Outcome<SecretValue> {
    SecretValue::new(text).map_err(|what| Failure::new(Kind::Usage, format!("bad --api-key: {what}")))
}

/// What a file holds that nobody else can read.
///
/// # Errors
/// [`Kind::Config`] if it cannot be read, or others can read it. Nothing of it is in them.
pub(crate) fn of_file(path: &Path) -> Outcome<String> {
    let read = || -> std::io::Result<(String, bool)> {
        let file =
            rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
        let about = rustix::fs::fstat(&file)?;
        let text = std::io::read_to_string(std::io::Read::take(std::fs::File::from(file), KEY_MAX))?;
        if text.len() as u64 == KEY_MAX {
            return Err(std::io::Error::other("it is too long for a key"));
        }
        Ok((text, about.st_mode & 0o077 != 0))
    };
    let what = || format!("failed to read the key's file {}", path.display());
    let (text, is_open) = read()
        .map_err(|error| Failure::from_error(Kind::Config, anyhow::Error::new(error).context(what())))?;
    if is_open {
        return Err(Failure::new(Kind::Config, format!("{} can be read by others", path.display()))
            .hint(format!("chmod 600 {}", path.display())));
    }
    Ok(text)
}

/// Starts this program anew in this process, with the key in a file. Returns why it could not.
fn start_without(key: &str, words: &[OsString]) -> Failure {
    let started = || -> std::io::Result<std::convert::Infallible> {
        let path = kept(key)?;
        let mut taken = OsString::from(format!("{TAKEN}:"));
        taken.push(&path);
        let mut command = Command::new(std::env::current_exe()?);
        let error = match words.split_first() {
            Some((program, rest)) => command.arg0(program).args(without(key, &taken, rest)).exec(),
            None => std::io::ErrorKind::InvalidInput.into(),
        };
        std::fs::remove_file(path)?;
        Err(error)
    };
    let Err(error) = started();
    let failure = anyhow::Error::new(error).context("failed to take the key off the command line");
    Failure::from_error(Kind::Internal, failure).hint("give it in a variable: --api-key env:NAME")
}

/// Where a key is put that was typed.
fn key_dir() -> PathBuf {
    let dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    dir.unwrap_or_else(std::env::temp_dir)
}

/// Whether a file can be one of a key that was typed: no other is read once and removed.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent() == Some(&key_dir()) && name.is_some_and(|name| name.starts_with(KEY_FILE))
}

/// Puts a key into a new file that its user alone can read, and tells where.
fn kept(key: &str) -> std::io::Result<PathBuf> {
    let mut file = tempfile::Builder::new().prefix(KEY_FILE).tempfile_in(key_dir())?;
    file.write_all(key.as_bytes())?;
    Ok(file.into_temp_path().keep()?)
}

/// The words of a command line with `taken` where the option has the key.
fn without(key: &str, taken: &OsString, words: &[OsString]) -> Vec<OsString> {
    let whole = format!("--api-key={key}");
    let mut after_option = false;
    let mut is_over = false;
    let replaced = words.iter().map(|word| {
        is_over |= word == "--";
        let is_key = after_option && word == key;
        after_option = word == "--api-key";
        if is_over || !is_key && *word != *whole {
            return word.clone();
        }
        let mut with = OsString::from(if is_key { "" } else { "--api-key=" });
        with.push(taken);
        with
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn given(said: &str) -> Outcome<Key> {
        key(Some(said), &[])
    }

    #[test]
    fn a_key_is_read_from_where_nobody_else_looks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "hush\n").unwrap();
        let of_file = || given(&format!("file:{}", path.display()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(of_file().unwrap_err().error.to_string().contains("can be read by others"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(of_file().unwrap(), Key::Given(SecretValue::new("hush").unwrap()));
        std::fs::write(&path, "two words").unwrap();
        let told = of_file().unwrap_err();
        assert!(!format!("{told:?}").contains("two"), "{told:?}");
        std::fs::write(&path, "one,two").unwrap();
        assert!(of_file().is_err());
        assert_eq!(given("none").unwrap(), Key::None);
        for bad in
            ["env:hush", "env:SURELY_NOT_SET", "env:", "file:/nonexistent", "none:x", "hush:x", "", "hu sh"]
        {
            let told = given(bad).unwrap_err();
            assert!(!format!("{told:?}").contains("hush"), "{told:?}");
        }
    }

    #[test]
    fn a_random_key_is_another_each_time() {
        let Key::IfTaken(_) = key(None, &[]).unwrap() else { panic!("it is for who takes one") };
        assert_ne!(random(), random());
        assert_eq!(random().len(), 67);
    }

    #[test]
    fn a_key_is_taken_off_the_command_line_and_nothing_else_is() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let without = |line: &str| without("k", &"taken:/f".into(), &words(line));
        for (line, told) in [
            ("run web --api-key k -d", "run web --api-key taken:/f -d"),
            ("run web --api-key=k --name k", "run web --api-key=taken:/f --name k"),
            ("run k --api-key k -- --api-key k", "run k --api-key taken:/f -- --api-key k"),
        ] {
            assert_eq!(without(line), words(told));
        }
    }

    #[test]
    fn a_key_that_was_typed_lies_where_its_user_alone_reads_it_and_is_read_once() {
        let path = kept("hush").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let taken = format!("{TAKEN}:{}", path.display());
        assert_eq!(given(&taken).unwrap(), Key::Given(SecretValue::new("hush").unwrap()));
        assert!(!path.exists() && given(&taken).is_err());
    }
}
