//! What a token or revocation request asks, from its form and its `Authorization` header.

use crate::core::oauth_error::{ErrorCode, OAuthError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::Secret;
use std::collections::BTreeMap;

/// A request to the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// The client, if it has shown a secret.
    pub client: Option<ClientSecret>,
    /// What it has to show.
    pub grant: Grant,
    /// The scopes that it wants; `None`: all that it may have.
    pub scopes: Option<Vec<String>>,
}

/// A client that says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its id.
    pub id: String,
    /// Its secret, yet to be checked.
    pub secret: Secret,
}

/// A grant of RFC 6749.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Section 4.3.
    Password {
        /// `user-7` or `7`.
        username: String,
        /// Yet to be checked.
        password: Secret,
    },
    /// Section 4.4.
    ClientCredentials,
    /// Section 6.
    RefreshToken {
        /// Yet to be checked.
        token: Secret,
    },
}

/// A request to the revocation endpoint (RFC 7009 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRequest {
    /// The client, if it has shown a secret.
    pub client: Option<ClientSecret>,
    /// What is to be revoked.
    pub token: Secret,
}

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

impl TokenRequest {
    /// The request of a form body and of the `Authorization` header, if there is one.
    pub fn parse(form: &[u8], authorization: Option<&str>) -> Result<Self, OAuthError> {
        let mut form = Form::parse(form)?;
        let client = form.client(authorization)?;
        let grant = match form.take("grant_type").as_deref() {
            Some("password") => Grant::Password {
                username: form.take("username").ok_or(invalid("username is missing"))?,
                password: form.take("password").ok_or(invalid("password is missing"))?.into(),
            },
            Some("client_credentials") => Grant::ClientCredentials,
            Some("refresh_token") => Grant::RefreshToken {
                token: form
                    .take("refresh_token")
                    .ok_or(invalid("refresh_token is missing"))?
                    .into(),
            },
            Some(_) => {
                return Err(OAuthError::new(
                    ErrorCode::UnsupportedGrantType,
                    "grant_type is one of password, client_credentials, refresh_token",
                ));
            }
            None => return Err(invalid("grant_type is missing")),
        };
        let scopes = form.take("scope").map(|scope| {
            scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
        });
        Ok(Self { client, grant, scopes })
    }
}

impl RevocationRequest {
    /// The request of a form body and of the `Authorization` header, if there is one.
    pub fn parse(form: &[u8], authorization: Option<&str>) -> Result<Self, OAuthError> {
        let mut form = Form::parse(form)?;
        let client = form.client(authorization)?;
        let token = form.take("token").ok_or(invalid("token is missing"))?.into();
        Ok(Self { client, token })
    }
}

/// Parameters by name. Unknown ones are ignored, as RFC 6749 section 3.2 asks for.
struct Form(BTreeMap<String, String>);

impl Form {
    fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            // A parameter without a value counts as left out, a repeated one is an error (section 3.2).
            if value.is_empty() {
                continue;
            }
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(invalid("a parameter is repeated"));
            }
        }
        Ok(Self(parameters))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// The client's secret, from the header or from the form, but not from both (section 2.3).
    fn client(&mut self, authorization: Option<&str>) -> Result<Option<ClientSecret>, OAuthError> {
        let id = self.take("client_id");
        let secret = self.take("client_secret");
        match (authorization, secret) {
            (Some(_), Some(_)) => Err(invalid("the client authenticates twice")),
            (Some(header), None) => {
                let client = basic(header).ok_or(OAuthError::new(
                    ErrorCode::InvalidClient,
                    "the Authorization header is not HTTP Basic with a form-encoded id and secret",
                ))?;
                if id.is_some_and(|id| id != client.id) {
                    return Err(invalid("client_id and the Authorization header disagree"));
                }
                Ok(Some(client))
            }
            (None, Some(secret)) => {
                let id = id.ok_or(invalid("client_id is missing"))?;
                Ok(Some(ClientSecret { id, secret: secret.into() }))
            }
            // A public client may name itself; the name proves nothing and changes nothing.
            (None, None) => Ok(None),
        }
    }
}

/// HTTP Basic, whose two halves are form-encoded first (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<ClientSecret> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = credentials.split_once(':')?;
    let plain = |text: &str| {
        // A whole text is one form-encoded name; separators would end it, so they are escaped first.
        let escaped = text.replace('&', "%26").replace('=', "%3D");
        form_urlencoded::parse(escaped.as_bytes()).next().map(|(name, _)| name.into_owned())
    };
    Some(ClientSecret { id: plain(id)?, secret: plain(secret).unwrap_or_default().into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_from_form_and_header() {
        let table: &[(&str, Option<&str>, Result<TokenRequest, ErrorCode>)] = &[
            (
                "grant_type=password&username=user-7&password=p%26w&scope=chat++x&client_id=app",
                None,
                Ok(TokenRequest {
                    client: None,
                    grant: Grant::Password { username: "user-7".into(), password: "p&w".into() },
                    scopes: Some(vec!["chat".into(), "x".into()]),
                }),
            ),
            (
                "grant_type=client_credentials",
                // `ops:s%3Aecret+1`
                Some("Basic b3BzOnMlM0FlY3JldCsx"),
                Ok(TokenRequest {
                    client: Some(ClientSecret { id: "ops".into(), secret: "s:ecret 1".into() }),
                    grant: Grant::ClientCredentials,
                    scopes: None,
                }),
            ),
            (
                "grant_type=refresh_token&refresh_token=abc&client_id=ops&client_secret=s",
                None,
                Ok(TokenRequest {
                    client: Some(ClientSecret { id: "ops".into(), secret: "s".into() }),
                    grant: Grant::RefreshToken { token: "abc".into() },
                    scopes: None,
                }),
            ),
            ("", None, Err(ErrorCode::InvalidRequest)),
            ("grant_type=", None, Err(ErrorCode::InvalidRequest)),
            ("grant_type=implicit", None, Err(ErrorCode::UnsupportedGrantType)),
            ("grant_type=password&username=1", None, Err(ErrorCode::InvalidRequest)),
            ("grant_type=password&grant_type=password", None, Err(ErrorCode::InvalidRequest)),
            ("grant_type=client_credentials&client_secret=s", None, Err(ErrorCode::InvalidRequest)),
            ("grant_type=client_credentials", Some("Bearer x"), Err(ErrorCode::InvalidClient)),
            ("grant_type=client_credentials", Some("Basic !"), Err(ErrorCode::InvalidClient)),
            (
                "grant_type=client_credentials&client_secret=s&client_id=ops",
                Some("Basic b3BzOnM="),
                Err(ErrorCode::InvalidRequest),
            ),
            (
                "grant_type=client_credentials&client_id=other",
                Some("Basic b3BzOnM="),
                Err(ErrorCode::InvalidRequest),
            ),
        ];
        for (form, header, expected) in table {
            let parsed = TokenRequest::parse(form.as_bytes(), *header);
            assert_eq!(parsed.map_err(|e| e.error), *expected, "{form} {header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(form in proptest::collection::vec(any::<u8>(), 0..200), header in "\\PC{0,60}") {
            let _ = TokenRequest::parse(&form, Some(&header));
            let _ = RevocationRequest::parse(&form, None);
        }
    }
}
