//! The exponent of a Zipf distribution.

use settings::mistake::Mistakes;
use settings::tree::{Is, Node};
use settings::value::{Value, wrong};

/// The highest exponent: nearly everything is of the first rank.
const HIGHEST: f64 = 10.0;

/// How unequal the ranks are; 0: not at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponent(pub f64);

impl Value for Exponent {
    fn expected() -> String {
        "an exponent of Zipf's law from 0.0 (all alike) to 10.0".into()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let exponent = match node.is {
            Is::Real(number) => number,
            Is::Whole(number) => number as f64,
            _ => f64::NAN,
        };
        if (0.0..=HIGHEST).contains(&exponent) {
            return Some(Self(exponent));
        }
        wrong(node, Self::expected(), mistakes);
        None
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Float(self.0))
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "number", "minimum": 0, "maximum": HIGHEST })
    }
}
