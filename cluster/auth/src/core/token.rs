//! Access tokens: JWTs in the profile of RFC 9068, signed with Ed25519 (`EdDSA`, RFC 8037).
//!
//! An own layer of a few lines instead of a JWT crate: those read the system's clock to check `exp`
//! and bring every algorithm there is. Here there is one algorithm, and the time is an argument.

use crate::core::key::{KeyPair, PublicKey};
use crate::core::refresh_token::FamilyId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ports::{Claims, Scopes, TokenError};
use protocol::UserId;
use serde::{Deserialize, Serialize};

/// The `aud` of every token: the cluster as a resource server (RFC 9068 section 2.2).
pub const AUDIENCE: &str = "fracas";

/// Longer tokens are not looked at; ours have about 500 bytes.
pub const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// The claims of an access token, as they stand in its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Who issued it.
    pub iss: String,
    /// Who is to honour it.
    pub aud: String,
    /// User name or service id, for logs.
    pub sub: String,
    /// The OAuth 2.0 client.
    pub client_id: String,
    /// When it runs out, seconds since the Unix epoch.
    pub exp: u64,
    /// When it was issued, seconds since the Unix epoch.
    pub iat: u64,
    /// Names this token.
    pub jti: String,
    /// Granted scopes, separated by spaces.
    pub scope: String,
    /// The user's number; absent for a service, whose id may look like a user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u64>,
    /// The login that it goes back to, in hexadecimal; absent for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<FamilyId>,
    /// The user's revocation epoch at the time of issue.
    pub rev: u64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// The compact serialisation (RFC 7515 section 3.1) of a signed token.
pub fn issue(payload: &Payload, key: &KeyPair) -> String {
    let header =
        Header { alg: "EdDSA".into(), typ: "at+jwt".into(), kid: key.public().kid.clone() };
    let mut token = encode(&header);
    token.push('.');
    token.push_str(&encode(payload));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

fn encode<T: Serialize>(part: &T) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("plain fields"))
}

/// What a token says, if it was signed by a key that `key_named` knows, for us, by this issuer, and
/// has not run out. Revocation is the caller's to check.
pub fn open<'k>(
    token: &str,
    issuer: &str,
    now_ms: u64,
    key_named: impl FnOnce(&str) -> Option<&'k PublicKey>,
) -> Result<Claims, TokenError> {
    honoured(authentic(token, key_named), issuer, now_ms)
}

/// As [`open`], whoever has signed it, or nobody (`signatures = ignored`).
pub fn believe(token: &str, issuer: &str, now_ms: u64) -> Result<Claims, TokenError> {
    let payload = token.split('.').nth(1).filter(|_| token.len() <= MAX_TOKEN_BYTES);
    honoured(payload.and_then(decode), issuer, now_ms)
}

/// What a payload says, if it is for us, by this issuer, and has not run out.
fn honoured(payload: Option<Payload>, issuer: &str, now_ms: u64) -> Result<Claims, TokenError> {
    let payload = payload.ok_or(TokenError::Invalid)?;
    if payload.iss != issuer || payload.aud != AUDIENCE {
        return Err(TokenError::Invalid);
    }
    let expires_ms = payload.exp.saturating_mul(1_000);
    if now_ms >= expires_ms {
        return Err(TokenError::Expired);
    }
    Ok(Claims {
        user: payload.uid.map(UserId),
        scopes: Scopes::of(payload.scope.split(' ')),
        expires_ms,
        login: payload.sid.map(FamilyId::number),
        revocation_epoch: payload.rev,
        signer: None,
    })
}

/// The payload of a token with a good signature. Nothing of the payload is parsed before.
fn authentic<'k>(
    token: &str,
    key_named: impl FnOnce(&str) -> Option<&'k PublicKey>,
) -> Option<Payload> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header: Header = decode(header)?;
    // The algorithm is ours to choose, not the token's (RFC 8725 section 3.1).
    if header.alg != "EdDSA" || !header.typ.eq_ignore_ascii_case("at+jwt") {
        return None;
    }
    let signature: [u8; 64] = URL_SAFE_NO_PAD.decode(signature).ok()?.try_into().ok()?;
    key_named(&header.kid)?.verifies(signed.as_bytes(), &signature).then_some(())?;
    decode(payload)
}

