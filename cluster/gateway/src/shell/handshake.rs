//! The opening handshake of a WebSocket on a request of the HTTP server: by the WebSocket library, and not
//! by axum, which lets nobody look at the stream below (see `fragments`).

use super::fragments::Fragments;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use ports::Machine;
use std::future::Future;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// The server's end of a WebSocket.
pub type WebSocket = WebSocketStream<Fragments<TokioIo<Upgraded>>>;

/// A request that can be answered with an upgrade.
pub struct Handshake {
    response: Response,
    upgrade: OnUpgrade,
}

impl Handshake {
    /// Reads a request.
    ///
    /// # Errors
    /// It does not ask for a WebSocket, or not in this version of HTTP: the status and what is wrong.
    pub fn read(request: &mut Request) -> Result<Self, (StatusCode, String)> {
        if request.method() != Method::GET {
            let detail = format!("a WebSocket is opened by GET, not by {}", request.method());
            return Err((StatusCode::METHOD_NOT_ALLOWED, detail));
        }
        if request.version() < Version::HTTP_11 {
            return Err((StatusCode::UPGRADE_REQUIRED, "HTTP/1.1 or later is needed".to_owned()));
        }
        let response = create_response_with_body(request, Body::empty)
            .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        if !has_sound_key(request.headers()) {
            let detail = "Sec-WebSocket-Key is not one value of 16 bytes in base64".to_owned();
            return Err((StatusCode::BAD_REQUEST, detail));
        }
        let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
            (StatusCode::UPGRADE_REQUIRED, "this connection cannot be upgraded".to_owned())
        })?;
        Ok(Self { response, upgrade })
    }

    /// The answer that upgrades the connection; what is done with the socket then runs as a task.
    pub fn accept<F>(
        self,
        machine: &Machine,
        subprotocol: &'static str,
        config: WebSocketConfig,
        serve: impl FnOnce(WebSocket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let Self { mut response, upgrade } = self;
        machine.spawn("websocket", async move {
            if let Ok(upgraded) = upgrade.await {
                let stream = Fragments::new(TokioIo::new(upgraded));
                let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config));
                serve(socket.await).await;
            }
        });
        let subprotocol = HeaderValue::from_static(subprotocol);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        response
    }
}

/// RFC 6455, section 4.2.1.
fn has_sound_key(headers: &HeaderMap) -> bool {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let key = keys.next().and_then(|key| STANDARD.decode(key.as_bytes()).ok());
    key.is_some_and(|key| key.len() == 16) && keys.next().is_none()
}

/// Whether one of the comma-separated words of a header is this one, in any case.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}
