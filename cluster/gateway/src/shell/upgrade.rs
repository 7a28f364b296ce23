//! `/v1/ws`: from an HTTP request to a WebSocket in one of the subprotocols.

use super::front::Front;
use super::handshake::{Handshake, has_token};
use super::socket::Socket;
use super::trunk::Trunk;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protocol::codec::Codec;
use protocol::frames::subprotocol;
use protocol::limits;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// What a socket reads at once at first, a few frames of the usual size. The default of 128 KiB would be most
/// of what a session costs. Behind a larger frame it begins anew with what the next one needs.
pub const READ_BUFFER: usize = 256;
/// Frames are gathered up to this size before they are written.
const WRITE_BUFFER: usize = 4 * 1024;
/// What a trunk reads at once: the WebSocket library zeroes this much before every read.
const TRUNK_READ: usize = 8 * 1024;
/// What a trunk gathers, which carries many sessions.
const TRUNK_BUFFER: usize = 64 * 1024;
/// A single frame to a client may be this large: a page of the largest entries, escaped.
const FRAME_OUT: usize = 8 * 1024 * 1024;

/// In the order in which they are chosen.
const SUBPROTOCOLS: [&str; 3] = [subprotocol::JSON, subprotocol::BINARY, subprotocol::TRUNK];

/// Answers the request.
pub async fn upgrade(State(front): State<Arc<Front>>, mut request: Request) -> Response {
    let handshake = match Handshake::read(&mut request) {
        Ok(handshake) => handshake,
        Err((status, detail)) => return no_websocket(status, &detail),
    };
    let offered = |name: &&str| has_token(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL, name);
    let Some(name) = SUBPROTOCOLS.into_iter().find(offered) else {
        let detail = format!("offer one of the subprotocols {}", SUBPROTOCOLS.join(", "));
        return problem(StatusCode::BAD_REQUEST, "no-known-subprotocol", &detail);
    };
    if front.is_draining() {
        let detail = "this gateway is shutting down: connect to another one";
        return problem(StatusCode::SERVICE_UNAVAILABLE, "draining", detail);
    }
    let codec = match name {
        subprotocol::JSON => Codec::Json,
        subprotocol::BINARY => Codec::Binary,
        _ => return trunk(front, handshake, request.headers()),
    };
    let config = config(READ_BUFFER, WRITE_BUFFER, limits::MAX_FRAME_BYTES);
    let machine = front.machine.clone();
    let address = front.proxies.whose_request(request.extensions(), request.headers());
    let serve = move |socket| Socket::new(front, socket, codec, address);
    handshake.accept(&machine, name, config, serve)
}

/// With what would be one (RFC 9110, sections 15.5.6 and 15.5.22).
fn no_websocket(status: StatusCode, detail: &str) -> Response {
    let mut response = problem(status, "not-a-websocket", detail);
    let (name, value) = match status {
        StatusCode::METHOD_NOT_ALLOWED => (header::ALLOW, "GET"),
        StatusCode::UPGRADE_REQUIRED => (header::UPGRADE, "websocket"),
        _ => return response,
    };
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

fn trunk(front: Arc<Front>, handshake: Handshake, headers: &HeaderMap) -> Response {
    let service = match front.trunk_service(headers) {
        Ok(service) => service,
        Err(problem) => return problem.into_response(),
    };
    let config = config(TRUNK_READ, TRUNK_BUFFER, limits::MAX_TRUNK_FRAME_BYTES);
    let machine = front.machine.clone();
    let serve = move |socket| Trunk::new(front, socket, service);
    handshake.accept(&machine, subprotocol::TRUNK, config, serve)
}

fn config(read: usize, write: usize, largest: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(read)
        .write_buffer_size(write)
        .max_write_buffer_size(write + FRAME_OUT)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}

/// Refuses requests that do not name their host, or name two (RFC 9112, section 3.2): whatever stands
/// between the client and this gateway may have read the other one.
pub async fn one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 {
        let detail = format!("the request has {hosts} headers Host instead of one");
        return problem(StatusCode::BAD_REQUEST, "malformed", &detail);
    }
    next.run(request).await
}

/// RFC 9457.
fn problem(status: StatusCode, kind: &str, detail: &str) -> Response {
    let body = serde_json::json!({
        "type": format!("urn:fracas:problem:{kind}"),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}
