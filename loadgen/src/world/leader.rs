//! Which node of RabbitMQ leads a queue, as one of its nodes says on its management interface.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::AUTHORIZATION;
use protocol::Partition;
use std::time::Duration;
use tokio::time::timeout;
use workload::rest::Http;

/// How long a node may take to answer; one that stands still does not.
const PATIENCE: Duration = Duration::from_secs(1);
/// The user and the password are `guest`.
const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// The port of the node that leads the inbound queue of a partition, as the node with this port says.
pub async fn leader(http: &Http, port: u16, partition: Partition) -> Option<u16> {
    let queue = format!("/api/queues/%2F/fracas.inbound.{partition}?columns=node");
    let request = Request::get(queue).header(AUTHORIZATION, GUEST).body(Full::<Bytes>::default());
    // Its management interface has the port after its own.
    let at = format!("127.0.0.1:{}", port + 1);
    let answer = http.exchange(&at, request.expect("its parts are valid"));
    let answer = timeout(PATIENCE, answer).await.ok()?.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    told(answer.body())
}

/// `{"node":"fracas-PORT@localhost"}`.
fn told(body: &[u8]) -> Option<u16> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let (name, _) = body.get("node")?.as_str()?.split_once('@')?;
    name.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_known_by_its_port() {
        assert_eq!(told(br#"{"node":"fracas-21003@localhost"}"#), Some(21_003));
        for body in [r#"{"node":"rabbit@host"}"#, r#"{"error":"Object Not Found"}"#, "[]", ""] {
            assert_eq!(told(body.as_bytes()), None, "{body}");
        }
    }
}
