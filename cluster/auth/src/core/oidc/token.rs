//! Whether a token of an outside issuer is honoured, and what it says: a JWS in its compact form (RFC 7515),
//! read as RFC 9068 has it, and as issuers do that came before it.

use super::key::Algorithm;
use super::known::{Found, KnownKeys};
use crate::core::issuer::user_number;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ports::{Claims, Scopes, TokenError};
use protocol::UserId;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::num::NonZeroU32;

/// Longer tokens are not looked at: the head of a request that carries one may have 8 KiB.
pub const MAX_TOKEN_BYTES: usize = 7 * 1024;

/// How far ahead the clock of the issuer may be of ours, where it says since when a token counts. When it runs
/// out is taken at its word.
const LEEWAY_MS: u64 = 60_000;

/// The largest number of a user that an engine of the store can keep.
const USER_MAX: u64 = i64::MAX as u64;

/// What is asked of a token beside a good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demands {
    /// Its `iss`, letter by letter.
    pub issuer: String,
    /// Stands in its `aud`.
    pub audience: String,
    /// The claim that names the user.
    pub user_claim: String,
}

/// Why a token is not honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// For good.
    Final(TokenError),
    /// It names a key that is not known: the issuer may have a new one.
    UnknownKey,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood (RFC 7515 section 4.1.11): there is none that is.
    crit: Option<Value>,
}

type Payload = Map<String, Value>;

/// What a token says, if one of these keys has signed it, and it is as demanded at this time.
pub fn open(
    token: &str,
    now_ms: u64,
    demands: &Demands,
    keys: &KnownKeys,
) -> Result<Claims, Refusal> {
    let (signer, payload) = authentic(token, keys)?;
    demands.claims(&payload, signer, now_ms).map_err(Refusal::Final)
}

/// Who claims to have issued a token, unverified: who is to be asked about it.
pub fn claimed_issuer(token: &str) -> Option<String> {
    let (_, payload, _) = parts(token)?;
    match decode::<Payload>(payload)?.remove("iss")? {
        Value::String(issuer) => Some(issuer),
        _ => None,
    }
}

/// The payload of a token with a good signature, and whose it is. Nothing of the payload is parsed before.
fn authentic(token: &str, keys: &KnownKeys) -> Result<(NonZeroU32, Payload), Refusal> {
    const INVALID: Refusal = Refusal::Final(TokenError::Invalid);
    let (header, payload, signature) = parts(token).ok_or(INVALID)?;
    let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
    let header: Header = decode(header).ok_or(INVALID)?;
    let algorithm = header.algorithm().ok_or(INVALID)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| INVALID)?;
    let candidates = match keys.find(header.kid.as_deref(), algorithm) {
        Found::Keys(candidates) => candidates,
        Found::UnknownName => return Err(Refusal::UnknownKey),
        Found::Nothing => return Err(INVALID),
    };
    let signer = candidates.into_iter().find(|(_, key)| key.verifies(signed, &signature));
    let (signer, _) = signer.ok_or(INVALID)?;
    Ok((signer, decode(payload).ok_or(INVALID)?))
}

/// Header, payload and signature, none of them decoded.
fn parts(token: &str) -> Option<(&str, &str, &str)> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (header, rest) = token.split_once('.')?;
    let (payload, signature) = rest.split_once('.')?;
    Some((header, payload, signature))
}

fn decode<T: for<'d> Deserialize<'d>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

impl Header {
    /// How the token is signed, if it is an access token at all.
    fn algorithm(&self) -> Option<Algorithm> {
        let typ = self.typ.as_deref().unwrap_or("JWT");
        let is_token = ["at+jwt", "JWT"].iter().any(|known| typ.eq_ignore_ascii_case(known));
        (is_token && self.crit.is_none()).then(|| Algorithm::named(&self.alg))?
    }
}

impl Demands {
    fn claims(
        &self,
        payload: &Payload,
        signer: NonZeroU32,
        now_ms: u64,
    ) -> Result<Claims, TokenError> {
        let is_ours = payload.get("iss").and_then(Value::as_str) == Some(&self.issuer)
            && words(payload.get("aud")).any(|audience| audience == self.audience);
        let user = payload.get(&self.user_claim).and_then(user);
        let (Some(user), true) = (user, is_ours) else {
            return Err(TokenError::Invalid);
        };
        let expires_ms = date_ms(payload, "exp")?.ok_or(TokenError::Invalid)?;
        for since in ["nbf", "iat"] {
            let since_ms = date_ms(payload, since)?.unwrap_or(0);
            if since_ms > now_ms.saturating_add(LEEWAY_MS) {
                return Err(TokenError::Invalid);
            }
        }
        if now_ms >= expires_ms {
            return Err(TokenError::Expired);
        }
        Ok(Claims {
            user: Some(user),
            scopes: scopes(payload),
            expires_ms,
            login: None,
            revocation_epoch: 0,
            signer: Some(signer),
        })
    }
}

/// `scope` (RFC 8693 section 4.2), or `scp` as some issuers have it: words in one text, or a list.
fn scopes(payload: &Payload) -> Scopes {
    let granted = payload.get("scope").or_else(|| payload.get("scp"));
    Scopes::of(words(granted).flat_map(|text| text.split(' ')))
}

/// A text, or the texts of a list.
fn words(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, list) = match value {
        Some(Value::Array(list)) => (None, list.as_slice()),
        other => (other, [].as_slice()),
    };
    one.into_iter().chain(list).filter_map(Value::as_str)
}

/// One of our users.
fn user(value: &Value) -> Option<UserId> {
    let number = match value {
        Value::String(name) => user_number(name),
        other => other.as_u64(),
    };
    number.filter(|number| (1..=USER_MAX).contains(number)).map(UserId)
}

/// A date (RFC 7519 section 2), which may have a fraction, in milliseconds since the Unix epoch.
fn date_ms(payload: &Payload, name: &str) -> Result<Option<u64>, TokenError> {
    let Some(date) = payload.get(name) else { return Ok(None) };
    let whole = date.as_u64().map(|seconds| seconds.saturating_mul(1_000));
    // Conversions to whole numbers end at their bounds: before the epoch is the epoch.
    let broken = || date.as_f64().map(|seconds| (seconds * 1_000.0) as u64);
    whole.or_else(broken).map(Some).ok_or(TokenError::Invalid)
}
