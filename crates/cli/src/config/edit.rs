//! Changes to the configuration file that keep its comments and its order.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value, value};

use super::settings::{LOCAL, ProfileName};
use super::text::unquoted;

/// The configuration file, read and locked for a change.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    document: DocumentMut,
    /// Its lock, on the directory, makes several `towline` processes change the file one after the other.
    _directory: File,
}

/// Why the configuration file was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// It cannot be read.
    #[error("failed to read the configuration {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("failed to write the configuration {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no TOML.
    #[error("failed to understand the configuration {}: {problem}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser complains of, without the text at which it did: that may be a secret.
        problem: String,
    },
    /// There is a profile of that name.
    #[error("there is a profile {name} already")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The file has no profile of that name.
    #[error("there is no profile {name} in {}", .path.display())]
    NoProfile {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The profile is built in.
    #[error("the profile {LOCAL} is built in")]
    BuiltIn,
    /// `profiles` in the file is no table.
    #[error("`profiles` is not a table in {}", .path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
    },
}

impl ConfigFile {
    /// Reads the file for a change. A missing one is an empty one; its directory is made.
    ///
    /// # Errors
    /// [`EditError::Read`], [`EditError::Write`] or [`EditError::Syntax`].
    pub(crate) fn open(path: &Path) -> Result<Self, EditError> {
        // A configuration kept among other dotfiles is often a symbolic link, which a rename would replace.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let unwritable = |source| EditError::Write { path: path.clone(), source };
        let directory = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(directory).map_err(unwritable)?;
        let directory = File::open(directory).map_err(unwritable)?;
        rustix::fs::flock(&directory, FlockOperation::LockExclusive).map_err(|err| unwritable(err.into()))?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(EditError::Read { path, source }),
        };
        match text.parse::<DocumentMut>() {
            Ok(document) => Ok(Self { path, document, _directory: directory }),
            Err(err) => Err(EditError::Syntax { path, problem: unquoted(&err.to_string()) }),
        }
    }

    /// Adds a profile with these values.
    ///
    /// # Errors
    /// [`EditError::Duplicate`] or [`EditError::BuiltIn`] if the name is taken.
    pub(crate) fn add_profile(
        &mut self,
        name: &ProfileName,
        values: &serde_json::Map<String, Json>,
    ) -> Result<(), EditError> {
        if name.as_str() == LOCAL {
            return Err(EditError::BuiltIn);
        }
        let profiles = self.profiles()?;
        if profiles.contains_key(name.as_str()) {
            return Err(EditError::Duplicate { name: name.as_str().to_owned() });
        }
        let mut table = Table::new();
        for (key, json) in values {
            if let Some(toml) = toml(json) {
                table.insert(key, value(toml));
            }
        }
        profiles.insert(name.as_str(), Item::Table(table));
        Ok(())
    }

    /// Removes a profile, and the default if it was that one.
    ///
    /// # Errors
    /// [`EditError::NoProfile`] if the file has none of that name.
    pub(crate) fn remove_profile(&mut self, name: &str) -> Result<(), EditError> {
        if self.profiles()?.remove(name).is_none() {
            return match name {
                LOCAL => Err(EditError::BuiltIn),
                _ => Err(EditError::NoProfile { name: name.to_owned(), path: self.path.clone() }),
            };
        }
        if self.default_profile() == Some(name) {
            self.document.remove("default_profile");
        }
        Ok(())
    }

    /// The default profile that the file names.
    pub(crate) fn default_profile(&self) -> Option<&str> {
        self.document.get("default_profile")?.as_str()
    }

    /// Names the default profile.
    pub(crate) fn set_default_profile(&mut self, name: &str) {
        match self.document.get_mut("default_profile").and_then(Item::as_value_mut) {
            Some(present) => {
                let decor = present.decor().clone();
                *present = Value::from(name);
                *present.decor_mut() = decor;
            }
            None => {
                self.document.insert("default_profile", value(name));
            }
        }
    }

    /// Writes the file beside and renames it, readable by this user alone.
    ///
    /// # Errors
    /// [`EditError::Write`]; then the file is as it was.
    pub(crate) fn save(self) -> Result<PathBuf, EditError> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let write = || -> io::Result<()> {
            // A temporary file of this crate has mode 0600.
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(self.document.to_string().as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        match write() {
            Ok(()) => Ok(self.path),
            Err(source) => Err(EditError::Write { path: self.path, source }),
        }
    }

    fn profiles(&mut self) -> Result<&mut dyn toml_edit::TableLike, EditError> {
        let profiles = self.document.entry("profiles").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        profiles.as_table_like_mut().ok_or_else(|| EditError::NoTable { path: self.path.clone() })
    }
}

