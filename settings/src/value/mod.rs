//! The values that keys take: how each is read, written, described, and shown to editors.
//!
//! One definition serves the reader, the writer, the JSON Schema and the documentation, so that they
//! cannot disagree. Relations between keys are left to who reads the file.

pub mod design;
pub mod list;
pub mod number;
pub mod plain;
pub mod word;

use crate::mistake::{Mistakes, Origin, Problem};
use crate::tree::{Is, Node};
use protocol::nearest;

/// A type that a key can have.
pub trait Value: Sized + Clone {
    /// What it takes, to stand behind "expected": `a duration such as "250ms"`.
    fn expected() -> String;
    /// Reads it; notes what is wrong.
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self>;
    /// Writes it so that it is read as the same; `None`: the key is left out.
    fn write(&self) -> Option<toml::Value>;
    /// Its JSON Schema.
    fn schema() -> serde_json::Value;
    /// A default, told for which key it stands in: messages about it then name the key.
    fn standing_in(self, _key: &str, _origin: &Origin) -> Self {
        self
    }
}

/// A type that is written as text.
pub trait TextForm: Sized + Clone {
    /// What it takes, to stand behind "expected".
    fn expected() -> String;
    /// Reads it.
    fn from_text(text: &str) -> Option<Self>;
    /// Writes it.
    fn text(&self) -> String;
    /// All of its words, if it has few.
    fn words() -> Vec<&'static str> {
        Vec::new()
    }
    /// What may have been meant.
    fn nearest(text: &str) -> Option<String> {
        nearest(text, Self::words()).map(str::to_owned)
    }
    /// A regular expression (ECMA 262) of its form, for editors.
    fn pattern() -> Option<&'static str> {
        None
    }
}

impl<T: TextForm> Value for T {
    fn expected() -> String {
        T::expected()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let text = match &node.is {
            Is::Text(text) => text.as_str(),
            _ => "",
        };
        let value = T::from_text(text);
        if value.is_none() {
            let nearest = if text.is_empty() { None } else { T::nearest(text) };
            wrong_but_near(node, T::expected(), nearest, mistakes);
        }
        value
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.text()))
    }

    fn schema() -> serde_json::Value {
        let words = T::words();
        match T::pattern() {
            _ if !words.is_empty() => serde_json::json!({ "enum": words }),
            Some(pattern) => serde_json::json!({ "type": "string", "pattern": pattern }),
            None => serde_json::json!({ "type": "string" }),
        }
    }
}

impl<T: Value> Value for Option<T> {
    fn expected() -> String {
        T::expected()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        T::read(node, mistakes).map(Some)
    }

    fn write(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::write)
    }

    fn schema() -> serde_json::Value {
        T::schema()
    }
}

/// Notes a value that is not what was expected.
pub fn wrong(node: &Node, expected: String, mistakes: &mut Mistakes) {
    wrong_but_near(node, expected, None, mistakes);
}

fn wrong_but_near(node: &Node, expected: String, nearest: Option<String>, mistakes: &mut Mistakes) {
    let (key, found) = (node.key.clone(), node.described());
    mistakes.note(&node.origin, Problem::Value { key, expected, found, nearest });
}
