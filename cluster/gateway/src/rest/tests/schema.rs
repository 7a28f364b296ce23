//! The OpenAPI document as a check on responses.
//!
//! It knows the JSON Schema words that the document uses, and panics on any other: a word that it
//! skipped would be a check that cannot fail.

use crate::rest::operations::OPENAPI;
use crate::rest::routes::ROUTES;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The parsed document.
pub struct Document(Value);

impl Document {
    pub fn load() -> Self {
        Self(serde_json::from_str(OPENAPI).expect("openapi.json is JSON"))
    }

    /// The methods and paths that it describes.
    pub fn operations(&self) -> BTreeSet<(String, String)> {
        let paths = self.0["paths"].as_object().unwrap();
        let each = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        });
        each.collect()
    }

    /// Every content object (media types with schema and example), with where it stands.
    pub fn contents(&self) -> Vec<(String, &Map<String, Value>)> {
        let mut found = Vec::new();
        collect("#", &self.0, &mut found);
        found
    }

    /// The description of one response.
    pub fn response(&self, method: &str, path: &str, status: u16) -> Option<&Value> {
        let response = &self.0["paths"][path][method]["responses"][status.to_string()];
        (!response.is_null()).then(|| self.resolve(response))
    }

    /// Whether an operation needs a token.
    pub fn needs_token(&self, method: &str, path: &str) -> bool {
        self.0["paths"][path][method]["security"].is_null()
    }

    /// The parameters in the path of an operation.
    pub fn path_parameters(&self, method: &str, path: &str) -> BTreeSet<String> {
        let parameters = self.0["paths"][path][method]["parameters"].as_array();
        let each = parameters.into_iter().flatten().map(|parameter| self.resolve(parameter));
        let in_path = each.filter(|parameter| parameter["in"] == "path");
        in_path.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            None => value,
            Some(pointer) => {
                let target = self.0.pointer(pointer.strip_prefix('#').unwrap());
                self.resolve(target.unwrap_or_else(|| panic!("{pointer} points nowhere")))
            }
        }
    }

    /// What is wrong with a value by this schema.
    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(schema, value, "$", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        for (word, rule) in schema.as_object().expect("a schema is an object") {
            let fine = match word.as_str() {
                "description" | "default" => true,
                "$ref" => {
                    self.check(self.resolve(schema), value, at, faults);
                    true
                }
                "type" => {
                    let one = |kind: &Value| is_of(kind.as_str().unwrap(), value);
                    rule.as_array().map_or_else(|| one(rule), |kinds| kinds.iter().any(one))
                }
                "const" => rule == value,
                "enum" => rule.as_array().unwrap().contains(value),
                "minimum" => value.as_u64().is_none_or(|n| n >= rule.as_u64().unwrap()),
                "maximum" => value.as_u64().is_none_or(|n| n <= rule.as_u64().unwrap()),
                "oneOf" => {
                    let fits = |schema: &&Value| self.faults(schema, value).is_empty();
                    rule.as_array().unwrap().iter().filter(fits).count() == 1
                }
                "items" => {
                    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}[{place}]"), faults);
                    }
                    true
                }
                "properties" => {
                    for (name, field) in value.as_object().into_iter().flatten() {
                        if let Some(schema) = rule.get(name) {
                            self.check(schema, field, &format!("{at}.{name}"), faults);
                        }
                    }
                    true
                }
                "required" => rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|name| value.get(name.as_str().unwrap()).is_some()),
                "additionalProperties" => {
                    assert_eq!(rule, false);
                    let known = schema["properties"].as_object().unwrap();
                    value.as_object().is_none_or(|o| o.keys().all(|name| known.contains_key(name)))
                }
                unknown => panic!("the schema word {unknown} is not checked"),
            };
            if !fine {
                faults.push(format!("{at}: {word} {rule} does not fit {value}"));
            }
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        unknown => panic!("the type {unknown} is not checked"),
    }
}

fn collect<'a>(at: &str, value: &'a Value, found: &mut Vec<(String, &'a Map<String, Value>)>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{at}/{name}");
        if name == "content" && inner.is_object() && !at.contains("/schemas/") {
            for (_, media) in inner.as_object().unwrap() {
                found.push((place.clone(), media.as_object().unwrap()));
            }
        } else {
            collect(&place, inner, found);
        }
    }
}

#[test]
fn the_document_and_the_routes_agree_both_ways() {
    let document = Document::load();
    let routes: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(routes.len(), ROUTES.len(), "a route stands twice in the table");
    assert_eq!(document.operations(), routes);
}

#[test]
fn every_path_parameter_is_described() {
    let document = Document::load();
    for route in ROUTES {
        let named =
            route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let named: BTreeSet<String> = named.map(str::to_owned).collect();
        assert_eq!(document.path_parameters(route.method, route.path), named, "{}", route.path);
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = Document::load();
    let contents = document.contents();
    assert!(contents.len() > 40, "{}", contents.len());
    for (place, media) in contents {
        let faults = document.faults(&media["schema"], &media["example"]);
        assert!(faults.is_empty(), "{place}: {faults:?}");
    }
}

#[test]
fn a_wrong_value_does_not_fit() {
    let document = Document::load();
    let schema = serde_json::json!({ "$ref": "#/components/schemas/Entry" });
    let good = serde_json::json!({
        "conversation": 7, "sequence": 3, "epoch": 1, "owner": 2, "author": 1,
        "client_message_id": 12, "at_ms": 1, "content": { "delete": { "target": 1 } }
    });
    assert_eq!(document.faults(&schema, &good), Vec::<String>::new());
    for (field, value) in [
        ("sequence", serde_json::json!(0)),
        ("sequence", serde_json::json!("3")),
        ("surplus", serde_json::json!(1)),
        ("content", serde_json::json!({ "delete": {} })),
        ("content", serde_json::json!({})),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        assert!(!document.faults(&schema, &wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn whoever_needs_a_token_may_be_told_that_it_is_none_or_that_he_asks_too_much() {
    let document = Document::load();
    for (method, path) in document.operations() {
        let described = |status| document.response(&method, &path, status).is_some();
        if document.needs_token(&method, &path) {
            assert!(described(401) && described(429), "{method} {path}");
        }
    }
}
