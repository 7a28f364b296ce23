//! Errors as problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ports::broker::BrokerUnavailable;
use ports::conversations::{CallError, Refusal};
use serde::{Serialize, Serializer};

/// What kind of problem: the last word of its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The path, the query or the JSON cannot be read.
    Malformed,
    /// No bearer token, or one that is not honoured.
    Unauthenticated,
    /// The token does not allow this.
    Forbidden,
    /// No such thing, as far as the caller may know.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The state of the thing does not allow it.
    Conflict,
    /// The body did not come in time.
    BodyTimeout,
    /// The body is too large.
    TooLarge,
    /// The body is not JSON by its content type.
    UnsupportedMediaType,
    /// The JSON can be read but says something that is not possible.
    Unprocessable,
    /// Too many requests per second.
    TooManyRequests,
    /// Certainly not done; it may work later.
    Unavailable,
    /// Maybe done: the same request may be repeated.
    OutcomeUnknown,
}

impl Kind {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "A valid bearer token is needed")
            }
            Self::Forbidden => {
                (StatusCode::FORBIDDEN, "forbidden", "The token does not allow this")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The path has no such method",
            ),
            Self::Conflict => {
                (StatusCode::CONFLICT, "conflict", "The present state does not allow this")
            }
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body did not come in time")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body must be application/json",
            ),
            Self::Unprocessable => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "unprocessable",
                "The body says something impossible",
            ),
            Self::TooManyRequests => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
            }
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Nothing was done; it may work later",
            ),
            Self::OutcomeUnknown => (
                StatusCode::GATEWAY_TIMEOUT,
                "outcome-unknown",
                "No answer in time; it may or may not be done",
            ),
        }
    }
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: String,
    nearest: Option<String>,
    retry_after_s: Option<u64>,
    challenge: Option<String>,
}

impl Problem {
    /// A problem with a sentence about this occurrence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let retry_after_s = matches!(kind, Kind::Unavailable).then_some(1);
        Self { kind, detail: detail.into(), nearest: None, retry_after_s, challenge: None }
    }

    /// What was probably meant, among the words that are valid here.
    pub fn nearest<'a>(mut self, given: &str, valid: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = protocol::nearest(given, valid).map(str::to_owned);
        self
    }

    /// It is about one item of several.
    pub fn of_item(self, place: usize) -> Self {
        Self { detail: format!("conversations[{place}]: {}", self.detail), ..self }
    }

    /// When to come back, in seconds.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// How to authenticate (RFC 6750 section 3).
    pub fn challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// The conversation does not exist, or the caller may not know that it does: the two must look
    /// the same in every byte.
    pub fn no_such_conversation() -> Self {
        Self::new(Kind::NotFound, "no such conversation")
    }

    /// The token has none of these scopes.
    pub fn lacks_scope(scopes: &[&str]) -> Self {
        let detail = match scopes {
            [scope] => format!("the scope {scope} is needed"),
            several => format!("one of the scopes {} is needed", several.join(", ")),
        };
        let scope = scopes.join(" ");
        Self::new(Kind::Forbidden, detail).challenge(format!(
            "Bearer realm=\"fracas\", error=\"insufficient_scope\", scope=\"{scope}\""
        ))
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let detail = error.to_string();
        match error {
            CallError::Unavailable => Self::new(Kind::Unavailable, detail),
            CallError::Unknown => Self::new(Kind::OutcomeUnknown, detail),
            CallError::Refused(Refusal::NoSuchConversation | Refusal::NotMember) => {
                Self::no_such_conversation()
            }
            CallError::Refused(refusal @ (Refusal::Conflict | Refusal::MembershipFixed)) => {
                Self::new(Kind::Conflict, refusal.to_string())
            }
        }
    }
}

impl From<BrokerUnavailable> for Problem {
    fn from(error: BrokerUnavailable) -> Self {
        Self::new(Kind::Unavailable, error.to_string())
    }
}

#[derive(Serialize)]
struct Details<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<&'a str>,
}

/// Inside another document.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, word, title) = self.kind.parts();
        let details = Details {
            kind: format!("urn:fracas:problem:{word}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            nearest: self.nearest.as_deref(),
        };
        details.serialize(serializer)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, ..) = self.kind.parts();
        let body = serde_json::to_vec(&self).expect("plain fields");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge
            && let Ok(value) = HeaderValue::from_str(&challenge)
        {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}
