//! The JSON schema of `--json` and `--report`, made of the types that are written.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::objects::Line;

/// The schema of one line.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<Line>()
        .to_value();
    // Summaries have one name and several shapes; a line is one of them, or an event of a later version.
    if let Some(variants) = schema
        .as_object_mut()
        .and_then(|schema| schema.remove("oneOf"))
    {
        schema["anyOf"] = variants;
    }
    schema["title"] = json!("A line of panup's --json and --report");
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file in the repository is what is printed. `PANUP_UPDATE_SCHEMA=1` writes it.
    #[test]
    fn the_file_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/schema.json");
        let now = format!("{:#}\n", schema());
        if std::env::var_os("PANUP_UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &now).expect("written");
        }
        let kept = std::fs::read_to_string(path).expect("src/cli/schema.json");
        assert!(
            kept == now,
            "PANUP_UPDATE_SCHEMA=1 cargo test --bin panup schema"
        );
    }
}
