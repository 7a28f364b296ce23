//! Sizes: a number, or a distribution of numbers.

use crate::scenario::Size;
use settings::duration::number_of;
use settings::mistake::Mistakes;
use settings::tree::{Is, Node};
use settings::value::{Value, wrong};

/// The largest size: more would be a mistake of the writer.
const LARGEST: u32 = 10_000_000;

impl Value for Size {
    fn expected() -> String {
        "a size: 12, \"uniform(5..20)\" or \"zipf(5..200, 1.1)\"".into()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let size = match &node.is {
            Is::Whole(number) => u32::try_from(*number).ok().map(Self::Fixed),
            Is::Text(text) => from_text(text),
            _ => None,
        };
        let size = size
            .filter(|size| (1..=LARGEST).contains(&size.smallest()) && size.largest() <= LARGEST);
        if size.is_none() {
            wrong(node, <Self as Value>::expected(), mistakes);
        }
        size
    }

    fn write(&self) -> Option<toml::Value> {
        Some(match self {
            Self::Fixed(number) => toml::Value::Integer((*number).into()),
            Self::Uniform(from, to) => toml::Value::String(format!("uniform({from}..{to})")),
            Self::Zipf(from, to, exponent) => {
                toml::Value::String(format!("zipf({from}..{to}, {exponent})"))
            }
        })
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": LARGEST },
            { "type": "string",
              "pattern": r"^(uniform\([0-9_]+\.\.[0-9_]+\)|zipf\([0-9_]+\.\.[0-9_]+,\s*[0-9.]+\))$" },
        ]})
    }
}

fn from_text(text: &str) -> Option<Size> {
    let (kind, rest) = text.trim().strip_suffix(')')?.split_once('(')?;
    match kind.trim() {
        "uniform" => {
            let (from, to) = range(rest)?;
            Some(Size::Uniform(from, to))
        }
        "zipf" => {
            let (span, exponent) = rest.split_once(',')?;
            let (from, to) = range(span)?;
            let exponent = number_of(exponent)?;
            (exponent > 0.0 && exponent <= 10.0).then_some(Size::Zipf(from, to, exponent))
        }
        _ => None,
    }
}

fn range(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once("..")?;
    let number = |text: &str| text.trim().replace('_', "").parse().ok();
    let (from, to) = (number(from)?, number(to)?);
    (from <= to).then_some((from, to))
}
