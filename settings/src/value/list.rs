//! Lists. One element may stand without brackets.

use super::{Value, wrong};
use crate::mistake::Mistakes;
use crate::tree::{Is, Node};

impl<T: Value> Value for Vec<T> {
    fn expected() -> String {
        format!("a list; each element: {}", T::expected())
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        match &node.is {
            Is::List(nodes) => {
                // All elements are read, so that all of their mistakes are noted.
                let read: Vec<Option<T>> =
                    nodes.iter().map(|node| T::read(node, mistakes)).collect();
                read.into_iter().collect()
            }
            Is::Text(_) => T::read(node, mistakes).map(|one| vec![one]),
            _ => {
                wrong(node, Self::expected(), mistakes);
                None
            }
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Array(self.iter().filter_map(T::write).collect()))
    }

    fn schema() -> serde_json::Value {
        let element = T::schema();
        let list = serde_json::json!({ "type": "array", "items": element });
        let takes_text = element["type"] == "string" || element.get("enum").is_some();
        if takes_text { serde_json::json!({ "anyOf": [list, element] }) } else { list }
    }
}
