//! What a service has beyond the options of `run`, if a file tells it as a whole.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml_edit::{Item, TableLike, Value};
use towline_core::container::ContainerConfig;
use towline_core::ready::Ready;
use towline_core::spec::{Secret, ServiceSpec};
use towline_recipes::Key;

/// What a whole service has that no option of `run` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exact {
    ready: Ready,
    secret: Option<Secret>,
    container: Option<Box<ContainerConfig>>,
}

impl Exact {
    /// Reads it from the table of a service.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub(super) fn read(table: &dyn TableLike) -> Result<Self, (&'static str, String)> {
        let ready = part(table, "ready")?.unwrap_or_default();
        let secret = part(table, "secret")?;
        let container = part(table, "container")?.map(Box::new);
        Ok(Self { ready, secret, container })
    }

    /// The service with it. A key that its variables do not hold becomes `key`.
    pub(crate) fn of(&self, spec: ServiceSpec, key: &Key) -> ServiceSpec {
        let Self { ready, secret, container } = self.clone();
        let mut spec = ServiceSpec { ready, secret, container, ..spec };
        if let (Some(secret), Key::Given(key) | Key::IfTaken(key)) = (&self.secret, key) {
            spec.env.entry(secret.env.clone()).or_insert_with(|| key.text().to_owned());
        }
        spec
    }
}

fn part<T: DeserializeOwned>(
    table: &dyn TableLike,
    key: &'static str,
) -> Result<Option<T>, (&'static str, String)> {
    let Some(item) = table.get(key) else { return Ok(None) };
    serde_json::from_value(json(item)).map(Some).map_err(|error| {
        let problem = error.to_string();
        // All but the names of fields may tell a value, which may be a secret.
        let is_of_fields = ["unknown field", "missing field"].iter().any(|begin| problem.starts_with(begin));
        (key, if is_of_fields { problem } else { format!("it is no table of that kind: {}", form(key)) })
    })
}

/// What such a table looks like.
fn form(key: &str) -> &'static str {
    match key {
        "secret" => "{ env = \"NAME\" }, perhaps with in_file = true",
        "ready" => "status, header and json, as [health] of a recipe has them",
        _ => "engine, image and others, as `show --spec` prints them",
    }
}

/// What serde reads.
fn json(item: &Item) -> Json {
    fn of_value(value: &Value) -> Json {
        match value {
            Value::String(text) => text.value().as_str().into(),
            Value::Integer(number) => (*number.value()).into(),
            Value::Float(number) => (*number.value()).into(),
            Value::Boolean(truth) => (*truth.value()).into(),
            Value::Datetime(time) => time.value().to_string().into(),
            Value::Array(list) => list.iter().map(of_value).collect(),
            Value::InlineTable(table) => of_table(table),
        }
    }
    fn of_table(table: &dyn TableLike) -> Json {
        Json::Object(table.iter().map(|(key, item)| (key.to_owned(), json(item))).collect())
    }
    match item {
        Item::None => Json::Null,
        Item::Value(value) => of_value(value),
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| of_table(table)).collect(),
    }
}
