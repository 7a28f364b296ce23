//! HTTP/1.1 exchanges over the network port, on pooled connections: for webhooks, key sets and tokens, and
//! for the users.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ports::{Machine, entered};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

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
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// Largest response body: a page of long entries in JSON.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// Idle connections that are kept per host.
const KEPT: usize = 16;

/// How long a connection may idle and still be used: well below what servers grant (ours 30 s), so that
/// few requests meet a connection that is being closed.
const IDLE_MAX: Duration = Duration::from_secs(10);

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
    ///
    /// A request is sent a second time only if a used connection turned out closed, and then only if it
    /// was not sent at all, or is safe (RFC 9110 section 9.2.1) and no head of a response had come.
    pub async fn exchange(
        &self,
        host: &str,
        request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<Response<Bytes>, HttpError> {
        let exchange = timeout(deadline, self.exchange_unbounded(host, request)).await;
        let exchange = exchange.unwrap_or(Err(HttpError::Timeout(deadline)));
        if exchange.is_err() {
            // The host is gone or behind a partition, and other connections lead there as well: each
            // would cost another request its deadline.
            entered(self.kept.lock()).remove(host);
        }
        exchange
    }

    async fn exchange_unbounded(
        &self,
        host: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, HttpError> {
        if let Ok(value) = HeaderValue::from_str(host) {
            request.headers_mut().entry(HOST).or_insert(value);
        }
        if let Some(connection) = self.take(host).await {
            let copy = request.method().is_safe().then(|| request.clone());
            match connection.exchange(request).await {
                Ok(answer) => return Ok(self.keep(host, answer)),
                Err(failed) => match failed.unsent.or(copy.filter(|_| failed.is_closed)) {
                    Some(unsent) => request = unsent,
                    None => return Err(HttpError::Broken(failed.why)),
                },
            }
        }
        let connection = Connection::open(&self.machine, host).await?;
        let answer = connection.exchange(request).await;
        answer.map(|answer| self.keep(host, answer)).map_err(|failed| HttpError::Broken(failed.why))
    }

    /// Sends one request to `host:port` on a connection of its own, and returns when the response begins.
    /// `silence`: how long connecting may take, then the head, then each piece of the body.
    pub async fn stream(
        &self,
        host: &str,
        mut request: Request<Full<Bytes>>,
        silence: Duration,
    ) -> Result<Response<Pieces>, HttpError> {
        if let Ok(value) = HeaderValue::from_str(host) {
            request.headers_mut().entry(HOST).or_insert(value);
        }
        let mut connection = in_time(silence, Connection::open(&self.machine, host)).await??;
        let response = in_time(silence, connection.sender.send_request(request)).await?;
        let response = response.map_err(|why| HttpError::Broken(why.into()))?;
        Ok(response.map(|body| Pieces { body, silence, _connection: connection }))
    }

    /// A kept connection that still stands.
    async fn take(&self, host: &str) -> Option<Connection> {
        loop {
            let mut connection = entered(self.kept.lock()).get_mut(host)?.pop()?;
            if connection.is_fresh() && connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn keep(&self, host: &str, answer: (Response<Bytes>, Connection)) -> Response<Bytes> {
        let (response, connection) = answer;
        let mut kept = entered(self.kept.lock());
        let kept = kept.entry(host.to_owned()).or_default();
        kept.retain(Connection::is_fresh);
        if kept.len() < KEPT {
            kept.push(connection);
        }
        response
    }
}

/// A body that comes piece by piece: the peer sends no faster than they are taken.
pub struct Pieces {
    body: Incoming,
    silence: Duration,
    _connection: Connection,
}

impl Pieces {
    /// The next piece; `None` behind the last one. A body that is cut ends with an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let frame = match in_time(self.silence, self.body.frame()).await? {
                Some(frame) => frame.map_err(|why| HttpError::Broken(why.into()))?,
                None => return Ok(None),
            };
            // Trailers say nothing here.
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }

    /// All of it at once.
    pub async fn collect(self) -> Result<Bytes, HttpError> {
        let body = Limited::new(self.body, MAX_RESPONSE).collect();
        let body = in_time(self.silence, body).await?.map_err(HttpError::Broken)?;
        Ok(body.to_bytes())
    }
}

async fn in_time<T>(silence: Duration, step: impl Future<Output = T>) -> Result<T, HttpError> {
    timeout(silence, step).await.map_err(|_| HttpError::Timeout(silence))
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    used: Instant,
}

/// An exchange that broke.
struct Failed {
    why: Box<dyn Error + Send + Sync>,
    /// The request, if nothing of it was sent.
    unsent: Option<Request<Full<Bytes>>>,
    /// Whether the connection ended before a response began.
    is_closed: bool,
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
        Ok(Self { sender, driver, used: Instant::now() })
    }

    /// Whether it may be used again.
    fn is_fresh(&self) -> bool {
        !self.sender.is_closed() && self.used.elapsed() < IDLE_MAX
    }

    /// The whole response, and the connection to keep.
    async fn exchange(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Bytes>, Self), Failed> {
        let (head, body) = match self.sender.try_send_request(request).await {
            Ok(response) => response.into_parts(),
            Err(mut failed) => {
                let unsent = failed.take_message();
                let why = failed.into_error();
                let is_closed = !why.is_parse() && !why.is_user();
                return Err(Failed { why: why.into(), unsent, is_closed });
            }
        };
        let body = Limited::new(body, MAX_RESPONSE).collect().await;
        let body = body.map_err(|why| Failed { why, unsent: None, is_closed: false })?;
        self.used = Instant::now();
        Ok((Response::from_parts(head, body.to_bytes()), self))
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
mod tests;
