//! The HTTP face: RFC 6749 (token), RFC 7009 (revoke), RFC 7517 (key set), RFC 8414 (metadata), and
//! what verifiers and operators need.

use crate::core::issuer::{ADMIN_SCOPE, Issuer, USER_SCOPE};
use crate::core::oauth_error::{ErrorCode, OAuthError};
use crate::core::request::{RevocationRequest, TokenRequest};
use crate::shell::measured::{Operation, measured};
use crate::shell::service::{NotDurable, Service};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use ports::TokenError;
use protocol::UserId;
use serde_json::json;
use std::sync::Arc;

/// Largest form: a token, an id and a secret fit several times.
const MAX_FORM_BYTES: usize = 8 * 1024;

/// What tells the gateway that a revocation was answered well and has ended no login: it counts such ones as
/// failures of the address that they come from, and does not pass this header on
/// (`cluster/gateway/src/rest/proxy.rs`).
const REVOKED: HeaderName = HeaderName::from_static("fracas-revoked");
const NOTHING: HeaderValue = HeaderValue::from_static("nothing");

/// All routes.
pub fn router(service: Arc<Service>) -> Router {
    let as_a = |operation, route| measured(&service, operation, route);
    Router::new()
        .route("/oauth2/token", as_a("token", post(token)))
        .route("/oauth2/revoke", as_a("revoke", post(revoke)))
        .route("/oauth2/users/{id}/revoke", as_a("revoke_user", post(revoke_user)))
        .route("/oauth2/keys/rotate", as_a("rotate", post(rotate)))
        .route("/oauth2/jwks", as_a("keys", get(keys)))
        .route("/oauth2/revocations", as_a("revocations", get(revocations)))
        .route("/.well-known/oauth-authorization-server", as_a("metadata", get(metadata)))
        .route("/health", get(|| async { Json(json!({ "status": "pass" })) }))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .with_state(service)
}

type Body = Result<Bytes, BytesRejection>;

