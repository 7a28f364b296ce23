//! For operators: queues, partitions, health, readiness, metrics, and the description of all routes.

use super::Rest;
use super::caller::{ADMIN, AUDIT, Caller};
use super::problem::{Kind, Problem};
use super::source::Source;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Json as Answer};
use ports::broker::Queue;
use protocol::limits;
use protocol::store_calls::PartitionStatus;
use serde::Serialize;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;

/// The OpenAPI description, kept by hand.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Ends with a problem if the broker does not answer within the deadline of a call.
pub async fn in_time<T>(call: impl Future<Output = T>) -> Result<T, Problem> {
    tokio::time::timeout(limits::CALL_TIMEOUT, call)
        .await
        .map_err(|_| Problem::new(Kind::OutcomeUnknown, "the broker did not answer in time"))
}

/// How many messages wait where.
#[derive(Serialize)]
pub struct Queues {
    queues: Vec<Depth>,
}

#[derive(Serialize)]
struct Depth {
    queue: String,
    messages: u64,
}

/// `GET /v1/queues`
pub async fn queues(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
) -> Result<Answer<Queues>, Problem> {
    caller.service(&[ADMIN, AUDIT])?;
    let depths = in_time(rest.state.depths.depths()).await??;
    let depth = |(queue, messages): (Queue, u64)| Depth { queue: queue.to_string(), messages };
    Ok(Answer(Queues { queues: depths.into_iter().map(depth).collect() }))
}

/// Who sequences what.
#[derive(Serialize)]
pub struct Partitions {
    partitions: Vec<PartitionStatus>,
    /// Of the whole cluster: 0 to one less, whether or not their owners answer.
    total: u16,
}

/// `GET /v1/partitions`
pub async fn partitions(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
) -> Result<Answer<Partitions>, Problem> {
    caller.service(&[ADMIN, AUDIT])?;
    let mut partitions = in_time(rest.state.conversations.status()).await?;
    partitions.sort_by_key(|status| status.partition);
    Ok(Answer(Partitions { partitions, total: rest.state.partitions_total }))
}

/// `GET /health`: the process lives. It says nothing about the nodes behind it: restarting this one
/// would not help them.
pub async fn health() -> Answer<Value> {
    Answer(json!({ "status": "pass" }))
}

/// `GET /ready`: the node can do its work. That a part of the cluster behind it gives no answers is a
/// warning: other gateways do not reach it either.
pub async fn ready(State(rest): State<Arc<Rest>>) -> Result<Answer<Value>, Problem> {
    match (rest.state.ready)() {
        Some(without_answers) if without_answers.is_empty() => {
            Ok(Answer(json!({ "status": "pass" })))
        }
        Some(without_answers) => {
            Ok(Answer(json!({ "status": "warn", "without_answers": without_answers })))
        }
        None => {
            Err(Problem::new(Kind::Unavailable, "the node does not reach what it needs, or drains"))
        }
    }
}

/// `GET /metrics`
pub async fn metrics(
    State(rest): State<Arc<Rest>>,
    source: Source,
) -> Result<impl IntoResponse, Problem> {
    rest.sources.take(source, rest.now_ms())?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (rest.state.metrics)()))
}

/// `GET /openapi.json`
pub async fn openapi(
    State(rest): State<Arc<Rest>>,
    source: Source,
) -> Result<impl IntoResponse, Problem> {
    rest.sources.take(source, rest.now_ms())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], OPENAPI))
}
