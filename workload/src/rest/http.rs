//! HTTP/1.1 with kept connections over the network port.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ports::Machine;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::timeout;

/// Idle connections that are kept per host.
const KEPT: usize = 16;
/// Largest answer: a page of long entries in JSON.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;
/// Deadline of one exchange, connecting included.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpFailure {
    /// No connection: certainly not received.
    #[error("connecting to {host}")]
    Connect {
        /// `host:port`.
        host: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The exchange broke: maybe done.
    #[error("the exchange with {host} broke")]
    Broken {
        /// `host:port`.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer within `DEADLINE`: maybe done.
    #[error("{host} did not answer in time")]
    Timeout {
        /// `host:port`.
        host: String,
    },
}

type Sender = SendRequest<Full<Bytes>>;

/// Exchanges, over connections that are used again.
pub struct Http {
    machine: Machine,
    kept: Mutex<BTreeMap<String, Vec<Sender>>>,
}

impl Http {
    /// Without any connection so far.
    pub const fn new(machine: Machine) -> Self {
        Self { machine, kept: Mutex::new(BTreeMap::new()) }
    }

    /// Sends one request to `host:port` and reads the whole answer. The request's URI is the path.
    pub async fn exchange(
        &self,
        host: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, HttpFailure> {
        timeout(DEADLINE, self.exchange_without_deadline(host, request))
            .await
            .map_err(|_| HttpFailure::Timeout { host: host.to_owned() })?
    }

    /// Whether a gateway says that users may come.
    pub async fn is_ready(&self, gateway: &str) -> bool {
        let request = Request::get("/ready").body(Full::<Bytes>::default());
        let answer = self.exchange(gateway, request.expect("its parts are valid")).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn exchange_without_deadline(
        &self,
        host: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, HttpFailure> {
        if let Ok(value) = HeaderValue::from_str(host) {
            request.headers_mut().insert(HOST, value);
        }
        let broken = |source: Box<dyn std::error::Error + Send + Sync>| HttpFailure::Broken {
            host: host.to_owned(),
            source,
        };
        let mut sender = match self.take(host).await {
            Some(sender) => sender,
            None => self.connect(host).await?,
        };
        let response = sender.send_request(request).await.map_err(|error| broken(error.into()))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE).collect().await.map_err(broken)?.to_bytes();
        let mut kept = self.kept.lock().expect("no holder panics");
        let kept = kept.entry(host.to_owned()).or_default();
        if kept.len() < KEPT {
            kept.push(sender);
        }
        Ok(Response::from_parts(head, body))
    }

    /// A kept connection that still stands.
    async fn take(&self, host: &str) -> Option<Sender> {
        loop {
            let sender = {
                let mut kept = self.kept.lock().expect("no holder panics");
                kept.get_mut(host)?.pop()?
            };
            let mut sender = sender;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn connect(&self, host: &str) -> Result<Sender, HttpFailure> {
        let stream = self
            .machine
            .network
            .connect(host)
            .await
            .map_err(|source| HttpFailure::Connect { host: host.to_owned(), source })?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpFailure::Broken { host: host.to_owned(), source: error.into() })?;
        self.machine.spawn("http connection", async {
            // Its error reaches the exchange as well.
            let _ = connection.await;
        });
        Ok(sender)
    }
}
