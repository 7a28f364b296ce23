//! Secrets: values that nothing shows by accident.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What stands in its place.
const REDACTED: &str = "<secret>";

/// A password, a token, a key. `Debug` and `Serialize` write `<secret>`; whoever wants the value calls
/// `expose`, and whoever must write it says so: `#[serde(with = "protocol::secret::exposed")]`.
///
/// `==` takes a time that depends on the values: it is for tests and for comparing configurations, and
/// never for checking what somebody shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// A secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Its value.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

/// For fields that must be written: on the wire to whom the secret belongs, and in a journal.
pub mod exposed {
    use super::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes the value itself.
    #[expect(clippy::missing_errors_doc, reason = "those of the serializer")]
    pub fn serialize<T, S>(secret: &Secret<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Serialize,
        S: Serializer,
    {
        secret.0.serialize(serializer)
    }

    /// For fields that may be absent.
    pub mod optional {
        use super::{Deserialize, Deserializer, Secret, Serialize, Serializer};

        /// Writes the value itself, if there is one.
        #[expect(clippy::missing_errors_doc, reason = "those of the serializer")]
        pub fn serialize<T, S>(secret: &Option<Secret<T>>, serializer: S) -> Result<S::Ok, S::Error>
        where
            T: Serialize,
            S: Serializer,
        {
            secret.as_ref().map(Secret::expose).serialize(serializer)
        }

        /// Reads it.
        #[expect(clippy::missing_errors_doc, reason = "those of the deserializer")]
        pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<Secret<T>>, D::Error>
        where
            T: Deserialize<'de>,
            D: Deserializer<'de>,
        {
            Option::deserialize(deserializer)
        }
    }

    /// Reads it.
    #[expect(clippy::missing_errors_doc, reason = "those of the deserializer")]
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Secret<T>, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Secret::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Both {
        hidden: Secret,
        #[serde(with = "exposed")]
        written: Secret<[u8; 2]>,
    }

    #[test]
    fn only_what_says_so_is_written_and_nothing_is_shown() {
        let both = Both { hidden: "hunter2".into(), written: Secret::new([7, 9]) };
        assert_eq!(format!("{both:?}"), "Both { hidden: <secret>, written: <secret> }");
        let text = serde_json::to_string(&both).unwrap();
        assert_eq!(text, r#"{"hidden":"<secret>","written":[7,9]}"#);
        let text = text.replace("<secret>", "hunter2");
        assert_eq!(serde_json::from_str::<Both>(&text).unwrap(), both);
    }
}
