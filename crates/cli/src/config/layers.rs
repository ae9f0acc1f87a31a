//! The layers of the configuration, from weakest to strongest: built in, file, environment, command line.

use std::io;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Provider};
use serde::Serialize;

use super::settings::{Config, Kind, LOCAL, Profile, ProfileName};
use super::text::unquoted;

/// Prefix of the variables that set configuration values; `__` stands between the parts of a key.
const PREFIX: &str = "TOWLINE_";

/// Variables with that prefix that are no configuration values: they say where the configuration and the data lie and
/// what to log, and the last one marks the processes of a service, in which towline may be used as well.
const NOT_SETTINGS: [&str; 4] = ["TOWLINE_CONFIG", "TOWLINE_DATA_DIR", "TOWLINE_LOG", "TOWLINE_SERVICE"];

/// Names of the layers, as `config show` and errors tell them.
pub(super) const BUILT_IN: &str = "built in";
const COMMAND_LINE: &str = "command line";

/// What the command line says about configuration values. May hold secrets.
#[derive(Clone, Default)]
pub(crate) struct Flags {
    /// The profile to use instead of the default one.
    pub(crate) profile: Option<String>,
    /// Values for that profile, under the names that they have in the file.
    pub(crate) values: serde_json::Map<String, serde_json::Value>,
}

/// The merged layers, each value still knowing where it came from. May hold secrets.
#[derive(Clone)]
pub(crate) struct Layers {
    pub(super) figment: Figment,
}

/// Why a configuration could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The file is there and cannot be read.
    #[error("failed to read the configuration {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A value is wrong, or the file is no TOML.
    #[error("bad configuration: {problem}")]
    Invalid {
        /// What is wrong, with its key and where it was said.
        problem: String,
    },
}

