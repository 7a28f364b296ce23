//! HTTP/1.1 exchanges over the network port: for webhooks, key sets and tokens, and for the users.

use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, body::Bytes};
use hyper_util::rt::TokioIo;
use ports::{Machine, entered};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::timeout;

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

/// Largest response body: a page of long entries in JSON.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// Idle connections that are kept per host.
const KEPT: usize = 16;

/// Exchanges over connections that are used again. The URI of a request is the path; a `Host` header
/// is added.
pub struct HttpClient {
    machine: Machine,
    kept: Mutex<BTreeMap<String, Vec<Connection>>>,
}

impl HttpClient {
    /// Without any connection so far.
    pub const fn new(machine: Machine) -> Self {
        Self { machine, kept: Mutex::new(BTreeMap::new()) }
    }

    /// Sends one request to `host:port` and reads the whole response.
    pub async fn exchange(
        &self,
        host: &str,
        request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let mut connection = match self.take(host).await {
                Some(connection) => connection,
                None => Connection::open(&self.machine, host).await?,
            };
            let response = connection.exchange(host, request).await?;
            let mut kept = entered(self.kept.lock());
            let kept = kept.entry(host.to_owned()).or_default();
            if kept.len() < KEPT {
                kept.push(connection);
            }
            Ok(response)
        };
        timeout(deadline, exchange).await.map_err(|_| HttpError::Timeout(deadline))?
    }

    /// A kept connection that still stands.
    async fn take(&self, host: &str) -> Option<Connection> {
        loop {
            let mut connection = entered(self.kept.lock()).get_mut(host)?.pop()?;
            if connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }
}

/// Sends one request to `host:port` on a connection of its own.
pub async fn exchange(
    machine: &Machine,
    host: &str,
    request: Request<Full<Bytes>>,
    deadline: Duration,
) -> Result<Response<Bytes>, HttpError> {
    let exchange = async { Connection::open(machine, host).await?.exchange(host, request).await };
    timeout(deadline, exchange).await.map_err(|_| HttpError::Timeout(deadline))?
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Connection {
    async fn open(machine: &Machine, host: &str) -> Result<Self, HttpError> {
        let stream = machine
            .network
            .connect(host)
            .await
            .map_err(|source| HttpError::Connect { host: host.to_owned(), source })?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpError::Broken(error.into()))?;
        let driver = machine.spawn("http client", async {
            // Its error reaches us through the response as well.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    async fn exchange(
        &mut self,
        host: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, HttpError> {
        if let Ok(value) = HeaderValue::from_str(host) {
            request.headers_mut().entry(HOST).or_insert(value);
        }
        async {
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, MAX_RESPONSE).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        }
        .await
        .map_err(HttpError::Broken)
    }
}

/// Also when a deadline ends an exchange in the middle: a connection to a silent peer would otherwise
/// stay.
impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_server::{HttpOptions, serve_http};
    use fakes::Memory;
    use ports::Shutdown;
    use std::convert::Infallible;

    async fn hello(_: Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(Response::new(Full::from("hello")))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_used_again_as_long_as_it_stands() {
        let memory = Memory::default();
        let server = memory.machine("server");
        let listener = server.network.bind("server:80").await.unwrap();
        let (_trigger, shutdown) = Shutdown::new();
        server.clone().spawn("server", async move {
            let service = tower::service_fn(hello);
            let options = HttpOptions::default();
            serve_http(&server, listener, service, options, shutdown).await.unwrap();
        });
        let client = HttpClient::new(memory.machine("client"));
        let ask = async || {
            let request = Request::get("/").body(Full::default()).unwrap();
            client.exchange("server:80", request, Duration::from_secs(1)).await.unwrap()
        };
        for _ in 0..3 {
            assert_eq!(ask().await.into_body(), "hello");
        }
        assert_eq!(memory.network.connections(), 1);
        // The server closes what is idle for too long.
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(ask().await.into_body(), "hello");
        assert_eq!(memory.network.connections(), 2);
    }
}
