//! The numbers of a run under way, served to Prometheus.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use link::http_server::{HttpOptions, serve_http};
use ports::{Machine, Shutdown};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The content type of Prometheus' text format.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Where numbers are served, and how they are told.
#[derive(Clone)]
pub struct Exposition {
    /// `host:port`.
    pub at: String,
    /// The numbers now, in Prometheus' text format; gets the events recorded so far.
    pub text: Arc<dyn Fn(u64) -> String + Send + Sync>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Exposition").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Exposition {
    /// Serves `/metrics` until the machine dies.
    ///
    /// # Errors
    /// Nothing can listen there.
    pub async fn serve(
        self,
        machine: &Machine,
        recorded: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> io::Result<()> {
        let listener = machine.network.bind(&self.at).await?;
        let told = Arc::new(move || (self.text)(recorded()));
        let service = tower::service_fn(move |request: Request<Incoming>| {
            let told = told.clone();
            async move { Ok::<_, Infallible>(answer(request.uri().path(), &*told)) }
        });
        let machine_of_server = machine.clone();
        machine.spawn("exposition", async move {
            // It ends with the run.
            let (_trigger, shutdown) = Shutdown::new();
            let options = HttpOptions::default();
            let served = serve_http(&machine_of_server, listener, service, options, shutdown);
            if let Err(error) = served.await {
                tracing::error!(%error, "the metrics of the run ended");
            }
        });
        Ok(())
    }
}

fn answer(path: &str, text: &dyn Fn() -> String) -> Response<Full<Bytes>> {
    let is_there = path == "/metrics";
    let body = if is_there { text() } else { "there is only /metrics\n".to_owned() };
    let mut response = Response::new(Full::from(body));
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    if !is_there {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::machine;
    use workload::rest::Http;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_numbers_are_there_and_nothing_else() {
        let machine = machine("metrics", 1, &Arc::default());
        let at = format!("127.0.0.1:{}", crate::world::addresses::free_ports(1).unwrap());
        let text: Arc<dyn Fn(u64) -> String + Send + Sync> = Arc::new(|n| format!("events {n}\n"));
        let exposition = Exposition { at: at.clone(), text };
        exposition.clone().serve(&machine, || 7).await.unwrap();
        let http = Http::new(machine.clone());
        let get = async |path: &str| {
            let request = Request::get(path).body(Full::new(Bytes::new())).unwrap();
            let answer = http.exchange(&at, request).await.unwrap();
            (answer.status(), String::from_utf8(answer.into_body().to_vec()).unwrap())
        };
        assert_eq!(get("/metrics").await, (StatusCode::OK, "events 7\n".to_owned()));
        assert_eq!(get("/").await.0, StatusCode::NOT_FOUND);
        assert!(exposition.serve(&machine, || 7).await.is_err(), "somebody listens there");
    }
}
