//! Depths, from the management interface: what a channel can be asked for leaves out what is in somebody's
//! hands.

use super::uplink::Uplink;
use crate::config::Management;
use crate::core::depths::depths;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Request, StatusCode};
use link::http::{HttpClient, HttpError};
use ports::broker::{BrokerUnavailable, Queue};
use protocol::limits;
use std::fmt::Write as _;

/// Asks the management interface.
pub struct Manager {
    client: HttpClient,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("there is no `management` in the configuration")]
    Unknown,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the management interface answers {0}")]
    Status(StatusCode),
    #[error("the management interface answers something else than queues")]
    Content(#[from] serde_json::Error),
    #[error("a request that cannot be written")]
    Request(#[from] hyper::http::Error),
}

impl Manager {
    pub const fn new(machine: ports::Machine) -> Self {
        Self { client: HttpClient::new(machine) }
    }

    pub async fn depths(&self, uplink: &Uplink) -> Result<Vec<(Queue, u64)>, BrokerUnavailable> {
        self.ask(uplink).await.map_err(|error| {
            tracing::warn!(error = %ports::with_causes(&error), "the depths are not known");
            BrokerUnavailable
        })
    }

    async fn ask(&self, uplink: &Uplink) -> Result<Vec<(Queue, u64)>, Refused> {
        let config = &uplink.config;
        let Management { address } = config.management.as_ref().ok_or(Refused::Unknown)?;
        let mut credentials = HeaderValue::try_from(format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", config.user, config.password.expose()))
        ))
        .map_err(hyper::http::Error::from)?;
        credentials.set_sensitive(true);
        let host = escaped(&config.virtual_host);
        // Totals alone: without the statistics they come at once, and are not kept for several seconds.
        let path = format!("/api/queues/{host}?disable_stats=true&enable_queue_totals=true");
        let request = Request::get(path).header(AUTHORIZATION, credentials).body(Full::default())?;
        let response = self.client.exchange(address, request, limits::CALL_TIMEOUT).await?;
        if response.status() != StatusCode::OK {
            return Err(Refused::Status(response.status()));
        }
        Ok(depths(&uplink.topology, response.body())?)
    }
}

/// One segment of a path.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_virtual_host_is_one_segment() {
        assert_eq!((escaped("/"), escaped("chat 1")), ("%2F".into(), "chat%201".into()));
    }
}
