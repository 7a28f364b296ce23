//! Numbers: whole ones within a range, and shares from 0 to 1.

use super::{Value, wrong};
use crate::mistake::Mistakes;
use crate::tree::{Is, Node};
use std::fmt::Debug;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<T, const MIN: u64, const MAX: u64>(pub T);

impl<T, const MIN: u64, const MAX: u64> Value for Whole<T, MIN, MAX>
where
    T: TryFrom<u64> + Into<u64> + Copy + Debug,
{
    fn expected() -> String {
        if MIN == MAX {
            return format!("{MIN} (this version takes nothing else)");
        }
        if MAX == i64::MAX as u64 {
            return format!("a whole number, at least {MIN}");
        }
        format!("a whole number from {MIN} to {MAX}")
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let number = match node.is {
            Is::Whole(number) => u64::try_from(number).ok(),
            _ => None,
        };
        let within = number.filter(|number| (MIN..=MAX).contains(number));
        let value = within.and_then(|number| T::try_from(number).ok());
        if value.is_none() {
            wrong(node, Self::expected(), mistakes);
        }
        value.map(Self)
    }

    fn write(&self) -> Option<toml::Value> {
        let number: u64 = self.0.into();
        Some(toml::Value::Integer(i64::try_from(number).expect("ranges end below 2^63")))
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A share of a whole: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl Value for Share {
    fn expected() -> String {
        "a share from 0.0 to 1.0".into()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let share = match node.is {
            Is::Real(number) => number,
            Is::Whole(number) => number as f64,
            _ => f64::NAN,
        };
        if (0.0..=1.0).contains(&share) {
            return Some(Self(share));
        }
        wrong(node, Self::expected(), mistakes);
        None
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Float(self.0))
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}
