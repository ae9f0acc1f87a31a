//! A description of service files for programs that check or complete them: JSON Schema, draft 2020-12.

use serde_json::{Map, Value as Json, json};
use towline_core::spec::NAME_MAX;
use towline_recipes::{Kind, Parameter, Recipe};

use super::words::{Key, RECIPE_KEYS, Takes, keys};

/// The schema of a file of services that may use these recipes.
pub(crate) fn schema(recipes: &[Recipe]) -> Json {
    let mut properties: Map<String, Json> =
        keys().iter().map(|key| (key.name.clone(), of_key(key))).collect();
    properties.insert(
        "exact".to_owned(),
        json!({
            "type": "boolean",
            "description": "Whether this is the whole service: nothing of its profile's defaults is added",
        }),
    );
    properties.insert("ready".to_owned(), ready());
    properties.insert(
        "secret".to_owned(),
        json!({
            "type": "object",
            "description": "The variable with the key that clients must send, with exact alone",
            "properties": { "env": { "type": "string" }, "in_file": { "type": "boolean" } },
            "required": ["env"],
            "additionalProperties": false,
        }),
    );
    properties.insert("container".to_owned(), container());
    let is_exact = json!({ "properties": { "exact": { "const": true } }, "required": ["exact"] });
    let without =
        |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), Json::Bool(false))).collect::<Map<_, _>>();
    let as_option = json!({ "container": { "type": "string" }, "ready": false, "secret": false });
    let as_table = json!({ "container": { "type": "object" }, "recipe": false });
    let mut rules = vec![
        json!({ "if": { "required": ["command"] }, "then": { "properties": without(&RECIPE_KEYS) } }),
        json!({ "if": is_exact, "then": { "properties": as_table }, "else": { "properties": as_option } }),
    ];
    rules.extend(recipes.iter().map(of_recipe));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Services for `towline run -f`",
        "type": "object",
        "properties": {
            "services": {
                "type": "object",
                "description": "The services by name",
                "propertyNames": { "pattern": format!("^[a-z0-9]([a-z0-9-]{{0,{}}}[a-z0-9])?$", NAME_MAX - 2) },
                "additionalProperties": { "$ref": "#/$defs/service" },
                "minProperties": 1,
            },
        },
        "required": ["services"],
        "additionalProperties": false,
        "$defs": {
            "service": {
                "type": "object",
                "properties": properties,
                "additionalProperties": false,
                "oneOf": [{ "required": ["command"] }, { "required": ["recipe"] }],
                "allOf": rules,
            },
        },
    })
}

/// What an answer must be.
fn ready() -> Json {
    json!({
        "type": "object",
        "description": "What an answer to the health path must be, with exact alone",
        "properties": {
            "status": { "type": "array", "items": { "type": "string" } },
            "header": {
                "type": "object",
                "properties": { "name": { "type": "string" }, "value": { "type": "string" } },
                "required": ["name"],
                "additionalProperties": false,
            },
            "json": {
                "type": "object",
                "properties": { "pointer": { "type": "string" }, "equals": {} },
                "required": ["pointer"],
                "additionalProperties": false,
            },
        },
        "additionalProperties": false,
    })
}

/// The name of an engine; of a whole service its container.
fn container() -> Json {
    json!({
        "type": ["string", "object"],
        "description": "What it runs in: an engine, or none; with exact the whole container",
        "properties": {
            "engine": { "type": "string" },
            "image": { "type": "string" },
            "mounts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "source": { "type": "string" },
                        "target": { "type": "string" },
                        "read_only": { "type": "boolean" },
                    },
                    "required": ["source", "target"],
                    "additionalProperties": false,
                },
            },
            "workdir": { "type": "string" },
            "gpus": { "type": ["string", "object"] },
            "user_namespace": { "type": "string" },
            "network": { "enum": ["bridge", "host"] },
        },
        "required": ["engine", "image"],
        "additionalProperties": false,
    })
}

fn of_key(key: &Key) -> Json {
    let mut schema = match key.takes {
        Takes::Text => json!({ "type": ["string", "number"] }),
        Takes::Number => json!({ "type": "integer", "minimum": 1 }),
        Takes::Truth => json!({ "type": "boolean" }),
        Takes::List => json!({ "type": "array", "items": { "type": ["string", "number", "boolean"] } }),
        Takes::Table => json!({ "type": "object" }),
    };
    match key.name.as_str() {
        "command" => schema["minItems"] = 1.into(),
        "env" => schema["additionalProperties"] = json!({ "type": ["string", "number", "boolean"] }),
        "api_key" => schema["pattern"] = "^(none$|env:.|file:.)".into(),
        "health" => schema["pattern"] = "^/".into(),
        "bind" => schema["enum"] = json!(["all", "loopback"]),
        _ => {}
    }
    schema["description"] = key.help.as_str().into();
    schema
}

/// What holds for services of a recipe.
fn of_recipe(recipe: &Recipe) -> Json {
    let parameters: Map<String, Json> = recipe
        .parameters()
        .iter()
        .map(|parameter| (parameter.name.clone(), of_parameter(parameter)))
        .collect();
    let required: Vec<&str> = recipe
        .parameters()
        .iter()
        .filter(|parameter| parameter.required && parameter.only.is_empty())
        .map(|parameter| parameter.name.as_str())
        .collect();
    let mut needs: Vec<&str> = Vec::new();
    if !required.is_empty() {
        needs.push("parameters");
    }
    let mut properties = Map::new();
    properties.insert(
        "parameters".to_owned(),
        json!({ "properties": parameters, "required": required, "additionalProperties": false }),
    );
    match recipe.model() {
        Some(model) if model.required => needs.push("model"),
        Some(_) => {}
        None => drop(properties.insert("model".to_owned(), Json::Bool(false))),
    }
    for (key, is_taken) in [
        ("revision", recipe.takes_revision()),
        ("args", recipe.takes_extra()),
        ("api_key", recipe.takes_secret()),
    ] {
        if !is_taken {
            properties.insert(key.to_owned(), Json::Bool(false));
        }
    }
    json!({
        "if": { "properties": { "recipe": { "const": recipe.name() } }, "required": ["recipe"] },
        "then": { "properties": properties, "required": needs },
    })
}

fn of_parameter(parameter: &Parameter) -> Json {
    let mut schema = match &parameter.kind {
        Kind::Text(_) | Kind::Path => json!({ "type": ["string", "number"] }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Float { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Choice(words) | Kind::Variant(words) => json!({ "enum": words }),
        Kind::List(_) => json!({ "type": "array", "items": { "type": ["string", "number"] } }),
    };
    if let Json::Object(fields) = &mut schema {
        fields.retain(|_, value| !value.is_null());
    }
    schema["description"] = parameter.help.as_str().into();
    if let Some(default) = &parameter.default {
        schema["default"] = default.to_string().into();
    }
    schema
}
