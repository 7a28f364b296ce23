//! `/v1/ws`: from an HTTP request to a WebSocket in one of the subprotocols.

use super::front::Front;
use super::socket::Socket;
use super::trunk::Trunk;
use axum::extract::State;
use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::codec::Codec;
use protocol::frames::subprotocol;
use protocol::limits;
use std::sync::Arc;

/// What a socket reads at once. The default of 128 KiB would be most of what a session costs.
const READ_BUFFER: usize = 512;
/// Frames are gathered up to this size before they are written.
const WRITE_BUFFER: usize = 4 * 1024;
/// What a trunk reads at once: the WebSocket library zeroes this much before every read.
const TRUNK_READ: usize = 8 * 1024;
/// What a trunk gathers, which carries many sessions.
const TRUNK_BUFFER: usize = 64 * 1024;
/// A single frame to a client may be this large: a page of the largest entries, escaped.
const FRAME_OUT: usize = 8 * 1024 * 1024;

/// Answers the request.
pub async fn upgrade(
    State(front): State<Arc<Front>>,
    request: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let request = match request {
        Ok(request) => request,
        Err(rejection) => {
            return problem(rejection.status(), "not-a-websocket", &rejection.body_text());
        }
    };
    let offered = [subprotocol::JSON, subprotocol::BINARY, subprotocol::TRUNK];
    let request = request.protocols(offered);
    let chosen = request.selected_protocol().and_then(|name| name.to_str().ok());
    let codec = match chosen {
        Some(subprotocol::JSON) => Some(Codec::Json),
        Some(subprotocol::BINARY) => Some(Codec::Binary),
        Some(_) => None,
        None => {
            let detail = format!("offer one of the subprotocols {}", offered.join(", "));
            return problem(StatusCode::BAD_REQUEST, "no-known-subprotocol", &detail);
        }
    };
    let (buffer, largest) = if codec.is_some() {
        (WRITE_BUFFER, limits::MAX_FRAME_BYTES)
    } else {
        (TRUNK_BUFFER, limits::MAX_TRUNK_FRAME_BYTES)
    };
    request
        .read_buffer_size(if codec.is_some() { READ_BUFFER } else { TRUNK_READ })
        .write_buffer_size(buffer)
        .max_write_buffer_size(buffer + FRAME_OUT)
        .max_message_size(largest)
        .max_frame_size(largest)
        .on_upgrade(move |socket| {
            let tasks = front.machine.tasks.clone();
            tasks.wrap(match codec {
                Some(codec) => Box::pin(Socket::new(front, socket, codec)),
                None => Box::pin(Trunk::new(front, socket)),
            })
        })
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
