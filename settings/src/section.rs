//! Sections: tables with known keys, each with its type, its default and its meaning.
//!
//! `section!` declares a section once; reading, writing, the JSON Schema and the documentation
//! follow from it.

use crate::mistake::{Mistakes, Origin, Problem};
use crate::tree::{Entry, Is, Node, join};
use crate::value::Value;
use protocol::nearest;

/// A key's value as it was read: `None` after a mistake, which has been noted.
#[derive(Clone, Debug)]
pub struct Field<T> {
    /// The value.
    pub value: Option<T>,
    /// Where it was written; the section, if its default stands in.
    pub origin: Origin,
    /// Its key from the top.
    pub key: String,
}

impl<T: Clone> Field<T> {
    /// The value, unless it was a mistake.
    pub fn get(&self) -> Option<T> {
        self.value.clone()
    }

    /// A value that was not read from a file.
    pub fn of(value: T) -> Self {
        Self { value: Some(value), origin: Origin::Whole, key: String::new() }
    }

    /// Notes that the value does not go together with others.
    pub fn conflict(&self, mistakes: &mut Mistakes, what: String) {
        mistakes.note(&self.origin, Problem::Conflict { key: self.key.clone(), what });
    }
}

/// What there is to know of a key.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// The key.
    pub name: &'static str,
    /// Its meaning.
    pub meaning: String,
    /// What it takes.
    pub takes: String,
    /// Its JSON Schema.
    pub schema: serde_json::Value,
    /// Whether it must be there.
    pub required: bool,
    /// Its default; `None` if without the key there is nothing.
    pub default: Option<toml::Value>,
}

/// A table with known keys.
pub trait Section: Value {
    /// Its meaning.
    fn meaning() -> String;
    /// Its keys, in the order in which they are explained.
    fn keys() -> Vec<KeyInfo>;
    /// Its keys and values, in that order.
    fn entries(&self) -> Vec<(&'static str, toml::Value)>;
}

/// A section with nothing but its defaults. Only for sections that need no key.
pub fn by_default<S: Section>() -> S {
    let mut mistakes = Mistakes::new("", "", "");
    let nothing = Node { is: Is::Table(Vec::new()), origin: Origin::Whole, key: String::new() };
    S::read(&nothing, &mut mistakes).expect("a section of which every key has a default")
}

/// Notes every key that a section does not have. `None` if the node is no table at all.
pub fn entries_of<'a, S: Section>(node: &'a Node, mistakes: &mut Mistakes) -> Option<&'a [Entry]> {
    let Is::Table(entries) = &node.is else {
        crate::value::wrong(node, S::expected(), mistakes);
        return None;
    };
    let known: Vec<&str> = S::keys().iter().map(|key| key.name).collect();
    for entry in entries.iter().filter(|entry| !known.contains(&entry.name.as_str())) {
        let problem = Problem::UnknownKey {
            key: entry.name.clone(),
            section: mistakes.section(&node.key),
            nearest: nearest(&entry.name, known.iter().copied()).map(str::to_owned),
            known: known.iter().map(|&name| name.to_owned()).collect(),
        };
        mistakes.note(&entry.origin, problem);
    }
    Some(entries)
}

/// Reads one key of a section.
pub fn field<T: Value>(
    section: &Node,
    name: &'static str,
    default: Option<T>,
    mistakes: &mut Mistakes,
) -> Field<T> {
    let key = join(&section.key, name);
    if let Some(node) = section.get(name) {
        return Field { value: T::read(node, mistakes), origin: node.origin.clone(), key };
    }
    if default.is_none() {
        let section_name = mistakes.section(&section.key);
        let problem =
            Problem::Missing { key: name.into(), section: section_name, expected: T::expected() };
        mistakes.note(&section.origin, problem);
    }
    let value = default.map(|value| value.standing_in(&key, &section.origin));
    Field { value, origin: section.origin.clone(), key }
}

/// The JSON Schema of a section. Each key has a list of what it takes (`anyOf`), for others to add to.
pub fn schema_of<S: Section>() -> serde_json::Value {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for key in S::keys() {
        let mut schema = serde_json::json!({
            "description": key.meaning,
            "anyOf": [key.schema],
        });
        let object = schema.as_object_mut().expect("it is an object");
        // A section's defaults stand at its own keys.
        if let Some(default) = key.default.filter(|value| !value.is_table()) {
            let default = serde_json::to_value(default).expect("TOML values exist in JSON");
            object.insert("default".into(), default);
        }
        properties.insert(key.name.into(), schema);
        if key.required {
            required.push(key.name);
        }
    }
    serde_json::json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A key as TOML has it: raw identifiers stand for Rust's keywords.
pub const fn key_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Declares a section: `key: Type = default` or, for a key that must be there, `key: Type`.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            $( $(#[doc = $key_doc:literal])+ $key:ident : $type:ty $(= $default:expr)? ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[doc = $key_doc])+ pub $key: $crate::section::Field<$type>, )+
        }

        impl $crate::section::Section for $name {
            fn meaning() -> String {
                concat!($($doc),+).trim().to_owned()
            }

            fn keys() -> Vec<$crate::section::KeyInfo> {
                vec![$({
                    let default: Option<$type> = $crate::section!(@default $($default)?);
                    $crate::section::KeyInfo {
                        name: $crate::section::key_name(stringify!($key)),
                        meaning: concat!($($key_doc),+).trim().to_owned(),
                        takes: <$type as $crate::value::Value>::expected(),
                        schema: <$type as $crate::value::Value>::schema(),
                        required: default.is_none(),
                        default: default.as_ref().and_then($crate::value::Value::write),
                    }
                }),+]
            }

            fn entries(&self) -> Vec<(&'static str, $crate::toml::Value)> {
                let mut entries = Vec::new();
                $(
                    let value = self.$key.value.as_ref().and_then($crate::value::Value::write);
                    entries.extend(
                        value.map(|v| ($crate::section::key_name(stringify!($key)), v)),
                    );
                )+
                entries
            }
        }

        impl $crate::value::Value for $name {
            fn expected() -> String {
                let keys: Vec<&str> = <Self as $crate::section::Section>::keys()
                    .iter()
                    .map(|key| key.name)
                    .collect();
                format!("a table with {}", keys.join(", "))
            }

            fn read(
                node: &$crate::tree::Node,
                mistakes: &mut $crate::mistake::Mistakes,
            ) -> Option<Self> {
                $crate::section::entries_of::<Self>(node, mistakes)?;
                Some(Self {$(
                    $key: $crate::section::field::<$type>(
                        node,
                        $crate::section::key_name(stringify!($key)),
                        $crate::section!(@default $($default)?),
                        mistakes,
                    ),
                )+})
            }

            fn write(&self) -> Option<$crate::toml::Value> {
                let entries = $crate::section::Section::entries(self);
                let named = entries.into_iter().map(|(key, value)| (key.to_owned(), value));
                Some($crate::toml::Value::Table(named.collect()))
            }

            fn schema() -> $crate::serde_json::Value {
                $crate::section::schema_of::<Self>()
            }

            fn standing_in(mut self, key: &str, origin: &$crate::mistake::Origin) -> Self {
                $(
                    self.$key.key = format!("{key}.{}", $crate::section::key_name(stringify!($key)));
                    self.$key.origin = origin.clone();
                )+
                self
            }
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
}
