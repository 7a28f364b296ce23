//! Whether a cluster that somebody named is there, before anything else is asked of it.

use crate::encryption::Encryption;
use crate::machine::{Way, client};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use real::tls::Trust;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use workload::rest::{Http, HttpError};

/// How long a gateway may take to answer and to be ready.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Whether every gateway is ready, before there is a run.
///
/// # Errors
/// One sentence on the first gateway that is not ready.
pub fn answers(gateways: &[String], encryption: Option<&Encryption>) -> Result<(), String> {
    let trust = encryption.map(|encryption| encryption.trust.clone());
    alone(async { reach(&http(trust), gateways).await })
}

/// Whether a node says yes at a path, asked once.
///
/// # Errors
/// Its answer if it is another one, or why there is none, in a few words.
pub fn probe(address: &str, path: &str, trust: Option<Trust>) -> Result<(), String> {
    alone(async {
        let request = Request::get(path).body(Full::<Bytes>::default());
        let request = request.map_err(|error| format!("no path: {error}"))?;
        let is_encrypted = trust.is_some();
        let http = http(trust);
        let answer = timeout(PATIENCE, http.exchange(address, request)).await;
        let answer = answer.map_err(|_| format!("no answer within {PATIENCE:?}"))?;
        let answer = answer.map_err(|error| {
            let hint = !is_encrypted && is_no_http(&error);
            let hint = if hint { "; over TLS: --authority FILE" } else { "" };
            ports::with_causes(&error) + hint
        });
        match answer?.status() {
            status if status.is_success() => Ok(()),
            status => Err(status.to_string()),
        }
    })
}

fn http(trust: Option<Trust>) -> Http {
    Http::new(client("clients", 1, &Arc::default(), Way { trust, ..Way::default() }))
}

/// Whether what answered speaks something else, such as TLS.
const fn is_no_http(error: &HttpError) -> bool {
    matches!(error, HttpError::Broken(_))
}

/// On a runtime of its own.
fn alone(asking: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(asking)
}

/// Waits until every gateway is ready, for a few seconds.
///
/// # Errors
/// One sentence on the first gateway that is not.
pub async fn reach(http: &Http, gateways: &[String]) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    for gateway in gateways {
        while let Err(why) = look(http, gateway, deadline).await {
            let hopeless = matches!(why, Obstacle::NoGateway(_));
            if hopeless || Instant::now() + LOOK_AGAIN >= deadline {
                return Err(format!("--target {gateway}: {}", why.told()));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
    Ok(())
}

/// The same after the load: whether any of them still is, so that the final reads have somebody to ask.
///
/// # Errors
/// One sentence on the last gateway.
pub async fn reach_any(http: &Http, gateways: &[String]) -> Result<(), String> {
    let mut outcome = Ok(());
    for gateway in gateways {
        outcome = reach(http, std::slice::from_ref(gateway)).await;
        if outcome.is_ok() {
            return outcome;
        }
    }
    outcome.map_err(|why| format!("no gateway answered after the load: {why}"))
}

/// Why users cannot come.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    /// It does not answer at all.
    #[error("no answer")]
    Silent(#[source] HttpError),
    /// It takes its time.
    #[error("no answer within {PATIENCE:?}")]
    Slow,
    /// It has lost its peers, starts or ends.
    #[error("the gateway is not ready (/ready answered {0})")]
    NotReady(StatusCode),
    /// It is something else.
    #[error("this is not a gateway of a chat cluster (/ready answered {0})")]
    NoGateway(StatusCode),
}

impl Obstacle {
    /// With its causes, and with what is expected there, unless it is there.
    fn told(&self) -> String {
        let why = ports::with_causes(self);
        match self {
            Self::NotReady(_) => why,
            Self::Silent(error) if is_no_http(error) => {
                format!("{why}; of a gateway that speaks TLS --config names the configuration")
            }
            Self::Silent(_) | Self::Slow | Self::NoGateway(_) => {
                format!(
                    "{why}; expected a gateway of a running cluster (fracas cluster starts one)"
                )
            }
        }
    }
}

async fn look(http: &Http, gateway: &str, deadline: Instant) -> Result<(), Obstacle> {
    let request = Request::get("/ready").body(Full::<Bytes>::default());
    let exchange = http.exchange(gateway, request.expect("its parts are valid"));
    let answer = timeout_at(deadline, exchange).await.map_err(|_| Obstacle::Slow)?;
    match answer.map_err(Obstacle::Silent)?.status() {
        status if status.is_success() => Ok(()),
        status if status.is_server_error() => Err(Obstacle::NotReady(status)),
        status => Err(Obstacle::NoGateway(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[tokio::test]
    async fn a_port_without_a_listener_is_told_in_seconds_and_by_its_cause() {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let began = Instant::now();
        let why = reach(&http(None), std::slice::from_ref(&address)).await.unwrap_err();
        assert!(began.elapsed() < PATIENCE + LOOK_AGAIN);
        assert!(why.contains(&address) && why.contains("refused"), "{why}");
        assert!(
            why.ends_with("; expected a gateway of a running cluster (fracas cluster starts one)")
        );
    }

    #[tokio::test]
    async fn a_listener_that_says_nothing_is_told_in_seconds() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let http = http(None);
        let began = Instant::now();
        let why = reach(&http, std::slice::from_ref(&address)).await.unwrap_err();
        assert!(began.elapsed() < PATIENCE * 2);
        let expected = format!("--target {address}: no answer within 5s; expected a gateway");
        assert!(why.starts_with(&expected), "{why}");
    }

    #[tokio::test]
    async fn one_gateway_that_is_left_is_enough_after_the_load() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let left = listener.local_addr().unwrap().to_string();
        let server = crate::run::thread("a gateway", move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        let http = http(None);
        let gone = "127.0.0.1:1".to_owned();
        let (both, nobody) = ([gone.clone(), left], [gone]);
        let (one, none) = tokio::join!(reach_any(&http, &both), reach_any(&http, &nobody));
        assert_eq!(one, Ok(()));
        let why = none.unwrap_err();
        assert!(why.starts_with("no gateway answered after the load"), "{why}");
        server.join().unwrap();
    }

    #[test]
    fn a_node_is_asked_once_and_its_answer_told() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = crate::run::thread("a node", move || {
            for answer in ["200 OK", "503 Service Unavailable"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 1024];
                let length = stream.read(&mut asked).unwrap();
                assert!(asked[..length].starts_with(b"GET /health "));
                write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
        });
        assert_eq!(probe(&address, "/health", None), Ok(()));
        assert_eq!(probe(&address, "/health", None), Err("503 Service Unavailable".to_owned()));
        server.join().unwrap();
        assert!(probe(&address, "/health", None).is_err_and(|why| why.contains("refused")));
    }

    #[tokio::test]
    async fn something_else_than_a_gateway_is_told_at_once() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = crate::run::thread("a web server", move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        let began = Instant::now();
        let why = reach(&http(None), &[address]).await.unwrap_err();
        assert!(began.elapsed() < PATIENCE / 2);
        assert!(why.contains("not a gateway of a chat cluster"), "{why}");
        server.join().unwrap();
    }
}