fn decode<T: for<'d> Deserialize<'d>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// The key that a token claims to be signed with, unverified: a reason to ask for new keys.
pub fn claimed_key(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    decode::<Header>(token.split_once('.')?.0).map(|header| header.kid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payload() -> Payload {
        Payload {
            iss: "https://issuer".into(),
            aud: AUDIENCE.into(),
            sub: "user-7".into(),
            client_id: "public".into(),
            exp: 1_000,
            iat: 900,
            jti: "j".into(),
            scope: "chat extra".into(),
            uid: Some(7),
            sid: Some(FamilyId([5; 16])),
            rev: 3,
        }
    }

    fn key() -> KeyPair {
        KeyPair::from_seed(&[7; 32])
    }

    fn check(token: &str, now_ms: u64) -> Result<Claims, TokenError> {
        let public = key().public().verifying().unwrap();
        let kid = key().public().kid.clone();
        open(token, "https://issuer", now_ms, |name| (name == kid).then_some(&public))
    }

    #[test]
    fn a_token_says_what_was_put_in() {
        let claims = check(&issue(&payload(), &key()), 999_999).unwrap();
        assert_eq!(claims.user, Some(UserId(7)));
        assert_eq!(claims.scopes, Scopes::of(["chat"]));
        assert_eq!((claims.expires_ms, claims.revocation_epoch), (1_000_000, 3));
        assert_eq!(claims.login, Some(0x0505_0505_0505_0505_0505_0505_0505_0505));
    }

    #[test]
    fn a_token_expires_at_exp() {
        assert_eq!(check(&issue(&payload(), &key()), 1_000_000), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_for_or_by_somebody_else_is_invalid() {
        for wrong in [
            Payload { iss: "https://other".into(), ..payload() },
            Payload { aud: "other".into(), ..payload() },
        ] {
            assert_eq!(check(&issue(&wrong, &key()), 0), Err(TokenError::Invalid), "{wrong:?}");
        }
        let foreign = issue(&payload(), &KeyPair::from_seed(&[8; 32]));
        assert_eq!(check(&foreign, 0), Err(TokenError::Invalid));
    }

    #[test]
    fn an_unsigned_token_is_invalid_whatever_its_header_says() {
        let token = issue(&payload(), &key());
        let body = token.split('.').nth(1).unwrap();
        for alg in ["none", "HS256", "EdDSA"] {
            let header =
                Header { alg: alg.into(), typ: "at+jwt".into(), kid: key().public().kid.clone() };
            for signature in ["", "AAAA"] {
                let forged = format!("{}.{body}.{signature}", encode(&header));
                assert_eq!(check(&forged, 0), Err(TokenError::Invalid), "{alg}");
            }
        }
    }

    #[test]
    fn an_id_token_is_no_access_token() {
        let header =
            Header { alg: "EdDSA".into(), typ: "JWT".into(), kid: key().public().kid.clone() };
        let signed = format!("{}.{}", encode(&header), encode(&payload()));
        let signature = URL_SAFE_NO_PAD.encode(key().sign(signed.as_bytes()));
        assert_eq!(check(&format!("{signed}.{signature}"), 0), Err(TokenError::Invalid));
    }

    proptest! {
        #[test]
        fn any_flipped_character_invalidates(position in 0_usize..400, to in "[A-Za-z0-9_.-]") {
            let token = issue(&payload(), &key());
            let position = position % token.len();
            let mut changed = token.clone();
            changed.replace_range(position..=position, &to);
            prop_assume!(changed != token);
            prop_assert_eq!(check(&changed, 0), Err(TokenError::Invalid));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,300}") {
            prop_assert_eq!(check(&text, 0), Err(TokenError::Invalid));
            let _ = claimed_key(&text);
        }
    }
}
