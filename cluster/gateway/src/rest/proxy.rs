//! A window to the auth service: the request goes there and its answer comes back, so that a client
//! needs one base URL. What verifiers poll is not behind it.

use super::Rest;
use super::input::arriving;
use super::problem::{Kind, Problem};
use super::source::Source;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, Request as HttpRequest, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use link::http::HttpError;
use protocol::limits;
use std::sync::Arc;
use tokio::time::timeout;

/// Request headers that the auth service may see.
const FORWARDED: [HeaderName; 3] = [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT];
/// Response headers that the client may see. Hop-by-hop ones are not among them.
const RETURNED: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::PRAGMA,
    header::WWW_AUTHENTICATE,
    header::RETRY_AFTER,
];
/// With this the auth service says that a revocation ended no login. For the gateway alone: a client is told the
/// same of every token (RFC 7009 section 2.2).
const REVOKED: HeaderName = HeaderName::from_static("fracas-revoked");
/// Requests under way to the auth service; others wait. Each takes a connection of the gateway's own, which
/// are not limited by what may connect to it.
pub const AT_ONCE: usize = 32;
/// Largest body that is passed on: the auth service takes no more.
const MAX_BODY_BYTES: usize = 8 * 1024;

/// Everything of the auth service that clients and operators use.
pub async fn auth(
    State(rest): State<Arc<Rest>>,
    source: Source,
    request: Request,
) -> Result<Response<Body>, Problem> {
    if request.method() == Method::GET {
        rest.sources.take(source, rest.now_ms())?;
        return forward(&rest, request).await.map(|answer| answer.response);
    }
    rest.sources.risk(source, rest.now_ms())?;
    let answer = forward(&rest, request).await;
    // A refusal is the client's failure, and so is a logout of nobody: both are work for nothing.
    let failed = |answer: &Answer| answer.response.status().is_client_error() || answer.is_futile;
    if !answer.as_ref().is_ok_and(failed) {
        rest.sources.succeeded(source);
    }
    answer.map(|answer| answer.response)
}

/// What the auth service says.
struct Answer {
    /// To the client.
    response: Response<Body>,
    /// Whether it has changed nothing, and was asked to.
    is_futile: bool,
}

async fn forward(rest: &Rest, request: Request) -> Result<Answer, Problem> {
    let (head, body) = request.into_parts();
    let body = arriving(Limited::new(body, MAX_BODY_BYTES).collect()).await?.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Problem::new(Kind::TooLarge, format!("at most {MAX_BODY_BYTES} bytes"))
        } else {
            Problem::new(Kind::Malformed, "the body broke off")
        }
    })?;
    let place = timeout(limits::CALL_TIMEOUT, rest.passed_on.acquire()).await;
    let _place = place.map_err(|_| Problem::new(Kind::Unavailable, "too many requests at once"))?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut forwarded = HttpRequest::builder().method(head.method).uri(path);
    for name in FORWARDED {
        for value in head.headers.get_all(&name) {
            forwarded = forwarded.header(&name, value);
        }
    }
    let forwarded = forwarded
        .body(Full::<Bytes>::new(body.to_bytes()))
        .map_err(|_| Problem::new(Kind::Malformed, "the path cannot be passed on"))?;
    let address = &rest.state.auth_address;
    let answer = rest.http.exchange(address, forwarded, limits::CALL_TIMEOUT);
    let (head, body) = answer.await.map_err(|error| unanswered(&error))?.into_parts();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = head.status;
    for name in RETURNED {
        for value in head.headers.get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    Ok(Answer { response, is_futile: head.headers.contains_key(REVOKED) })
}

fn unanswered(error: &HttpError) -> Problem {
    match error {
        HttpError::Connect { .. } => {
            Problem::new(Kind::Unavailable, "the auth service cannot be reached")
        }
        HttpError::Timeout(_) | HttpError::Broken(_) => {
            Problem::new(Kind::OutcomeUnknown, "the auth service did not answer")
        }
    }
}
