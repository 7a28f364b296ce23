//! The keys of an outside issuer that are known, each with a number that sessions remember.
//!
//! A key keeps its number for as long as it stays in the issuer's set. One that was taken out and put back has
//! another number then: what it had signed has ended.

use super::key::{Algorithm, VerifyingKey};
use super::key_set::NamedKey;
use std::num::NonZeroU32;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownKeys {
    keys: Vec<(NonZeroU32, NamedKey)>,
    /// How many numbers were given out.
    given: u32,
}

/// What became of a key that a token asks for.
#[derive(Debug, PartialEq)]
pub enum Found<'k> {
    /// These may have signed it; at least one.
    Keys(Vec<(NonZeroU32, &'k VerifyingKey)>),
    /// No key has its name: the issuer may have a new one.
    UnknownName,
    /// There is no key that can be meant.
    Nothing,
}

impl KnownKeys {
    /// Takes in a set; those that are not in it any more are forgotten. Whether anything has changed.
    pub fn learn(&mut self, set: Vec<NamedKey>) -> bool {
        let mut keys: Vec<(NonZeroU32, NamedKey)> = Vec::with_capacity(set.len());
        for key in set {
            // The same one twice is one.
            if keys.iter().any(|(_, other)| *other == key) {
                continue;
            }
            let known = self.keys.iter().find(|(_, other)| *other == key);
            let number = known.map(|(number, _)| *number);
            keys.push((number.unwrap_or_else(|| self.number()), key));
        }
        let has_changed = keys != self.keys;
        self.keys = keys;
        has_changed
    }

    /// Whether a key is still in the set.
    pub fn has(&self, number: NonZeroU32) -> bool {
        self.keys.iter().any(|(known, _)| *known == number)
    }

    /// The keys that may have signed a token with this header. Two keys of one name and type are a mistake of
    /// the issuer, and either may be meant; a token that names no key means the only one of its type.
    pub fn find(&self, name: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let Some(name) = name else {
            let mut fitting = self.fitting(|_| true, algorithm);
            fitting.truncate(2);
            return if fitting.len() == 1 { Found::Keys(fitting) } else { Found::Nothing };
        };
        let is_named = |key: &NamedKey| key.name.as_deref() == Some(name);
        let fitting = self.fitting(is_named, algorithm);
        if !fitting.is_empty() {
            Found::Keys(fitting)
        } else if self.keys.iter().any(|(_, key)| is_named(key)) {
            Found::Nothing
        } else {
            Found::UnknownName
        }
    }

    fn fitting(
        &self,
        is_meant: impl Fn(&NamedKey) -> bool,
        algorithm: Algorithm,
    ) -> Vec<(NonZeroU32, &VerifyingKey)> {
        let fits = |key: &NamedKey| key.key.algorithm() == algorithm && is_meant(key);
        let fitting = self.keys.iter().filter(|(_, key)| fits(key));
        fitting.map(|(number, key)| (*number, &key.key)).collect()
    }

    fn number(&mut self) -> NonZeroU32 {
        self.given += 1;
        NonZeroU32::new(self.given).expect("an issuer has no four billion keys")
    }
}
