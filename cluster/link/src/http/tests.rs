//! When a connection is used again, and when a request is sent again.

use super::*;
use crate::accept::Acceptor;
use crate::http_server::{HttpOptions, serve_http};
use fakes::Memory;
use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use ports::{Shutdown, ShutdownTrigger};
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

const AT: &str = "server:80";

async fn slow_hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(Duration::from_millis(10)).await;
    Ok(Response::new(Full::from("hello")))
}

async fn serving(memory: &Memory) -> ShutdownTrigger {
    let server = memory.machine("server");
    let listener = server.network.bind(AT).await.unwrap();
    let (trigger, shutdown) = Shutdown::new();
    server.clone().spawn("server", async move {
        let service = tower::service_fn(slow_hello);
        let options = HttpOptions::default();
        serve_http(&server, listener, service, options, shutdown).await.unwrap();
    });
    trigger
}

/// A server that answers the first request of a connection, and the second one with these bytes and its
/// end. Requests are counted as `requests`.
async fn fickle(memory: &Memory, second: &'static [u8]) {
    let server = memory.machine("server");
    let listener = server.network.bind(AT).await.unwrap();
    server.clone().spawn("server", async move {
        let mut acceptor = Acceptor::new(&server, listener, 10);
        loop {
            let (mut stream, _place) = acceptor.next().await.unwrap();
            for answer in [&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"[..], second] {
                let mut request = [0; 1_024];
                if stream.read(&mut request).await.unwrap_or_default() == 0 {
                    break;
                }
                server.telemetry.count("requests", 1);
                stream.write_all(answer).await.unwrap();
            }
        }
    });
}

async fn ask(client: &HttpClient, method: Method) -> Result<Response<Bytes>, HttpError> {
    let request = Request::builder().method(method).uri("/").body(Full::default()).unwrap();
    client.exchange(AT, request, Duration::from_secs(1)).await
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_as_long_as_it_stands() {
    let memory = Memory::default();
    let _trigger = serving(&memory).await;
    let client = HttpClient::new(memory.machine("client"));
    for _ in 0..3 {
        assert_eq!(ask(&client, Method::GET).await.unwrap().into_body(), "hello");
    }
    assert_eq!(memory.network.connections(), 1);
    // Idle for too long to be trusted.
    sleep(IDLE_MAX).await;
    assert_eq!(ask(&client, Method::POST).await.unwrap().into_body(), "hello");
    assert_eq!(memory.network.connections(), 2);
    // The server's end of it is noticed before it is used.
    memory.network.cut();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(ask(&client, Method::POST).await.unwrap().into_body(), "hello");
    assert_eq!(memory.network.connections(), 3);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_idle_connections_are_kept() {
    let memory = Memory::default();
    let _trigger = serving(&memory).await;
    let client = HttpClient::new(memory.machine("client"));
    let all = (0..2 * KEPT).map(|_| ask(&client, Method::GET));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(memory.network.connections(), 2 * KEPT as u64);
    assert_eq!(client.kept.lock().unwrap()[AT].len(), KEPT);
}

#[tokio::test(start_paused = true)]
async fn a_safe_request_is_sent_again_if_a_used_connection_ends_before_its_answer() {
    let memory = Memory::default();
    fickle(&memory, b"").await;
    let client = HttpClient::new(memory.machine("client"));
    for _ in 0..2 {
        assert_eq!(ask(&client, Method::GET).await.unwrap().into_body(), "hi");
    }
    assert_eq!((memory.network.connections(), memory.telemetry.counted("requests")), (2, 3));
    // This one may have been acted upon.
    let broken = ask(&client, Method::POST).await.unwrap_err();
    assert!(matches!(broken, HttpError::Broken(_)), "{broken:?}");
    assert_eq!((memory.network.connections(), memory.telemetry.counted("requests")), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_breaks_off_is_not_asked_for_again() {
    let memory = Memory::default();
    fickle(&memory, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh").await;
    let client = HttpClient::new(memory.machine("client"));
    assert_eq!(ask(&client, Method::GET).await.unwrap().into_body(), "hi");
    let broken = ask(&client, Method::GET).await.unwrap_err();
    assert!(matches!(broken, HttpError::Broken(_)), "{broken:?}");
    assert_eq!((memory.network.connections(), memory.telemetry.counted("requests")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_all_idle_connections_to_its_host() {
    let memory = Memory::default();
    let _trigger = serving(&memory).await;
    let client = HttpClient::new(memory.machine("client"));
    let (one, two) = tokio::join!(ask(&client, Method::GET), ask(&client, Method::GET));
    assert!(one.is_ok() && two.is_ok() && client.kept.lock().unwrap()[AT].len() == 2);
    let request = Request::get("/").body(Full::default()).unwrap();
    let late = client.exchange(AT, request, Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(late, HttpError::Timeout(_)), "{late:?}");
    assert!(!client.kept.lock().unwrap().contains_key(AT));
}

/// A server that answers with chunks, a pause apart; `is_cut`: without the last one.
async fn drip(memory: &Memory, pause: Duration, is_cut: bool) {
    let server = memory.machine("server");
    let listener = server.network.bind(AT).await.unwrap();
    server.clone().spawn("server", async move {
        let (mut stream, _place) = Acceptor::new(&server, listener, 1).next().await.unwrap();
        let _ = stream.read(&mut [0; 1_024]).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        for chunk in [&b"3\r\none\r\n"[..], b"3\r\ntwo\r\n"] {
            sleep(pause).await;
            stream.write_all(chunk).await.unwrap();
        }
        if !is_cut {
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        }
    });
}

async fn pieces(pause: Duration, is_cut: bool) -> (String, Result<(), HttpError>) {
    let memory = Memory::default();
    drip(&memory, pause, is_cut).await;
    let client = HttpClient::new(memory.machine("client"));
    let silence = Duration::from_secs(1);
    let response = client.stream(AT, Request::get("/").body(Full::default()).unwrap(), silence);
    let mut body = response.await.unwrap().into_body();
    let mut text = String::new();
    loop {
        match body.next().await {
            Ok(Some(piece)) => text.push_str(std::str::from_utf8(&piece).unwrap()),
            Ok(None) => return (text, Ok(())),
            Err(error) => return (text, Err(error)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_last_as_long_as_it_goes_on_and_a_cut_one_is_no_end() {
    let (text, ended) = pieces(Duration::from_millis(900), false).await;
    assert_eq!((text.as_str(), ended.is_ok()), ("onetwo", true));
    let (text, ended) = pieces(Duration::from_millis(10), true).await;
    assert_eq!(text, "onetwo");
    assert!(matches!(ended, Err(HttpError::Broken(_))), "{ended:?}");
    let (text, ended) = pieces(Duration::from_millis(1_100), false).await;
    assert_eq!(text, "");
    assert!(matches!(ended, Err(HttpError::Timeout(_))), "{ended:?}");
}
