//! The users' HTTP client: with one deadline for all exchanges.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use link::http::{HttpClient, HttpError, Pieces};
use ports::Machine;
use std::time::Duration;

/// Deadline of one exchange, connecting included.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Exchanges, over connections that are used again.
pub struct Http(HttpClient);

impl Http {
    /// Without any connection so far.
    pub const fn new(machine: Machine) -> Self {
        Self(HttpClient::new(machine))
    }

    /// Sends one request to `host:port` and reads the whole answer. The request's URI is the path.
    pub async fn exchange(
        &self,
        host: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, HttpError> {
        self.0.exchange(host, request, DEADLINE).await
    }

    /// Sends one request and returns when the response begins; its body comes piece by piece.
    pub async fn stream(
        &self,
        host: &str,
        request: Request<Full<Bytes>>,
        silence: Duration,
    ) -> Result<Response<Pieces>, HttpError> {
        self.0.stream(host, request, silence).await
    }

    /// Whether a gateway says that users may come.
    pub async fn is_ready(&self, gateway: &str) -> bool {
        let request = Request::get("/ready").body(Full::<Bytes>::default());
        let answer = self.exchange(gateway, request.expect("its parts are valid")).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}