impl Layers {
    /// Reads all layers. A missing file is an empty one.
    ///
    /// # Errors
    /// [`LoadError::Read`] if the file cannot be read; wrong values are found by [`Layers::config`].
    pub(crate) fn load(
        file: &Path,
        env: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, LoadError> {
        let mut figment = Figment::new().merge(built_in());
        match std::fs::metadata(file).and_then(|_| std::fs::File::open(file)) {
            Ok(_) => figment = figment.merge(Toml::file_exact(file)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(LoadError::Read { path: file.to_owned(), source }),
        }
        for (name, value) in env {
            if let Some(layer) = variable(&name, value) {
                figment = figment.merge(layer);
            }
        }
        Ok(Self { figment: add_flags(figment, flags) })
    }

    /// The configuration that results.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] for the first value that is unknown or wrong.
    pub(crate) fn config(&self) -> Result<Config, LoadError> {
        let config: Config = self
            .figment
            .extract_lossy()
            .map_err(|error| LoadError::Invalid { problem: problems(self, error).join("; ") })?;
        match config.profiles.iter().find_map(|(name, profile)| misuse(name, profile)) {
            Some((problem, key)) => {
                let origin = self.figment.find_metadata(&key).map(origin).unwrap_or_default();
                Err(LoadError::Invalid { problem: format!("{problem} for {key} ({origin})") })
            }
            None => Ok(config),
        }
    }
}

/// What is wrong with a profile whose values are all right, each for itself, and the key to which that applies.
fn misuse(name: &str, profile: &Profile) -> Option<(String, String)> {
    if let Err(err) = name.parse::<ProfileName>() {
        return Some((err.to_string(), format!("profiles.{name}")));
    }
    (name == LOCAL && profile.kind != Kind::Local).then(|| {
        let problem = format!("the profile {LOCAL} is this machine: choose another name for a cluster");
        (problem, format!("profiles.{LOCAL}.kind"))
    })
}

fn built_in() -> Layer {
    let local = Dict::from([("kind".to_owned(), Value::from("local"))]);
    let profiles = Dict::from([(LOCAL.to_owned(), Value::from(local))]);
    Layer {
        name: BUILT_IN.to_owned(),
        values: Dict::from([
            ("default_profile".to_owned(), Value::from(LOCAL)),
            ("profiles".to_owned(), Value::from(profiles)),
        ]),
    }
}

/// Values from a variable stay the text that they are: `ACCOUNT=007` is no number.
fn variable(name: &str, value: String) -> Option<Layer> {
    if NOT_SETTINGS.contains(&name) {
        return None;
    }
    let parts: Vec<&str> = name.strip_prefix(PREFIX)?.split("__").collect();
    let mut nested = Value::from(value);
    for (depth, part) in parts.iter().enumerate().rev() {
        // The fourth part of profiles.NAME.env.VARIABLE is the only one whose case means something.
        let key = if depth == 3 { (*part).to_owned() } else { part.to_ascii_lowercase() };
        nested = Value::from(Dict::from([(key, nested)]));
    }
    Some(Layer { name: format!("environment variable {name}"), values: nested.into_dict()? })
}

/// Lists on the command line add to those of the profile, everything else replaces.
fn add_flags(mut figment: Figment, flags: &Flags) -> Figment {
    let layer = |values| Layer { name: COMMAND_LINE.to_owned(), values };
    if let Some(profile) = &flags.profile {
        figment =
            figment.merge(layer(Dict::from([("default_profile".to_owned(), Value::from(profile.as_str()))])));
    }
    let Ok(profile) = figment.extract_inner::<String>("default_profile") else {
        return figment;
    };
    // A profile that does not exist is not made up by giving it values: it is missed later, by name.
    if flags.values.is_empty() || !figment.contains(&format!("profiles.{profile}")) {
        return figment;
    }
    let Ok(values) = Value::serialize(&flags.values) else {
        return figment;
    };
    let named = Dict::from([(profile, values)]);
    figment.admerge(layer(Dict::from([("profiles".to_owned(), Value::from(named))])))
}

fn problems(layers: &Layers, error: figment::Error) -> Vec<String> {
    error
        .into_iter()
        .map(|one| {
            let key = one.path.join(".");
            let origin = one.metadata.as_ref().map(origin);
            let origin = origin.or_else(|| layers.figment.find_metadata(&key).map(self::origin));
            let mut text = words(&one.kind, is_secret(&key));
            if !key.is_empty() && !text.contains(&key) {
                text.push_str(&format_args!(" for {key}").to_string());
            }
            if let Some(origin) = origin {
                text.push_str(&format_args!(" ({origin})").to_string());
            }
            text
        })
        .collect()
}

fn words(kind: &figment::error::Kind, secret: bool) -> String {
    match kind {
        figment::error::Kind::InvalidType(_, expected) if secret => format!("expected {expected}"),
        figment::error::Kind::UnknownField(found, known) => {
            let near = crate::names::nearest(found, known.iter().copied());
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            format!("unknown key {found}{hint}")
        }
        figment::error::Kind::MissingField(name) => format!("missing key {name}"),
        figment::error::Kind::UnknownVariant(found, known) => {
            format!("found {found}, expected {}", known.join(" or "))
        }
        figment::error::Kind::Message(text) => unquoted(text),
        other => other.to_string().trim_end().to_owned(),
    }
}

/// Whether the value of a key may hold what must not be printed. A key that is unknown may be a secret's, misspelt.
pub(super) fn is_secret(key: &str) -> bool {
    match key.split('.').collect::<Vec<_>>().as_slice() {
        ["profiles", _, "env", ..] | ["profiles", _, _, _, ..] => true,
        ["default_profile"] | ["profiles", ..] => false,
        _ => true,
    }
}

/// Where a value came from, for people.
pub(super) fn origin(metadata: &Metadata) -> String {
    match metadata.source.as_ref().and_then(|source| source.file_path()) {
        Some(path) => format!("file {}", path.display()),
        None => metadata.name.to_string(),
    }
}

/// Values with the name of where they came from.
struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<figment::Profile, Dict>, figment::Error> {
        Ok(Map::from([(figment::Profile::Default, self.values.clone())]))
    }
}

/// Turns values of the command line into the table of [`Flags`].
///
/// Leaves out what was not said: absent options and empty lists.
pub(crate) fn said(values: &impl Serialize) -> serde_json::Map<String, serde_json::Value> {
    let Ok(serde_json::Value::Object(mut table)) = serde_json::to_value(values) else {
        return serde_json::Map::new();
    };
    table.retain(|_, value| match value {
        serde_json::Value::Null => false,
        serde_json::Value::Array(list) => !list.is_empty(),
        serde_json::Value::Object(table) => !table.is_empty(),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) | serde_json::Value::String(_) => true,
    });
    table
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(toml: &str, env: &[(&str, &str)], flags: &Flags) -> Layers {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, toml).unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Layers::load(&file, env, flags).unwrap()
    }

    fn problem(toml: &str, env: &[(&str, &str)]) -> String {
        load(toml, env, &Flags::default()).config().err().unwrap().to_string()
    }

    const LAB: &str = "[profiles.lab]\nkind = 'slurm'\nhost = 'login'\naccount = 12345\nsetup = ['a']\n";

    #[test]
    fn without_anything_there_is_the_local_profile() {
        let missing = Layers::load(Path::new("/nonexistent/x.toml"), [], &Flags::default()).unwrap();
        let config = missing.config().unwrap();
        assert_eq!(config.default_profile, "local");
        assert_eq!(config.profiles["local"].kind, Kind::Local);
    }

    #[test]
    fn stronger_layers_win() {
        let flags = Flags {
            profile: Some("lab".into()),
            values: said(&serde_json::json!({ "qos": "flag", "setup": ["b"], "cpus": null, "env": {} })),
        };
        let env = [
            ("TOWLINE_DEFAULT_PROFILE", "other"),
            ("TOWLINE_PROFILES__LAB__HOST", "login2"),
            ("TOWLINE_PROFILES__LAB__QOS", "env"),
            ("TOWLINE_LOG", "debug"),
            ("HOME", "/x"),
        ];
        let config = load(LAB, &env, &flags).config().unwrap();
        let lab = &config.profiles["lab"];
        assert_eq!(config.default_profile, "lab");
        assert_eq!(lab.host.as_deref(), Some("login2"));
        assert_eq!(lab.resources().qos.as_deref(), Some("flag"));
        assert_eq!(lab.resources().account.as_deref(), Some("12345"));
        assert_eq!(lab.setup, ["a", "b"], "lists of the command line are added");
    }

    #[test]
    fn variables_keep_their_text() {
        let env = [
            ("TOWLINE_PROFILES__LAB__ACCOUNT", "007"),
            ("TOWLINE_PROFILES__LAB__PARTITION", "true"),
            ("TOWLINE_PROFILES__LAB__CPUS", "4"),
            ("TOWLINE_PROFILES__LAB__REQUEUE", "false"),
            ("TOWLINE_PROFILES__LAB__GRACE", "2m"),
            ("TOWLINE_PROFILES__LAB__SETUP", "module load a\nmodule load b"),
            ("TOWLINE_PROFILES__LAB__ENV__HF_TOKEN", "s3cret"),
        ];
        let config = load(LAB, &env, &Flags::default()).config().unwrap();
        let lab = &config.profiles["lab"];
        let resources = lab.resources();
        assert_eq!(resources.account.as_deref(), Some("007"));
        assert_eq!(resources.partition.as_deref(), Some("true"));
        assert_eq!((resources.cpus, resources.requeue), (Some(4), Some(false)));
        assert_eq!(lab.grace.unwrap().0, Duration::from_secs(120));
        assert_eq!(lab.setup, ["module load a", "module load b"]);
        assert_eq!(lab.env["HF_TOKEN"], "s3cret");
    }

    #[test]
    fn toml_numbers_and_times_are_texts_where_texts_are_wanted() {
        let toml = "[profiles.lab]\nkind='slurm'\ntime = 01:30:00\nmem = 500\ngrace = 90\ngpus = 2\n";
        let config = load(toml, &[], &Flags::default()).config().unwrap();
        let resources = config.profiles["lab"].resources();
        assert_eq!(resources.time.as_deref(), Some("01:30:00"));
        assert_eq!(resources.mem.as_deref(), Some("500"));
        assert_eq!(resources.gpus.as_deref(), Some("2"));
    }

    #[test]
    fn unknown_keys_are_named_with_their_source() {
        let text = problem("colour = 'red'\n", &[]);
        assert!(text.contains("colour") && text.contains("config.toml"), "{text}");
        let text = problem("[profiles.lab]\nkind = 'slurm'\nhots = 'x'\n", &[]);
        assert!(text.contains("hots") && text.contains("config.toml"), "{text}");
        let text = problem("", &[("TOWLINE_COLOUR", "red")]);
        assert!(text.contains("colour") && text.contains("TOWLINE_COLOUR"), "{text}");
    }

    #[test]
    fn wrong_values_are_named_with_their_source() {
        let text = problem("[profiles.lab]\nkind = 'pbs'\n", &[]);
        assert!(text.contains("pbs") && text.contains("profiles.lab.kind"), "{text}");
        let text = problem("[profiles.lab]\nhost = 'x'\n", &[]);
        assert!(text.contains("kind") && text.contains("profiles.lab"), "{text}");
        let text = problem("[profiles.lab]\nkind = 'slurm'\nenv = 'hush'\n", &[]);
        assert!(text.contains("profiles.lab.env") && !text.contains("hush"), "{text}");
        let text = problem("[profiles.lab\n", &[]);
        assert!(text.contains("config.toml"), "{text}");
        let text = problem(LAB, &[("TOWLINE_PROFILES__LAB__CPUS", "many")]);
        assert!(text.contains("profiles.lab.cpus") && text.contains("TOWLINE_PROFILES__LAB__CPUS"), "{text}");
    }

    #[test]
    fn secrets_of_a_broken_file_stay_in_it() {
        for toml in [
            "database_url = \"postgres://u:hush@h/db\n",
            "[profiles.lab.env]\nTOKEN = 'hush'\nTOKEN = 'hush'\n",
            "[profiles.lab.env]\nTOKEN = hush\n",
        ] {
            let text = problem(toml, &[]);
            assert!(text.contains("line") && !text.contains("hush"), "{text}");
        }
    }

    #[test]
    fn a_service_may_use_towline_itself() {
        let layers = load(LAB, &[("TOWLINE_SERVICE", "01a2")], &Flags::default());
        assert!(layers.config().is_ok());
    }

    #[test]
    fn the_local_profile_stays_this_machine() {
        let text = problem("[profiles.local]\nkind = 'slurm'\nhost = 'login'\n", &[]);
        assert!(text.contains("this machine") && text.contains("config.toml"), "{text}");
        let text = problem("[profiles.'a b']\nkind = 'local'\n", &[]);
        assert!(text.contains("not a profile's name"), "{text}");
        assert!(load("[profiles.local]\ngrace = 5\n", &[], &Flags::default()).config().is_ok());
    }

    #[test]
    fn flags_do_not_make_up_a_profile() {
        let flags =
            Flags { profile: Some("ghost".into()), values: said(&serde_json::json!({ "qos": "flag" })) };
        let config = load(LAB, &[], &flags).config().unwrap();
        assert_eq!(config.default_profile, "ghost");
        assert!(!config.profiles.contains_key("ghost"));
    }
}
