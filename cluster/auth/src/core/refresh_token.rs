//! Refresh tokens as they travel: the family's name and the secret of its current generation.
//!
//! Both are random and unguessable, so whoever shows the right family with a wrong secret has held an
//! earlier token of that family: a reuse (RFC 9700 section 4.14.2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// All refresh tokens that go back to one login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FamilyId(pub [u8; 16]);

/// A refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// Its family.
    pub family: FamilyId,
    /// The secret of one generation.
    pub secret: [u8; 16],
}

impl RefreshToken {
    /// As it travels: 43 characters.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.family.0, self.secret].concat())
    }

    /// The token of a text; `None` if it is none.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (family, secret) = bytes.split_at(16);
        Some(Self { family: FamilyId(family.try_into().ok()?), secret: secret.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_from_its_text() {
        let token = RefreshToken { family: FamilyId([1; 16]), secret: [2; 16] };
        assert_eq!(token.to_text().len(), 43);
        assert_eq!(RefreshToken::from_text(&token.to_text()), Some(token));
        for wrong in ["", "AAAA", "ä", &format!("{}A", token.to_text())] {
            assert_eq!(RefreshToken::from_text(wrong), None, "{wrong}");
        }
    }
}
