//! Profiles of Blackfish: an INI file in the dialect of Python's `configparser`, one section a profile.
//!
//! Read from the sources of Blackfish 1.0 (`server/models/profile.py`): `schema` (before: `type`) is `slurm` or
//! `local`; a Slurm profile has `host`, `user`, `home_dir`, `cache_dir` and perhaps `python_path`, and the host
//! `localhost` means that this machine is a login node; `default` is a truth value.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::settings::{Kind, ProfileName};

/// A profile as Blackfish keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Legacy {
    /// Its name, which may be none of ours.
    pub(crate) name: String,
    /// What became of it.
    pub(crate) imported: Result<Imported, String>,
    /// Whether Blackfish uses it when none is named.
    pub(crate) default: bool,
}

/// What a profile of Blackfish is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    /// Its name.
    pub(crate) name: ProfileName,
    /// Its values, as our file names them.
    pub(crate) values: Map<String, Json>,
}

type Section = BTreeMap<String, String>;

/// Reads all profiles of a file.
///
/// # Errors
/// The first line that is neither a section, a value nor a comment.
pub(crate) fn read_profiles(text: &str) -> Result<Vec<Legacy>, String> {
    let sections = sections(text)?;
    let flagged = |section: &Section| section.get("default").is_some_and(|word| is_true(word));
    let default = sections
        .iter()
        .position(|(_, section)| flagged(section))
        .or_else(|| sections.iter().position(|(name, _)| name == "default"))
        .unwrap_or(0);
    let legacy = |(index, (name, section)): (usize, &(String, Section))| Legacy {
        name: name.clone(),
        imported: import(name, section),
        default: index == default,
    };
    Ok(sections.iter().enumerate().map(legacy).collect())
}

fn import(name: &str, section: &Section) -> Result<Imported, String> {
    let name = name.parse::<ProfileName>().map_err(|err| err.to_string())?;
    let schema = section.get("schema").or_else(|| section.get("type")).map(String::as_str);
    let mut values = Map::new();
    match schema {
        Some("local") => {
            values.insert("kind".to_owned(), json!(Kind::Local));
        }
        Some("slurm") => {
            values.insert("kind".to_owned(), json!(Kind::Slurm));
            let host = section.get("host").ok_or("it has no host")?;
            if host != "localhost" {
                values.insert("host".to_owned(), json!(host));
                if let Some(user) = section.get("user").filter(|user| !user.is_empty()) {
                    values.insert("user".to_owned(), json!(user));
                }
            }
            if let Some(home) = section.get("home_dir").filter(|dir| !dir.is_empty()) {
                values.insert("home".to_owned(), json!(home_beside(home)));
            }
        }
        Some(other) => return Err(format!("{other:?} is no kind of profile")),
        None => return Err("it has no schema".to_owned()),
    }
    Ok(Imported { name, values })
}

/// A directory of our own on the same file system, never Blackfish's own one.
fn home_beside(home_dir: &str) -> String {
    let home_dir = home_dir.trim_end_matches('/');
    match home_dir.strip_suffix(".blackfish") {
        Some(parent) => format!("{parent}.towline"),
        None => format!("{home_dir}/towline"),
    }
}

fn is_true(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

fn sections(text: &str) -> Result<Vec<(String, Section)>, String> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    let mut shared = Section::new();
    let mut in_shared = false;
    for (index, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            in_shared = name == "DEFAULT";
            if !in_shared {
                sections.push((name.to_owned(), Section::new()));
            }
            continue;
        }
        let bad = || format!("line {} is neither a section nor a value", index + 1);
        let (key, value) = line.split_once(['=', ':']).ok_or_else(bad)?;
        let section = match sections.last_mut() {
            _ if in_shared => &mut shared,
            Some((_, section)) => section,
            None => return Err(bad()),
        };
        section.insert(key.trim().to_ascii_lowercase(), value.trim().replace("%%", "%"));
    }
    for (_, section) in &mut sections {
        for (key, value) in &shared {
            section.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
[default]
schema = local
home_dir = /home/u/.blackfish
cache_dir = /scratch/u

# the cluster
[della]
type: slurm
user = alice
host = della.example.edu
home_dir = /home/alice/.blackfish
cache_dir = /scratch/gpfs
python_path = /usr/bin/python3
default = true

[here]
schema = slurm
user = alice
host = localhost
home_dir = /scratch/alice/bf/
cache_dir = /c

[odd name]
schema = slurm

[pbs]
schema = pbs
";

    #[test]
    fn profiles_are_carried_over() {
        let found = read_profiles(FILE).unwrap();
        let values = |index: usize| Json::Object(found[index].imported.as_ref().unwrap().values.clone());
        assert_eq!(values(0), json!({"kind": "local"}));
        let della = json!({"kind": "slurm", "host": "della.example.edu", "user": "alice", "home": "/home/alice/.towline"});
        assert_eq!(values(1), della);
        assert_eq!(values(2), json!({"kind": "slurm", "home": "/scratch/alice/bf/towline"}));
        assert!(found[3].imported.is_err());
        assert!(found[4].imported.is_err());
        assert_eq!(found.iter().position(|legacy| legacy.default), Some(1));
    }

    #[test]
    fn without_a_flag_the_one_named_default_is_the_default() {
        let found = read_profiles("[a]\nschema=local\n[default]\nschema=local\n").unwrap();
        assert!(found[1].default && !found[0].default);
        assert!(read_profiles("[a]\nschema=local\n").unwrap()[0].default);
        assert_eq!(read_profiles("").unwrap(), []);
    }

    #[test]
    fn values_of_the_shared_section_hold_for_all() {
        let found = read_profiles("[DEFAULT]\nschema = local\n[a]\n").unwrap();
        assert!(found[0].imported.is_ok());
    }

    #[test]
    fn what_is_no_ini_file_is_refused() {
        assert!(read_profiles("hello\n").is_err());
        assert!(read_profiles("a = b\n").is_err());
    }
}
