//! One HTTP/1.1 exchange over the network port: for webhooks, key sets and tokens.

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Bytes};
use hyper_util::rt::TokioIo;
use ports::Machine;
use std::time::Duration;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Certainly not received: no connection.
    #[error("connecting to {host}")]
    Connect {
        /// `host:port`.
        host: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No response in time: the server may have acted.
    #[error("no response in {0:?}")]
    Timeout(Duration),
    /// The exchange broke: the server may have acted.
    #[error("the exchange broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends one request to `host:port` on a connection of its own and reads the whole response, at most
/// `MAX_RESPONSE` bytes. The request's URI is the path; a `Host` header is added.
pub async fn exchange(
    machine: &Machine,
    host: &str,
    mut request: Request<Full<Bytes>>,
    deadline: Duration,
) -> Result<Response<Bytes>, HttpError> {
    if let Ok(value) = hyper::header::HeaderValue::from_str(host) {
        request.headers_mut().entry(hyper::header::HOST).or_insert(value);
    }
    tokio::time::timeout(deadline, exchange_without_deadline(machine, host, request))
        .await
        .map_err(|_| HttpError::Timeout(deadline))?
}

/// Largest response body.
pub const MAX_RESPONSE: usize = 4 * 1024 * 1024;

async fn exchange_without_deadline(
    machine: &Machine,
    host: &str,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, HttpError> {
    let stream = machine
        .network
        .connect(host)
        .await
        .map_err(|source| HttpError::Connect { host: host.to_owned(), source })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| HttpError::Broken(error.into()))?;
    // Also when the deadline drops this future in the middle: a connection to a silent peer would
    // otherwise stay.
    let _driver = AbortOnDrop(machine.spawn("http client", async {
        // Its error reaches us through the response as well.
        let _ = connection.await;
    }));
    async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_RESPONSE).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
    .await
    .map_err(HttpError::Broken)
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
