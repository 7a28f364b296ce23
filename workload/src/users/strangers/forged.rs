//! Tokens that nobody has granted, made of one that somebody was granted: JWTs (RFC 7519) whose claims name
//! another user. An opaque token gets another character.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::UserId;
use serde_json::{Map, Value};

/// With the victim's name in it, and the signature of the granted one.
pub fn altered(token: &str, victim: UserId) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    if let [header, payload, signature] = parts[..]
        && let Some(claims) = object(payload)
    {
        let altered = format!("{header}.{}.{signature}", written(&naming(claims, victim)));
        // If it named the victim before, it would be the granted one.
        if altered != token {
            return altered;
        }
    }
    let mut characters: Vec<char> = token.chars().collect();
    let middle = characters.len() / 2;
    match characters.get_mut(middle) {
        Some(one) => *one = if *one == 'a' { 'b' } else { 'a' },
        None => characters.push('a'),
    }
    characters.into_iter().collect()
}

/// With the victim's name in it, of the algorithm `none`, and without a signature.
pub fn unsigned(token: &str, victim: UserId) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let (header, payload) = match parts[..] {
        [header, payload, _] => (object(header), object(payload)),
        _ => (None, None),
    };
    let mut header = header.unwrap_or_default();
    header.insert("alg".into(), "none".into());
    format!("{}.{}.", written(&header), written(&naming(payload.unwrap_or_default(), victim)))
}

/// Our own tokens have the user's number as `uid`; others have the subject alone.
fn naming(mut claims: Map<String, Value>, victim: UserId) -> Map<String, Value> {
    if claims.contains_key("uid") {
        claims.insert("uid".into(), victim.0.into());
    } else {
        claims.insert("sub".into(), victim.to_string().into());
    }
    claims
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn written(object: &Map<String, Value>) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(object).expect("its keys are strings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(claims: &str) -> String {
        let [header, claims] =
            [r#"{"alg":"EdDSA","kid":"1"}"#, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{claims}.c2lnbmVk")
    }

    fn parts(token: &str) -> (String, String, String) {
        let parts: Vec<&str> = token.split('.').collect();
        let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        (text(parts[0]), text(parts[1]), parts[2].to_owned())
    }

    #[test]
    fn another_user_stands_in_it() {
        let token = granted(r#"{"uid":3,"sub":"user-3"}"#);
        let (header, claims, signature) = parts(&altered(&token, UserId(8)));
        assert_eq!(claims, r#"{"sub":"user-3","uid":8}"#);
        assert_eq!(
            (header.as_str(), signature.as_str()),
            (r#"{"alg":"EdDSA","kid":"1"}"#, "c2lnbmVk")
        );
        let (header, claims, signature) = parts(&unsigned(&token, UserId(8)));
        assert_eq!(header, r#"{"alg":"none","kid":"1"}"#);
        assert_eq!((claims.as_str(), signature.as_str()), (r#"{"sub":"user-3","uid":8}"#, ""));
        let (_, claims, _) = parts(&altered(&granted(r#"{"sub":"3"}"#), UserId(8)));
        assert_eq!(claims, r#"{"sub":"8"}"#);
    }

    #[test]
    fn what_is_no_jwt_is_changed_all_the_same() {
        let own = granted(r#"{"uid":1}"#);
        for token in ["", "a", "opaque", "a.b", "a.b.c", "é.é.é", &own] {
            assert_ne!(altered(token, UserId(1)), token);
            assert!(unsigned(token, UserId(1)).ends_with('.'));
        }
    }
}
