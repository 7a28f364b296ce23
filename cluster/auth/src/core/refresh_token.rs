//! Refresh tokens as they travel: the family's name and the secret of its current generation.
//!
//! Both are random and unguessable, so whoever shows the right family with a wrong secret has held an
//! earlier token of that family: a reuse (RFC 9700 section 4.14.2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// All tokens that go back to one login. In text: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FamilyId(pub [u8; 16]);

impl FamilyId {
    /// The same as a number.
    pub const fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

impl Serialize for FamilyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&format!("{:032x}", self.number()))
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for FamilyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Deserialize::deserialize(deserializer).map(Self);
        }
        let text: String = Deserialize::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// A refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// Its family.
    pub family: FamilyId,
    /// The secret of one generation.
    pub secret: Secret<[u8; 16]>,
}

impl RefreshToken {
    /// As it travels: 43 characters.
    pub fn to_text(&self) -> Secret {
        URL_SAFE_NO_PAD.encode([self.family.0, *self.secret.expose()].concat()).into()
    }

    /// The token of a text; `None` if it is none.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (family, secret) = bytes.split_at(16);
        let (family, secret) = (family.try_into().ok()?, secret.try_into().ok()?);
        Some(Self { family: FamilyId(family), secret: Secret::new(secret) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_a_name_of_hexadecimal_digits() {
        let id = FamilyId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, "\"000102030405060708090a0b0c0d0eff\"");
        assert_eq!(serde_json::from_str::<FamilyId>(&text).unwrap(), id);
        assert!(serde_json::from_str::<FamilyId>("\"no\"").is_err());
        let bytes = postcard::to_stdvec(&id).unwrap();
        assert_eq!(postcard::from_bytes::<FamilyId>(&bytes).unwrap(), id);
        assert_eq!(bytes.len(), 16);
    }

    #[test]
    fn a_token_comes_back_from_its_text() {
        let token = RefreshToken { family: FamilyId([1; 16]), secret: Secret::new([2; 16]) };
        assert_eq!(token.to_text().expose().len(), 43);
        assert_eq!(RefreshToken::from_text(token.to_text().expose()), Some(token.clone()));
        for wrong in ["", "AAAA", "ä", &format!("{}A", token.to_text().expose())] {
            assert_eq!(RefreshToken::from_text(wrong), None, "{wrong}");
        }
    }
}
