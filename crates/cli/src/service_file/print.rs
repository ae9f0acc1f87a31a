//! A service as a file that starts the same one again.

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value, value};
use towline_core::span::Span;
use towline_core::spec::{Bind, ServiceSpec};

/// Whether the values of variables are told, which may be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// They are taken from where `towline run -f` is called; a key is a new one.
    Hidden,
    /// They stand in the file.
    Told,
}

/// The text of a file with this service alone.
pub(crate) fn print(spec: &ServiceSpec, values: Values) -> String {
    let mut table = Table::new();
    table.insert("exact", value(true));
    table.insert("profile", value(spec.profile.as_str()));
    table.insert("command", lines(&spec.command));
    if !spec.setup.is_empty() {
        table.insert("setup", lines(&spec.setup));
    }
    if let Some(dir) = &spec.chdir {
        table.insert("chdir", value(dir.as_str()));
    }
    if spec.bind != Bind::default() {
        table.insert("bind", value(spec.bind.as_str()));
    }
    table.insert("health", value(spec.health.as_str()));
    if !spec.ready.is_any_success() {
        table.insert("ready", of_json(&spec.ready));
    }
    table.insert("grace", value(Span(spec.grace).to_string()));
    if let Some(Value::InlineTable(resources)) = serde_json::to_value(&spec.resources).ok().and_then(toml) {
        for (key, resource) in resources {
            let key = if key == "submit_args" { "sbatch_args" } else { key.as_str() };
            if resource.as_array().is_none_or(|list| !list.is_empty()) {
                table.insert(key, value(resource));
            }
        }
    }
    if let Some(secret) = &spec.secret {
        table.insert("secret", of_json(secret));
    }
    if let Some(container) = &spec.container {
        table.insert("container", of_json(container));
    }
    environment(&mut table, spec, values);
    let mut services = Table::new();
    services.set_implicit(true);
    services.insert(spec.name.as_str(), Item::Table(table));
    let mut document = DocumentMut::new();
    document.insert("services", Item::Table(services));
    document.to_string()
}

fn environment(table: &mut Table, spec: &ServiceSpec, values: Values) {
    let is_key = |name: &str| spec.secret.as_ref().is_some_and(|secret| secret.env == name);
    match values {
        Values::Told if !spec.env.is_empty() => {
            table.insert(
                "env",
                value(spec.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<InlineTable>()),
            );
        }
        Values::Hidden if spec.env.keys().any(|name| !is_key(name)) => {
            let names: Array = spec.env.keys().filter(|name| !is_key(name)).map(String::as_str).collect();
            table.insert("pass_env", value(names));
            if let Some(mut key) = table.key_mut("pass_env") {
                key.leaf_decor_mut()
                    .set_prefix("# Their values are not told: they are taken from where towline is run.\n");
            }
        }
        Values::Told | Values::Hidden => {}
    }
}

/// A list, one text a line if it is long.
fn lines(texts: &[String]) -> Item {
    const WIDE: usize = 90;
    let mut list: Array = texts.iter().map(String::as_str).collect();
    if texts.iter().map(|text| text.len() + 4).sum::<usize>() > WIDE {
        for item in list.iter_mut() {
            item.decor_mut().set_prefix("\n  ");
        }
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    value(list)
}

fn of_json(part: &impl serde::Serialize) -> Item {
    serde_json::to_value(part).ok().and_then(toml).map_or(Item::None, Item::Value)
}

/// The same value of TOML; what is null is left out.
fn toml(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(truth) => truth.into(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => Value::Array(items.into_iter().filter_map(toml).collect()),
        Json::Object(fields) => {
            let fields = fields.into_iter().filter_map(|(key, json)| Some((key, toml(json)?)));
            Value::InlineTable(fields.collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use towline_core::container::{ContainerConfig, Gpus, Mount, Network};
    use towline_core::spec::Secret;

    use super::super::read;
    use super::*;
    use crate::config::{Kind, Profile};
    use crate::testing::service;

    /// The service that a file with all that it may hold would start.
    #[test]
    fn what_is_printed_is_read_as_the_same_service() {
        let mut spec = (*service(1, "web").spec).clone();
        let mount = Mount { source: "/a, b".into(), target: "/c".into(), read_only: true };
        spec.container = Some(Box::new(ContainerConfig {
            mounts: vec![mount],
            gpus: Some(Gpus::Available),
            network: Network::Host,
            ..ContainerConfig::new("podman", "localhost/x:1")
        }));
        spec.command = vec!["serve".into(), "{port}".into(), "a \"b\"\n\tc".repeat(20), "--".into()];
        spec.setup = vec!["echo 'x' \"$y\"".into()];
        spec.env =
            [("A", "1"), ("KEY", "hush"), ("ODD", "a=b\n'c'")].map(|(k, v)| (k.into(), v.into())).into();
        spec.secret = Some(Secret { env: "KEY".into(), in_file: true });
        spec.ready = serde_json::from_value(
            serde_json::json!({ "status": ["2xx", "429"], "json": { "pointer": "/a", "equals": 1 } }),
        )
        .unwrap();
        spec.bind = Bind::Loopback;
        spec.chdir = Some("/scratch".into());
        spec.grace = std::time::Duration::from_secs(1234);
        spec.resources = serde_json::from_value(serde_json::json!({
            "time": "1-00:00:00", "mem": "16G", "cpus": 4, "gpus": "a100:2", "requeue": false, "submit_args": ["--nice=1"],
        }))
        .unwrap();
        let text = print(&spec, Values::Told);
        let entries = read(&text, "x.toml").unwrap_or_else(|failure| panic!("{:#}\n{text}", failure.error));
        let words: Vec<std::ffi::OsString> = entries[0].words.iter().map(Into::into).collect();
        let cli = crate::recipes::read(&words, crate::recipes::Whence::File).ok().expect("a command line");
        let crate::command::Verb::Run(args) = cli.verb else { panic!("it runs") };
        let profile: Profile =
            serde_json::from_value(serde_json::json!({ "kind": "slurm", "setup": ["no"] })).unwrap();
        assert_eq!(profile.kind, Kind::Slurm);
        let again = args.whole(
            &entries[0].exact.clone().expect("it is told as a whole"),
            &profile,
            &spec.profile,
            spec.name.clone(),
        );
        assert_eq!(again.unwrap_or_else(|failure| panic!("{:#}", failure.error)), spec);
        let hidden = print(&spec, Values::Hidden);
        assert!(
            !hidden.contains("hush")
                && !hidden.contains("a=b")
                && hidden.contains("pass_env = [\"A\", \"ODD\"]"),
            "{hidden}"
        );
    }
}
