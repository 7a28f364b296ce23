//! The JSON Schema of the scenario file, for editors: `scenarios/schema.json`.

use crate::file::File;
use crate::section::{Section, schema_of};

/// The schema. A scenario file names it in its first line, `#:schema ../schema.json`, as the
/// language servers of TOML (Taplo, Tombi) read it.
pub fn schema() -> serde_json::Value {
    let mut schema = schema_of::<File>();
    let object = schema.as_object_mut().expect("the schema of a section is an object");
    object.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    object.insert("title".into(), "A scenario of Fracas".into());
    object.insert("description".into(), File::meaning().into());
    let draw = serde_json::json!({
        "description": "One of several values, by seed.",
        "type": "object",
        "properties": { "draw": { "type": "array", "minItems": 1 } },
        "required": ["draw"],
        "additionalProperties": false,
    });
    object.insert("definitions".into(), serde_json::json!({ "draw": draw }));
    schema
}
