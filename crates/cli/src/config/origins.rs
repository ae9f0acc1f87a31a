//! Every value of the configuration with the layer that it came from.

use figment::Provider;
use figment::value::{Dict, Value};
use serde::Serialize;

use super::layers::{BUILT_IN, Layers, is_secret, origin};

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// One value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// Its key, with dots between the parts.
    pub(crate) key: String,
    /// Its value as text; secrets are hidden.
    pub(crate) value: String,
    /// Where it came from.
    pub(crate) origin: String,
}

impl Layers {
    /// All values, by key.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        if let Some(values) =
            self.figment.data().ok().and_then(|mut data| data.remove(&figment::Profile::Default))
        {
            self.walk("", &values, &mut settings);
        }
        settings
    }

    fn walk(&self, prefix: &str, table: &Dict, settings: &mut Vec<Setting>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if let Some(inner) = value.as_dict() {
                self.walk(&key, inner, settings);
                continue;
            }
            let origin = self.figment.get_metadata(value.tag()).map_or_else(|| BUILT_IN.to_owned(), origin);
            let value = hide(&key, print(value));
            settings.push(Setting { key, value, origin });
        }
    }
}

fn print(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Char(_, c) => c.to_string(),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Num(_, num) => num
            .to_u128()
            .map(|n| n.to_string())
            .or_else(|| num.to_i128().map(|n| n.to_string()))
            .or_else(|| num.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        Value::Empty(..) => String::new(),
        Value::Array(_, list) => list.iter().map(print).collect::<Vec<_>>().join(", "),
        Value::Dict(_, table) => table.keys().cloned().collect::<Vec<_>>().join(", "),
    }
}

fn hide(key: &str, value: String) -> String {
    match is_secret(key) {
        true if !key.contains('.') && value.contains("://") => hide_password(value),
        true => HIDDEN.to_owned(),
        false => value,
    }
}

/// Hides the password of `scheme://user:password@host/...`, and those of its query.
fn hide_password(url: String) -> String {
    let (url, query) = match url.split_once('?') {
        Some((url, _)) => (url.to_owned(), format!("?{HIDDEN}")),
        None => (url, String::new()),
    };
    let hidden = url.split_once("://").and_then(|(scheme, rest)| {
        let (login, host) = rest.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:{HIDDEN}@{host}"))
    });
    hidden.unwrap_or(url) + &query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn a_misspelt_secret_stays_hidden() {
        assert_eq!(hide("database_ulr", "postgres://u:hush@h/db".to_owned()), "postgres://u:***@h/db");
        for key in ["database_url", "database_url.a", "token", "profiles.lab.evn.TOKEN", "profiles.lab.env"] {
            assert_eq!(hide(key, "hush".to_owned()), HIDDEN, "{key}");
        }
        for key in ["default_profile", "profiles.lab.host"] {
            assert_eq!(hide(key, "lab".to_owned()), "lab", "{key}");
        }
    }

    #[test]
    fn every_value_tells_where_it_came_from_and_secrets_stay_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        let toml = "database_url = 'postgres://u:hush@h/db?password=hush2'\n\
                    [profiles.lab]\nkind = 'slurm'\ncpus = 4\nenv = { TOKEN = 'hush3' }\n";
        std::fs::write(&file, toml).unwrap();
        let env = [("TOWLINE_PROFILES__LAB__HOST".to_owned(), "login".to_owned())];
        let flags = Flags { profile: Some("lab".into()), ..Flags::default() };
        let settings = Layers::load(&file, env, &flags).unwrap().settings();
        let find = |key: &str| {
            let found = settings.iter().find(|setting| setting.key == key).unwrap();
            (found.value.as_str(), found.origin.as_str())
        };
        let from_file = format!("file {}", file.display());
        assert_eq!(find("default_profile"), ("lab", "command line"));
        assert_eq!(find("profiles.local.kind"), ("local", "built in"));
        assert_eq!(find("profiles.lab.cpus"), ("4", from_file.as_str()));
        assert_eq!(find("profiles.lab.host"), ("login", "environment variable TOWLINE_PROFILES__LAB__HOST"));
        assert_eq!(find("database_url").0, "postgres://u:***@h/db?***");
        assert_eq!(find("profiles.lab.env.TOKEN").0, "***");
    }
}
