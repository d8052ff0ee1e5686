//! The JSON Schema of the configuration, for editors, made from the field tables.
//!
//! It says what one value may look like. What fields say of each other (references, duplicates) only `check` knows, and
//! every scalar may be a string that holds a `${VARIABLE}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields;
use super::table::{Field, Need, Shape, Table};
use super::types::Kind;

/// The schema as text, ending in a line feed.
pub fn schema() -> String {
    let mut tables = BTreeMap::new();
    let root = structure(&fields::FILE, &mut tables);
    let mut all = Map::new();
    all.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    all.insert("title".to_owned(), json!("pointsman's configuration"));
    all.insert("$defs".to_owned(), json!(tables));
    if let Value::Object(root) = root {
        all.extend(root);
    }
    // A map of strings always becomes text.
    serde_json::to_string_pretty(&Value::Object(all)).unwrap_or_default() + "\n"
}

type Tables = BTreeMap<&'static str, Value>;

fn structure(table: &'static Table, tables: &mut Tables) -> Value {
    let words = words(table);
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in table.fields() {
        let mut schema = match field.need {
            Need::Later { unless: [], .. } => continue,
            Need::Later { unless, .. } => {
                json!({ "enum": unless.iter().map(|w| as_written(w)).collect::<Vec<_>>() })
            }
            Need::Required | Need::Optional => shape(&field.shape, tables),
        };
        if let (Value::Object(schema), false) = (&mut schema, field.about.is_empty()) {
            schema.insert("description".to_owned(), json!(field.about));
        }
        if field.name == "type" {
            schema = json!({ "enum": words });
        }
        spellings(field).for_each(|name| drop(properties.insert(name.to_owned(), schema.clone())));
        if field.need == Need::Required {
            required.push(field.name);
        }
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn spellings(field: &Field) -> impl Iterator<Item = &'static str> {
    std::iter::once(field.name).chain(field.also)
}

fn shape(of: &Shape, tables: &mut Tables) -> Value {
    match of {
        Shape::Text
        | Shape::Free
        | Shape::Secret
        | Shape::Id
        | Shape::Name
        | Shape::Path
        | Shape::Timezone
        | Shape::Address => json!({ "type": "string" }),
        Shape::Flag => json!({ "type": ["boolean", "string"] }),
        Shape::Whole(min, max) | Shape::Auto(min, max) => {
            json!({ "type": ["integer", "string"], "minimum": min, "maximum": max })
        }
        Shape::Weight | Shape::Money => json!({ "type": ["number", "string"], "minimum": 0 }),
        Shape::Span(..) => json!({ "type": "string", "examples": ["250ms", "30s", "5m", "1h", "1d"] }),
        Shape::Size(..) => json!({ "type": ["integer", "string"], "examples": ["64KiB", "32MiB"] }),
        Shape::Word(words) => {
            let words: Vec<Value> = words.iter().map(|w| as_written(w)).collect();
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] })
        }
        Shape::Hash => json!({ "type": "string", "pattern": "^([0-9a-fA-F]{64}|.*\\$\\{.*)$" }),
        Shape::Expiry => json!({ "type": "string", "examples": ["2027-01-31"] }),
        Shape::Period => {
            json!({ "type": "string", "examples": ["hourly", "daily", "weekly", "monthly", "yearly", "total", "24h"] })
        }
        Shape::List(inner) => json!({ "type": "array", "items": shape(inner, tables) }),
        Shape::Map(inner) => json!({ "type": "object", "additionalProperties": shape(inner, tables) }),
        Shape::Record(table) => reference(table, tables),
        Shape::Provider => provider(tables),
        Shape::Any => json!({}),
    }
}

/// Words that YAML reads as something else than a string.
fn as_written(word: &str) -> Value {
    match word {
        "true" => json!(true),
        "false" => json!(false),
        _ => word.parse::<u64>().map_or_else(|_| json!(word), |n| json!(n)),
    }
}

fn reference(table: &'static Table, tables: &mut Tables) -> Value {
    if !tables.contains_key(table.name) {
        let schema = structure(table, tables);
        tables.insert(table.name, schema);
    }
    json!({ "$ref": format!("#/$defs/{}", table.name) })
}

fn provider(tables: &mut Tables) -> Value {
    let mut each: Vec<Value> = Vec::new();
    for kind in Kind::ALL {
        let reference = reference(kind.of().table, tables);
        if !each.contains(&reference) {
            each.push(reference);
        }
    }
    json!({ "oneOf": each })
}

/// The provider types that have a table.
fn words(table: &Table) -> Vec<&'static str> {
    Kind::ALL.iter().filter(|kind| kind.of().table.name == table.name).map(|kind| kind.word()).collect()
}
