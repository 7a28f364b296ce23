//! What an issuer says of itself: who it is, and where its keys are.

use super::location::Location;
use serde::Deserialize;

/// What of the document matters here (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Why a discovery document is not believed.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// It is no such document.
    #[error("the discovery document cannot be read")]
    Malformed(#[from] serde_json::Error),
    /// It is somebody else's: tokens would name another issuer than the configuration.
    #[error("the discovery document is that of another issuer: {0:?}")]
    OtherIssuer(String),
    /// Its keys are at no URL, or at one that is not encrypted like the issuer's own.
    #[error("the keys are where they are not fetched from: {0:?}")]
    KeysElsewhere(String),
}

/// Where the keys of an issuer are, by its discovery document. Its name must be the configured one, letter by
/// letter (section 4.3), and its keys are fetched in the same way as the document: whoever can change an
/// unencrypted answer could sign anything.
pub fn keys_at(document: &[u8], issuer: &str) -> Result<Location, DiscoveryError> {
    let document: Document = serde_json::from_slice(document)?;
    if document.issuer != issuer {
        return Err(DiscoveryError::OtherIssuer(shown(&document.issuer)));
    }
    let own = Location::of(issuer).map(|own| own.is_encrypted);
    Location::of(&document.jwks_uri)
        .filter(|keys| Some(keys.is_encrypted) == own)
        .ok_or_else(|| DiscoveryError::KeysElsewhere(shown(&document.jwks_uri)))
}

/// For a log, whatever somebody has sent.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(issuer: &str, keys: &str) -> Result<Location, DiscoveryError> {
        let document = format!(r#"{{"issuer":{issuer:?},"jwks_uri":{keys:?},"more":[1]}}"#);
        keys_at(document.as_bytes(), "https://id.example")
    }

    #[test]
    fn the_keys_of_the_configured_issuer_are_found() {
        let found = check("https://id.example", "https://keys.example:1/jwks").unwrap();
        assert_eq!((found.address.as_str(), found.path.as_str()), ("keys.example:1", "/jwks"));
    }

    #[test]
    fn another_issuer_is_not_believed_however_alike() {
        for issuer in ["https://id.example/", "https://ID.example", "http://id.example", ""] {
            let refused = check(issuer, "https://id.example/jwks");
            assert!(matches!(refused, Err(DiscoveryError::OtherIssuer(_))), "{issuer}");
        }
    }

    #[test]
    fn keys_that_anybody_on_the_way_could_change_are_not_fetched() {
        for keys in ["http://id.example/jwks", "jwks", "", "file:///etc/passwd"] {
            let refused = check("https://id.example", keys);
            assert!(matches!(refused, Err(DiscoveryError::KeysElsewhere(_))), "{keys}");
        }
    }

    #[test]
    fn what_is_no_document_is_told_apart() {
        for text in ["", "[]", "{}", r#"{"issuer":1,"jwks_uri":"a"}"#, r#"{"issuer":"https://id"}"#]
        {
            let refused = keys_at(text.as_bytes(), "https://id.example");
            assert!(matches!(refused, Err(DiscoveryError::Malformed(_))), "{text}");
        }
    }
}
