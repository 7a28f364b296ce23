//! Free text, and yes or no.

use super::{TextForm, Value, wrong};
use crate::mistake::Mistakes;
use crate::tree::{Is, Node};

impl TextForm for String {
    fn expected() -> String {
        "text in quotes".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    fn text(&self) -> String {
        self.clone()
    }
}

impl Value for bool {
    fn expected() -> String {
        "true or false".into()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        if let Is::Flag(flag) = node.is {
            return Some(flag);
        }
        wrong(node, <Self as Value>::expected(), mistakes);
        None
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Boolean(*self))
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "boolean" })
    }
}