async fn token(State(service): State<Arc<Service>>, headers: HeaderMap, body: Body) -> Response {
    let request = match form(&headers, body)
        .and_then(|body| Ok(TokenRequest::parse(&body, authorization(&headers)?)?))
    {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let granted = service.decide(|issuer, now, random| issuer.grant(&request, now, random)).await;
    let mut response = match granted {
        Ok(Ok(tokens)) => {
            service.count("auth_tokens_issued_total");
            (not_stored(), Json(tokens)).into_response()
        }
        Ok(Err(error)) => {
            service.count("auth_requests_refused_total");
            error.into_response()
        }
        Err(not_durable) => not_durable.into_response(),
    };
    response.extensions_mut().insert(Operation::from(&request.grant));
    response
}

async fn revoke(State(service): State<Arc<Service>>, headers: HeaderMap, body: Body) -> Response {
    let request = match form(&headers, body)
        .and_then(|body| Ok(RevocationRequest::parse(&body, authorization(&headers)?)?))
    {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    match service.decide(|issuer, now, _| issuer.revoke(&request, now)).await {
        Ok(Ok(true)) => StatusCode::OK.into_response(),
        Ok(Ok(false)) => (StatusCode::OK, [(REVOKED, NOTHING)]).into_response(),
        Ok(Err(error)) => error.into_response(),
        Err(not_durable) => not_durable.into_response(),
    }
}

async fn revoke_user(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = admin(&service, &headers).await {
        return refusal;
    }
    let Ok(user) = id.parse().map(UserId) else { return no_such_user() };
    match service.decide(|issuer, _, _| issuer.revoke_user(user)).await {
        Ok(Some(epoch)) => {
            service.count("auth_users_revoked_total");
            Json(json!({ "user": user, "epoch": epoch })).into_response()
        }
        Ok(None) => no_such_user(),
        Err(not_durable) => not_durable.into_response(),
    }
}

async fn rotate(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = admin(&service, &headers).await {
        return refusal;
    }
    answer(service.rotate().await.map(|key| Json(json!({ "key": key }))))
}

async fn keys(State(service): State<Arc<Service>>) -> Response {
    answer(service.read(|issuer, now_ms| Json(issuer.keys(now_ms))).await)
}

async fn revocations(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Response {
    let after = form_urlencoded::parse(query.as_deref().unwrap_or("").as_bytes())
        .find(|(name, _)| name == "after")
        .map_or(Ok(0), |(_, value)| value.parse());
    let Ok(after) = after else {
        return OAuthError::new(ErrorCode::InvalidRequest, "after is not a number").into_response();
    };
    answer(service.read(|issuer, _| Json(issuer.revocations(after))).await)
}

async fn metadata(State(service): State<Arc<Service>>) -> Response {
    answer(service.read(|issuer, _| Json(metadata_of(issuer))).await)
}

/// RFC 8414 section 2.
fn metadata_of(issuer: &Issuer) -> serde_json::Value {
    let base = issuer.identifier().trim_end_matches('/');
    json!({
        "issuer": issuer.identifier(),
        "token_endpoint": format!("{base}/oauth2/token"),
        "revocation_endpoint": format!("{base}/oauth2/revoke"),
        "jwks_uri": format!("{base}/oauth2/jwks"),
        "scopes_supported": [USER_SCOPE, ADMIN_SCOPE, "audit"],
        "response_types_supported": [],
        "grant_types_supported": ["password", "client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post"],
    })
}

/// Who may revoke others (RFC 6750 section 3).
async fn admin(service: &Service, headers: &HeaderMap) -> Result<(), Response> {
    let bearer = |status: StatusCode, challenge: &'static str, description: &str| {
        let allowed = status != StatusCode::FORBIDDEN;
        let error = if allowed { "invalid_token" } else { "insufficient_scope" };
        let body = json!({ "error": error, "error_description": description });
        let challenge = HeaderValue::from_static(challenge);
        (status, [(header::WWW_AUTHENTICATE, challenge)], Json(body)).into_response()
    };
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    let Some(token) = token else {
        let challenge = "Bearer realm=\"fracas\"";
        return Err(bearer(StatusCode::UNAUTHORIZED, challenge, "a bearer token is needed"));
    };
    let verified = service.read(|issuer, now| issuer.verify(&token, now)).await;
    match verified.map_err(IntoResponse::into_response)? {
        Ok(claims) if claims.has(ADMIN_SCOPE) => Ok(()),
        Ok(_) => Err(bearer(
            StatusCode::FORBIDDEN,
            "Bearer realm=\"fracas\", error=\"insufficient_scope\", scope=\"admin\"",
            "the scope admin is needed",
        )),
        Err(
            error @ (TokenError::Invalid
            | TokenError::Expired
            | TokenError::Revoked
            | TokenError::NotReady),
        ) => Err(bearer(
            StatusCode::UNAUTHORIZED,
            "Bearer realm=\"fracas\", error=\"invalid_token\"",
            &error.to_string(),
        )),
    }
}

fn no_such_user() -> Response {
    (
        StatusCode::NOT_FOUND,
        Json(json!({ "error": "not_found", "error_description": "no such user" })),
    )
        .into_response()
}

fn answer<T: IntoResponse>(outcome: Result<T, NotDurable>) -> Response {
    outcome.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
}

/// A request that is refused before it is understood.
enum Refusal {
    OAuth(OAuthError),
    /// Too large, or broken off.
    Body(BytesRejection),
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::OAuth(error) => error.into_response(),
            Self::Body(rejection) => {
                let error = OAuthError::new(ErrorCode::InvalidRequest, "the body cannot be read");
                (rejection.status(), not_stored(), Json(error)).into_response()
            }
        }
    }
}

/// The form body of a request that says that it has one (RFC 6749 section 4.3.2).
fn form(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "the body must be application/x-www-form-urlencoded",
        )
        .into());
    }
    body.map_err(Refusal::Body)
}

fn authorization(headers: &HeaderMap) -> Result<Option<&str>, OAuthError> {
    headers.get(header::AUTHORIZATION).map(HeaderValue::to_str).transpose().map_err(|_| {
        OAuthError::new(ErrorCode::InvalidRequest, "the Authorization header is not plain text")
    })
}

/// Answers with tokens or about secrets stay out of caches (RFC 6749 section 5.1).
fn not_stored() -> [(header::HeaderName, HeaderValue); 2] {
    [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::PRAGMA, HeaderValue::from_static("no-cache")),
    ]
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = (status, not_stored(), Json(&self)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"fracas\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl IntoResponse for NotDurable {
    fn into_response(self) -> Response {
        let body = json!({ "error": "server_error", "error_description": self.to_string() });
        let retry = (header::RETRY_AFTER, HeaderValue::from_static("1"));
        (StatusCode::SERVICE_UNAVAILABLE, [retry], Json(body)).into_response()
    }
}
