//! Access tokens, got by the grants of RFC 6749 and kept until the last quarter of their life. Each device
//! logs in for itself, as people's devices do, and renews its login with the refresh token.

use super::http::Http;
use super::{RestError, api};
use crate::targets::Targets;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use client::AccessToken;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use protocol::{DeviceId, Secret, UserId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Grants under way at once: a full house that comes back must not flood the token endpoint.
const AT_ONCE: usize = 32;

/// Whose tokens: a device of a user.
type Holder = (UserId, DeviceId);

/// The service, which is no user.
const SERVICE: Holder = (UserId(0), DeviceId(0));

/// Tokens by device.
pub struct Tokens {
    http: Arc<Http>,
    targets: Arc<Targets>,
    kept: Mutex<BTreeMap<Holder, Kept>>,
    at_once: Semaphore,
}

#[derive(Clone)]
struct Kept {
    token: Secret,
    refresh: Option<Secret>,
    until: Instant,
}

impl Kept {
    fn access(&self) -> AccessToken {
        let renew_in = self.until.saturating_duration_since(Instant::now());
        AccessToken { token: self.token.clone(), renew_in_ms: Some(renew_in.as_millis() as u64) }
    }
}

/// A year: no run lasts longer, and some servers grant for ever.
const LONGEST_S: u64 = 365 * 24 * 60 * 60;

/// What the token endpoint grants.
#[derive(Deserialize)]
pub struct Granted {
    /// Opens everything that the scope allows.
    pub access_token: Secret,
    refresh_token: Option<Secret>,
    expires_in: u64,
}

impl Granted {
    /// Until when a token that was granted now is used: it is left alone for the last quarter of its life,
    /// time to get another one, and to try again.
    pub fn until(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.expires_in.min(LONGEST_S)) * 3 / 4
    }
}

/// The form with which a user signs in.
pub fn password_form(user: UserId, password: &Secret) -> String {
    let password = escaped(password.expose());
    format!("grant_type=password&username={user}&password={password}&scope=chat")
}

impl Tokens {
    /// Without any token so far.
    pub fn new(http: Arc<Http>, targets: Arc<Targets>) -> Self {
        Self { http, targets, kept: Mutex::default(), at_once: Semaphore::new(AT_ONCE) }
    }

    /// A device's token, from the gateway if there is none or `fresh` is wanted.
    pub async fn of_device(
        &self,
        user: UserId,
        device: DeviceId,
        fresh: bool,
        gateway: &str,
    ) -> Result<AccessToken, RestError> {
        let form = password_form(user, &self.targets.password);
        self.get((user, device), fresh, gateway, form, None).await
    }

    /// Another token of the same login, or of a new one if this one has no refresh token (any more).
    pub async fn renewed(
        &self,
        user: UserId,
        device: DeviceId,
        gateway: &str,
    ) -> Result<AccessToken, RestError> {
        // Whoever shows a refresh token twice ends its login, so it is spent whatever the answer is.
        let refresh = {
            let mut kept = self.kept.lock().expect("no holder panics");
            kept.get_mut(&(user, device)).and_then(|kept| kept.refresh.take())
        };
        let Some(refresh) = refresh else {
            return self.of_device(user, device, true, gateway).await;
        };
        let form = format!("grant_type=refresh_token&refresh_token={}", escaped(refresh.expose()));
        self.get((user, device), true, gateway, form, None).await
    }

    /// The token of a device, if it has one for a while yet.
    pub fn kept_of(&self, user: UserId, device: DeviceId) -> Option<Secret> {
        self.kept((user, device)).map(|access| access.token)
    }

    /// Keeps no token of a device any more. What ends its login: its refresh token, if it has one.
    pub fn forget(&self, user: UserId, device: DeviceId) -> Option<Secret> {
        let mut kept = self.kept.lock().expect("no holder panics");
        kept.remove(&(user, device)).and_then(|kept| kept.refresh)
    }

    /// Ends a login with all its tokens (RFC 7009); again changes nothing.
    pub async fn log_out(&self, refresh_token: &Secret, gateway: &str) -> Result<(), RestError> {
        let token = escaped(refresh_token.expose());
        let form = format!("token={token}&token_type_hint=refresh_token");
        let request = Request::post(api::REVOKE)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))
            .expect("its parts are valid");
        api::success(api::REVOKE, &self.http.exchange(gateway, request).await?)
    }

    /// The service's token.
    pub async fn of_service(&self, fresh: bool, gateway: &str) -> Result<Secret, RestError> {
        let service = &self.targets.service;
        let pair = format!("{}:{}", escaped(&service.id), escaped(service.secret.expose()));
        let basic = format!("Basic {}", STANDARD.encode(pair));
        let form = "grant_type=client_credentials&scope=admin+audit".to_owned();
        Ok(self.get(SERVICE, fresh, gateway, form, Some(basic)).await?.token)
    }

    async fn get(
        &self,
        key: Holder,
        fresh: bool,
        gateway: &str,
        form: String,
        authorization: Option<String>,
    ) -> Result<AccessToken, RestError> {
        if !fresh && let Some(token) = self.kept(key) {
            return Ok(token);
        }
        let _permit = self.at_once.acquire().await.expect("it is never closed");
        // Another call with the same token may have got one in the meantime.
        if !fresh && let Some(token) = self.kept(key) {
            return Ok(token);
        }
        let mut request =
            Request::post(api::TOKEN).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(form))).expect("its parts are valid");
        let answer = self.http.exchange(gateway, request).await?;
        let granted: Granted = api::document(api::TOKEN, &answer)?;
        let until = granted.until();
        let kept = Kept { token: granted.access_token, refresh: granted.refresh_token, until };
        let access = kept.access();
        self.kept.lock().expect("no holder panics").insert(key, kept);
        Ok(access)
    }

    fn kept(&self, key: Holder) -> Option<AccessToken> {
        let kept = self.kept.lock().expect("no holder panics");
        kept.get(&key).filter(|kept| kept.until > Instant::now()).map(Kept::access)
    }
}

/// Percent-encoding of everything that is not unreserved (RFC 3986 section 2.3).
fn escaped(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes everything");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_escaped_in_forms() {
        assert_eq!(escaped("a b&c=d:é"), "a%20b%26c%3Dd%3A%C3%A9");
    }
}