fn toml(json: &Json) -> Option<Value> {
    match json {
        Json::Null => None,
        Json::Bool(truth) => Some((*truth).into()),
        Json::Number(number) => number.as_i64().map(Value::from).or_else(|| number.as_f64().map(Value::from)),
        Json::String(text) => Some(text.into()),
        Json::Array(list) => Some(Value::Array(list.iter().filter_map(toml).collect::<Array>())),
        Json::Object(table) => {
            let pairs = table.iter().filter_map(|(key, json)| Some((key, toml(json)?)));
            Some(Value::InlineTable(pairs.collect::<InlineTable>()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use serde_json::json;

    use super::*;

    const BEFORE: &str =
        "# mine\ndefault_profile = \"lab\" # usual\n\n[profiles.lab] # big\nkind = \"slurm\"\n";

    fn edited(
        text: &str,
        change: impl FnOnce(&mut ConfigFile) -> Result<(), EditError>,
    ) -> Result<String, EditError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/config.toml");
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(&path, text).unwrap();
        let mut file = ConfigFile::open(&path)?;
        change(&mut file)?;
        file.save()?;
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        Ok(std::fs::read_to_string(&path).unwrap())
    }

    fn lab(name: &str) -> ProfileName {
        name.parse().unwrap()
    }

    #[test]
    fn adding_keeps_comments_and_quotes_values() {
        let values =
            json!({"kind": "slurm", "host": "a\"b\n", "cpus": 4, "setup": ["x y"], "env": {"K": "v"}});
        let text = edited(BEFORE, |file| file.add_profile(&lab("two"), values.as_object().unwrap())).unwrap();
        assert!(text.starts_with(BEFORE), "{text}");
        let read: DocumentMut = text.parse().unwrap();
        assert_eq!(read["profiles"]["two"]["host"].as_str(), Some("a\"b\n"));
        assert_eq!(read["profiles"]["two"]["cpus"].as_integer(), Some(4));
        assert_eq!(read["profiles"]["two"]["env"]["K"].as_str(), Some("v"));
    }

    #[test]
    fn names_are_added_once() {
        let none = serde_json::Map::new();
        let again = edited(BEFORE, |file| file.add_profile(&lab("lab"), &none));
        assert!(matches!(again, Err(EditError::Duplicate { .. })));
        let local = edited(BEFORE, |file| file.add_profile(&lab("local"), &none));
        assert!(matches!(local, Err(EditError::BuiltIn)));
    }

    #[test]
    fn removing_the_default_profile_leaves_no_dangling_default() {
        let text = edited(BEFORE, |file| file.remove_profile("lab")).unwrap();
        assert!(!text.contains("lab"), "{text}");
        let missing = edited(BEFORE, |file| file.remove_profile("ghost"));
        assert!(matches!(missing, Err(EditError::NoProfile { .. })));
        assert!(matches!(edited("", |file| file.remove_profile("local")), Err(EditError::BuiltIn)));
    }

    #[test]
    fn the_default_is_replaced_in_its_place() {
        let text = edited(BEFORE, |file| {
            file.set_default_profile("two");
            Ok(())
        });
        assert_eq!(text.unwrap(), BEFORE.replace("\"lab\" # usual", "\"two\" # usual"));
        let text = edited("# only this\n", |file| {
            file.set_default_profile("two");
            Ok(())
        });
        assert!(text.unwrap().contains("default_profile = \"two\""));
    }

    #[test]
    fn what_cannot_be_understood_is_left_alone() {
        let error = edited("[profiles]\ntoken = 'hush", |_| Ok(())).unwrap_err();
        assert!(matches!(&error, EditError::Syntax { .. }) && !error.to_string().contains("hush"), "{error}");
        let scalar = edited("profiles = 3\n", |file| file.remove_profile("x"));
        assert!(matches!(scalar, Err(EditError::NoTable { .. })));
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.toml"), dir.path().join("link.toml"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut file = ConfigFile::open(&link).unwrap();
        file.set_default_profile("lab");
        file.save().unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert!(std::fs::read_to_string(&real).unwrap().contains("lab"));
    }
}
