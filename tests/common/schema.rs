//! The schema of `--json` and `--report`, kept strictly: an event or a key that it does not know is an error
//! here, where readers skip it.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// Sees that a line is as the schema has it, if it is an object with an event.
#[track_caller]
pub fn check(line: &str) {
    if !line.starts_with("{\"event\":") {
        return;
    }
    let object: Value = serde_json::from_str(line).expect("an object");
    if !STRICT.is_valid(&object) {
        panic!("not in src/cli/schema.json: {line}\n{}", why(&object));
    }
}

/// Errors of the events of that name: of all variants they would be many.
fn why(object: &Value) -> String {
    let all = variants(&SCHEMA);
    let named = all
        .iter()
        .filter(|variant| variant["properties"]["event"]["const"] == object["event"]);
    let mut told = Vec::new();
    for variant in named {
        let mut schema = strict(SCHEMA.clone());
        schema["anyOf"] = json!([closed(variant.clone())]);
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        told.extend(
            validator
                .iter_errors(object)
                .map(|error| error.to_string().chars().take(500).collect::<String>()),
        );
    }
    told.join("\n")
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/schema.json");
    let text = std::fs::read_to_string(path).expect("src/cli/schema.json");
    serde_json::from_str(&text).expect("JSON")
});

static STRICT: LazyLock<Validator> = LazyLock::new(|| {
    let schema = strict(SCHEMA.clone());
    jsonschema::validator_for(&schema).expect("a schema")
});

fn variants(schema: &Value) -> Vec<Value> {
    schema["anyOf"].as_array().expect("variants").clone()
}

/// The same without room for more keys.
fn strict(mut schema: Value) -> Value {
    let variants = variants(&schema);
    let of_lines: Vec<String> = variants
        .iter()
        .filter_map(|variant| variant["$ref"].as_str())
        .map(|name| name.trim_start_matches("#/$defs/").to_owned())
        .collect();
    let definitions = schema["$defs"].as_object_mut().expect("definitions");
    for (name, definition) in definitions {
        if !of_lines.contains(name) && definition.get("properties").is_some() {
            definition["additionalProperties"] = json!(false);
        }
    }
    schema["anyOf"] = variants.into_iter().map(closed).collect();
    schema
}

fn closed(mut variant: Value) -> Value {
    variant["unevaluatedProperties"] = json!(false);
    variant
}
