//! `GET /metrics` and `GET /health` of a node that serves no HTTP otherwise. What a gateway says there it says
//! at its own address.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use link::http_server::{HttpOptions, serve_http};
use ports::{Listener, Machine, Shutdown};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use tower::service_fn;

/// Connections at a time: there is one who asks, or a few.
const CONNECTIONS_MAX: u32 = 16;

/// Answers everybody until the shutdown.
///
/// # Errors
/// The listener is broken.
pub async fn serve(
    machine: &Machine,
    listener: Box<dyn Listener>,
    render: Arc<dyn Fn() -> String + Send + Sync>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &*render);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let options = HttpOptions { connections_max: CONNECTIONS_MAX, ..HttpOptions::default() };
    serve_http(machine, listener, service, options, shutdown).await
}

fn answer(method: &Method, path: &str, render: &dyn Fn() -> String) -> Response<Full<Bytes>> {
    let (status, body) = match (method, path) {
        (&Method::GET, "/metrics") => (StatusCode::OK, render()),
        // Its process lives, as at a gateway. Whoever restarts it for what it waits for helps nobody.
        (&Method::GET, "/health") => (StatusCode::OK, "pass\n".to_owned()),
        (_, "/metrics" | "/health") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_pages_and_they_can_only_be_read() {
        let told = |method, path| answer(method, path, &|| "sessions 3\n".to_owned()).status();
        assert_eq!(told(&Method::GET, "/metrics"), StatusCode::OK);
        assert_eq!(told(&Method::GET, "/health"), StatusCode::OK);
        assert_eq!(told(&Method::POST, "/metrics"), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(told(&Method::POST, "/health"), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(told(&Method::GET, "/"), StatusCode::NOT_FOUND);
    }
}
