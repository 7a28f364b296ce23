//! An HTTP/1.1 server over the network port.
//!
//! It knows no routes: the service (an axum `Router`, any tower service) comes from the caller. Every
//! connection is a task of the machine, the number of connections is bounded, a client that sends its
//! headers or takes its answers too slowly is cut off, and upgrades (WebSocket) leave the accounting when they are made:
//! whoever takes the upgraded stream limits those.

use crate::accept::{Acceptor, CONNECTIONS_MAX};
use crate::patience::Watched;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ports::{Listener, Machine, Shutdown};
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tower_service::Service;

/// From where a request comes: an extension of every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// Most connections at a time; upgraded ones do not count.
    pub connections_max: u32,
    /// How long a client may take for the headers of a request, and how long a kept-alive connection
    /// may idle between two.
    pub header_timeout: Duration,
    /// How long a client may take nothing of what waits to be written to it.
    pub write_timeout: Duration,
    /// How long responses that are under way at a shutdown may take.
    pub drain: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves every connection of a listener until the shutdown; then no connection is accepted any more,
/// idle ones close at once, and responses under way are finished within `options.drain`.
///
/// Returns an error only if the listener itself is broken; a peer's mistake ends its own connection.
pub async fn serve_http<S, B>(
    machine: &Machine,
    listener: Box<dyn Listener>,
    service: S,
    options: HttpOptions,
    shutdown: Shutdown,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let acceptor = Acceptor::new(machine, listener, options.connections_max);
    serve_accepted(machine, acceptor, service, options, shutdown).await
}

/// The same for connections that an acceptor lets in, which has its own limit.
pub async fn serve_accepted<S, B>(
    machine: &Machine,
    mut acceptor: Acceptor,
    service: S,
    options: HttpOptions,
    shutdown: Shutdown,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let outcome = loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.requested() => break Ok(()),
            accepted = acceptor.next() => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => break Err(error),
        };
        let peer = Peer(place.peer.ip());
        let (stream, watcher) = Watched::new(stream, options.write_timeout);
        let connection = connection(stream, peer, service.clone(), options, shutdown.clone());
        let telemetry = Arc::clone(&machine.telemetry);
        machine.spawn("http connection", async move {
            connection.await;
            if watcher.gave_up() {
                telemetry.count("link_stalled_connections_total", 1);
            }
            drop(place);
        });
    };
    // Each connection ends after its own drain at most.
    let _ = timeout(options.drain + Duration::from_millis(50), acceptor.all_closed()).await;
    outcome
}

fn connection<S, B>(
    stream: Watched,
    peer: Peer,
    service: S,
    options: HttpOptions,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + Send
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut builder = http1::Builder::new();
    // The date would come from the system's clock, not from the machine's; and 8 KiB of headers are
    // plenty, while hyper's default of 400 KiB is a way to fill the memory.
    builder
        .auto_date_header(false)
        .max_buf_size(8 * 1024)
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout);
    let service = TowerToHyperService::new(service);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        service.call(request)
    });
    async move {
        let served = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut served = pin!(served);
        let ended = tokio::select! {
            biased;
            ended = served.as_mut() => ended,
            () = shutdown.requested() => {
                served.as_mut().graceful_shutdown();
                // Dropping it after the drain cuts the connection.
                timeout(options.drain, served.as_mut()).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "http connection ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HttpClient, HttpError};
    use fakes::Memory;
    use http_body_util::Full;
    use hyper::body::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::sleep;

    async fn slow_hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        sleep(Duration::from_secs(1)).await;
        Ok(Response::new(Full::from("hello")))
    }

    async fn ask(machine: &Machine) -> Result<Bytes, HttpError> {
        let request = Request::get("/").body(Full::default()).unwrap();
        let client = HttpClient::new(machine.clone());
        let response = client.exchange("server:80", request, Duration::from_mins(1)).await?;
        Ok(response.into_body())
    }

    async fn start(memory: &Memory, options: HttpOptions) -> ports::ShutdownTrigger {
        let machine = memory.machine("server");
        let listener = machine.network.bind("server:80").await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let serving = machine.clone();
        machine.spawn("server", async move {
            let service = tower::service_fn(slow_hello);
            serve_http(&serving, listener, service, options, shutdown).await.unwrap();
            serving.telemetry.count("ended", 1);
        });
        trigger
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_under_way_survives_a_shutdown() {
        let memory = Memory::default();
        let trigger = start(&memory, HttpOptions::default()).await;
        let client = memory.machine("client");
        let (answer, ()) = tokio::join!(ask(&client), async {
            sleep(Duration::from_millis(500)).await;
            trigger.request();
        });
        assert_eq!(answer.unwrap(), "hello");
        sleep(Duration::from_millis(10)).await;
        assert_eq!(memory.telemetry.counted("ended"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_over_the_limit_wait() {
        let memory = Memory::default();
        let options = HttpOptions { connections_max: 1, ..HttpOptions::default() };
        let _trigger = start(&memory, options).await;
        let client = memory.machine("client");
        let begun = tokio::time::Instant::now();
        let (first, second) = tokio::join!(ask(&client), ask(&client));
        assert_eq!((first.unwrap(), second.unwrap()), ("hello".into(), "hello".into()));
        assert_eq!(begun.elapsed().as_secs(), 2);
    }

    /// Answers with more than a connection holds unread.
    async fn much(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(Response::new(Full::from(vec![b'x'; 1024 * 1024])))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_no_answer_is_cut_off_however_much_it_asks() {
        let ask = |more: &str| format!("GET / HTTP/1.1\r\nHost: server\r\n{more}\r\n");
        let asked = [ask("").repeat(2), ask(""), ask("Connection: close\r\n")];
        let memory = Memory::default();
        let machine = memory.machine("server");
        let listener = machine.network.bind("server:80").await.unwrap();
        let (_trigger, shutdown) = Shutdown::new();
        let serving = machine.clone();
        machine.spawn("server", async move {
            // The head of the next request may take longer than the answer.
            let header_timeout = Duration::from_mins(5);
            let options =
                HttpOptions { header_timeout, connections_max: 3, ..HttpOptions::default() };
            let service = tower::service_fn(much);
            serve_http(&serving, listener, service, options, shutdown).await.unwrap();
        });
        let client = memory.machine("client");
        let mut silent = Vec::new();
        for requests in asked {
            let mut stream = client.network.connect("server:80").await.unwrap();
            stream.write_all(requests.as_bytes()).await.unwrap();
            silent.push(stream);
        }
        let begun = tokio::time::Instant::now();
        // All places are taken until the three are given up.
        let mut other = client.network.connect("server:80").await.unwrap();
        other.write_all(ask("Connection: close\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let waiting = timeout(Duration::from_mins(2), other.read_to_end(&mut answer));
        assert!(waiting.await.expect("a place").unwrap() > 1024 * 1024);
        assert_eq!(begun.elapsed().as_secs(), 30);
        assert_eq!(memory.telemetry.counted("link_stalled_connections_total"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_headers_is_cut_off() {
        let memory = Memory::default();
        let _trigger = start(&memory, HttpOptions::default()).await;
        let mut stream = memory.machine("client").network.connect("server:80").await.unwrap();
        let mut nothing = Vec::new();
        stream.read_to_end(&mut nothing).await.unwrap();
        assert!(nothing.is_empty() || nothing.starts_with(b"HTTP/1.1 408"), "{nothing:?}");
    }
}
