//! Design choices. Their names and options are asked of `protocol::Design` itself, so that a new
//! choice there is a new key here.

use super::{Value, wrong};
use crate::mistake::{Mistakes, Problem};
use crate::tree::{Is, Node};
use protocol::{Design, nearest};
use serde::Deserialize;
use serde::de::value::{Error, MapDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, MapAccess, Visitor};
use std::cell::Cell;
use std::collections::BTreeMap;

/// The `[design]` table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices(pub Design);

impl Value for Choices {
    fn expected() -> String {
        "a table of design choices".into()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let Is::Table(entries) = &node.is else {
            wrong(node, Self::expected(), mistakes);
            return None;
        };
        let names = names();
        let mut chosen = BTreeMap::new();
        let mut sound = true;
        for entry in entries {
            if !names.contains(&entry.name.as_str()) {
                mistakes.note(&entry.origin, unknown_choice(&entry.name, names));
                sound = false;
                continue;
            }
            let options = options(&entry.name);
            match &entry.node.is {
                Is::Text(word) if options.contains(&word.as_str()) => {
                    chosen.insert(entry.name.as_str(), word.as_str());
                }
                _ => {
                    mistakes.note(&entry.node.origin, unknown_option(&entry.node, options));
                    sound = false;
                }
            }
        }
        let design = Design::deserialize(MapDeserializer::<_, Error>::new(chosen.into_iter()));
        sound.then(|| Self(design.expect("each name and option was checked")))
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::try_from(self.0).expect("a design is a table of words"))
    }

    fn schema() -> serde_json::Value {
        let sound = toml::Table::try_from(Design::default()).expect("a design is a table of words");
        let properties: serde_json::Map<String, serde_json::Value> = names()
            .iter()
            .map(|name| {
                let default = sound.get(*name).and_then(|word| word.as_str());
                let schema = serde_json::json!({ "enum": options(name), "default": default });
                ((*name).to_owned(), schema)
            })
            .collect();
        serde_json::json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn unknown_choice(name: &str, names: &[&str]) -> Problem {
    Problem::UnknownKey {
        key: name.to_owned(),
        section: "[design]".into(),
        nearest: nearest(name, names.iter().copied()).map(str::to_owned),
        known: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn unknown_option(node: &Node, options: &[&str]) -> Problem {
    let near = match &node.is {
        Is::Text(word) => nearest(word, options.iter().copied()).map(str::to_owned),
        _ => None,
    };
    Problem::Value {
        key: node.key.clone(),
        expected: format!("one of {}", options.join(", ")),
        found: node.described(),
        nearest: near,
    }
}

/// The names of all choices.
pub fn names() -> &'static [&'static str] {
    let words = Cell::new(&[][..]);
    // The probe answers with an error once it has learned the words.
    let _ = Design::deserialize(Probe { choice: None, words: &words });
    words.get()
}

/// The options of a choice, the sound one first; none if there is no such choice.
pub fn options(choice: &str) -> &'static [&'static str] {
    let words = Cell::new(&[][..]);
    let _ = Design::deserialize(Probe { choice: Some(choice), words: &words });
    words.get()
}

/// Whether every option of a choice is sound.
pub fn is_sound(choice: &str) -> bool {
    protocol::design::SOUND.contains(&choice)
}

/// Asks a type for its words: serde hands a struct's field names and an enum's variant names to the
/// deserializer. Without a choice it keeps the former; with one, the latter of that field.
#[derive(Clone, Copy)]
struct Probe<'a> {
    choice: Option<&'a str>,
    words: &'a Cell<&'static [&'static str]>,
}

fn learned() -> Error {
    de::Error::custom("the words are learned")
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.choice.is_some() {
            return visitor.visit_map(self);
        }
        self.words.set(fields);
        Err(learned())
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        self.words.set(variants);
        Err(learned())
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(learned())
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Probe<'_> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let key: StrDeserializer<'_, Error> = self.choice.unwrap_or_default().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_protocol() {
        assert!(names().contains(&"accept") && names().contains(&"client_heartbeat"));
        assert_eq!(options("accept"), ["after_persist", "before_persist"]);
        assert_eq!(options("deduplication"), ["durable", "memory", "off"]);
        assert!(options("colour").is_empty());
    }

    #[test]
    fn choices_that_are_sound_exist() {
        for name in protocol::design::SOUND {
            assert!(names().contains(name), "{name}");
        }
    }

    #[test]
    fn the_first_option_is_the_default() {
        let sound = toml::Table::try_from(Design::default()).expect("a table");
        for name in names() {
            assert_eq!(sound[*name].as_str(), options(name).first().copied(), "{name}");
        }
    }
}
