//! The JSON Schema of the scenario file, for editors: `scenarios/schema.json`.

use crate::file::File;
use settings::section::{Section, schema_of};

/// The schema. A scenario file names it in its first line, `#:schema ../schema.json`, as the
/// language servers of TOML (Taplo, Tombi) read it.
pub fn schema() -> serde_json::Value {
    let mut schema = schema_of::<File>();
    allow_draws(&mut schema);
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

/// Every key takes a draw as well.
fn allow_draws(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(allow_draws);
            if fields.contains_key("description")
                && let Some(serde_json::Value::Array(forms)) = fields.get_mut("anyOf")
            {
                forms.push(serde_json::json!({ "$ref": "#/definitions/draw" }));
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(allow_draws),
        _ => {}
    }
}
