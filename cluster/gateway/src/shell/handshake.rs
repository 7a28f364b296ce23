//! The opening handshake of a WebSocket (RFC 6455, section 4.2) on a request of the HTTP server.

use super::fragments::Fragments;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use ports::Machine;
use std::future::Future;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// The server's end of a WebSocket.
pub type WebSocket = WebSocketStream<Fragments<TokioIo<Upgraded>>>;

/// A request that can be answered with an upgrade.
pub struct Handshake {
    key: HeaderValue,
    upgrade: OnUpgrade,
}

impl Handshake {
    /// Reads a request.
    ///
    /// # Errors
    /// It does not ask for a WebSocket, or not in this version of HTTP: the status and what is wrong.
    pub fn read(request: &mut Request) -> Result<Self, (StatusCode, &'static str)> {
        if request.method() != Method::GET {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "a WebSocket is opened with GET"));
        }
        let headers = request.headers();
        if !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err((StatusCode::BAD_REQUEST, "the header Connection does not say upgrade"));
        }
        if !has_token(headers, &header::UPGRADE, "websocket") {
            return Err((StatusCode::BAD_REQUEST, "the header Upgrade does not say websocket"));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err((StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Version is not 13"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).cloned();
        let key =
            key.ok_or((StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Key is missing"))?;
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let upgrade =
            upgrade.ok_or((StatusCode::UPGRADE_REQUIRED, "this connection cannot be upgraded"))?;
        Ok(Self { key, upgrade })
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
        let upgrade = self.upgrade;
        machine.spawn("websocket", async move {
            if let Ok(upgraded) = upgrade.await {
                let stream = Fragments::new(TokioIo::new(upgraded));
                let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config));
                serve(socket.await).await;
            }
        });
        let accept = derive_accept_key(self.key.as_bytes());
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, accept)
            .header(header::SEC_WEBSOCKET_PROTOCOL, subprotocol)
            .body(Body::empty())
            .expect("its parts are valid")
    }
}

/// Whether one of the comma-separated words of a header is this one, in any case.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}
