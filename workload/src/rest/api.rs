//! Paths and documents: what a run asks of the REST interface.
//!
//! Answers are read leniently: fields that are not needed here may come and go.

use super::{Http, RestError, Tokens};
use crate::targets::Targets;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use ports::Machine;
use protocol::backoff::Backoff;
use protocol::store_calls::{Membership, PartitionStatus, RangePage};
use protocol::{ClientMessageId, ConversationId, Sequence, UserId};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::sync::Arc;
use std::time::Duration;

/// The token endpoint.
pub const TOKEN: &str = "/oauth2/token";
/// The revocation endpoint.
pub const REVOKE: &str = "/oauth2/revoke";
/// Between two attempts at a call.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// As the attempts go on.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Calls with a service's token, to any gateway.
#[derive(Clone)]
pub struct Api {
    machine: Machine,
    targets: Arc<Targets>,
    http: Arc<Http>,
    tokens: Arc<Tokens>,
}

/// Messages in a durable queue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct QueueDepth {
    /// Its name.
    pub queue: String,
    /// How many.
    pub messages: u64,
}

/// A dead letter, as far as it concerns a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeadLetter {
    /// Names it for ever.
    pub id: u64,
    /// The queue that it came from.
    pub queue: String,
    /// Why.
    pub reason: String,
    /// What its record says, if the gateway could read it.
    pub record: Option<LetterRecord>,
}

/// The record of a dead letter. Push jobs have no client message id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LetterRecord {
    /// Who sent it.
    pub author: Option<UserId>,
    /// The author's id for it.
    pub client_message_id: Option<ClientMessageId>,
    /// Where.
    pub conversation: Option<ConversationId>,
}

/// A conversation that was made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Made {
    /// Its last sequence.
    pub head: Sequence,
    /// Its members, with intervals.
    pub members: Vec<Membership>,
}

/// A member's stored cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Cursor {
    /// The member.
    pub user: UserId,
    /// Shown on one of the member's devices.
    pub delivered: Sequence,
    /// Read by the member.
    pub read: Sequence,
}

#[derive(Deserialize)]
struct Changed {
    sequence: Sequence,
}

#[derive(Deserialize)]
struct Receipts {
    receipts: Vec<Cursor>,
}

#[derive(Deserialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
}

#[derive(Deserialize)]
struct Queues {
    queues: Vec<QueueDepth>,
}

#[derive(Deserialize)]
struct Partitions {
    partitions: Vec<PartitionStatus>,
}

impl Api {
    /// Calls to these gateways from this machine.
    pub fn new(machine: Machine, targets: Arc<Targets>) -> Self {
        let http = Arc::new(Http::new(machine.clone()));
        let tokens = Arc::new(Tokens::new(http.clone(), targets.clone()));
        Self { machine, targets, http, tokens }
    }

    /// The tokens that it uses, for users as well.
    pub const fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// Makes a conversation; again changes nothing.
    pub async fn create(
        &self,
        planned: crate::plan::PlannedConversation<'_>,
        patience: Duration,
    ) -> Result<Made, RestError> {
        let document = serde_json::json!({
            "kind": planned.kind,
            "creator": planned.members.first(),
            "members": planned.members,
        });
        let path = format!("/v1/conversations/{}", planned.id);
        self.patiently(Method::PUT, &path, Some(document), patience).await
    }

    /// Adds or removes a member; the sequence of the entry.
    pub async fn change_member(
        &self,
        conversation: ConversationId,
        user: UserId,
        add: bool,
        patience: Duration,
    ) -> Result<Sequence, RestError> {
        let path = format!("/v1/conversations/{conversation}/members/{user}");
        let method = if add { Method::PUT } else { Method::DELETE };
        let changed: Changed = self.patiently(method, &path, None, patience).await?;
        Ok(changed.sequence)
    }

    /// Stored entries behind a sequence.
    pub async fn entries(
        &self,
        conversation: ConversationId,
        after: Sequence,
        limit: u32,
        patience: Duration,
    ) -> Result<RangePage, RestError> {
        let path = format!("/v1/conversations/{conversation}/entries?after={after}&limit={limit}");
        self.patiently(Method::GET, &path, None, patience).await
    }

    /// The stored cursors of a conversation's members.
    pub async fn receipts(
        &self,
        conversation: ConversationId,
        patience: Duration,
    ) -> Result<Vec<Cursor>, RestError> {
        let path = format!("/v1/conversations/{conversation}/receipts");
        let document: Receipts = self.patiently(Method::GET, &path, None, patience).await?;
        Ok(document.receipts)
    }

    /// Dead letters behind an id.
    pub async fn dead_letters(
        &self,
        after: u64,
        limit: u32,
        patience: Duration,
    ) -> Result<Vec<DeadLetter>, RestError> {
        let path = format!("/v1/dead-letters?after={after}&limit={limit}");
        let document: DeadLetters = self.patiently(Method::GET, &path, None, patience).await?;
        Ok(document.dead_letters)
    }

    /// The depths of the queues.
    pub async fn queues(&self, patience: Duration) -> Result<Vec<QueueDepth>, RestError> {
        let document: Queues = self.patiently(Method::GET, "/v1/queues", None, patience).await?;
        Ok(document.queues)
    }

    /// Who owns which partition.
    pub async fn partitions(&self, patience: Duration) -> Result<Vec<PartitionStatus>, RestError> {
        let path = "/v1/partitions";
        let document: Partitions = self.patiently(Method::GET, path, None, patience).await?;
        Ok(document.partitions)
    }

    /// Revokes all tokens of a user.
    pub async fn revoke(&self, user: UserId, patience: Duration) -> Result<(), RestError> {
        let path = format!("/oauth2/users/{user}/revoke");
        let _: IgnoredAny = self.patiently(Method::POST, &path, None, patience).await?;
        Ok(())
    }

    /// The same call again, to one gateway after another, until there is an answer or `patience` is
    /// used up. A 401 is answered with a fresh token.
    async fn patiently<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        document: Option<serde_json::Value>,
        patience: Duration,
    ) -> Result<T, RestError> {
        let body = document.map(|document| Bytes::from(document.to_string()));
        let deadline = tokio::time::Instant::now() + patience;
        let mut gateway = self.machine.entropy.below(self.targets.gateways.len() as u64) as usize;
        let (mut fresh, mut refused_tokens) = (false, 0);
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        loop {
            let host = &self.targets.gateways[gateway];
            let error = match self.call(&method, path, body.clone(), host, fresh).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            fresh = matches!(
                &error,
                RestError::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED
            );
            refused_tokens += u32::from(fresh);
            let hopeless = !(error.may_retry() || fresh && refused_tokens < 3);
            let pause = backoff.next(self.machine.entropy.next_u64());
            if hopeless || tokio::time::Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, path, "calling again");
            tokio::time::sleep(pause).await;
            gateway = (gateway + 1) % self.targets.gateways.len();
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
        host: &str,
        fresh: bool,
    ) -> Result<T, RestError> {
        let token = self.tokens.of_service(fresh, host).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body.unwrap_or_default()))
            .expect("its parts are valid");
        document(path, &self.http.exchange(host, request).await?)
    }
}

/// The document of an answer.
pub fn document<T: DeserializeOwned>(path: &str, answer: &Response<Bytes>) -> Result<T, RestError> {
    success(path, answer)?;
    let document = serde_json::from_slice(answer.body());
    document.map_err(|source| RestError::Document { path: path.to_owned(), source })
}

/// Whether the answer is a good one.
pub fn success(path: &str, answer: &Response<Bytes>) -> Result<(), RestError> {
    let (status, path) = (answer.status(), path.to_owned());
    if status.is_success() {
        return Ok(());
    }
    if status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
    {
        return Err(RestError::Unavailable { path, status });
    }
    let text = String::from_utf8_lossy(answer.body());
    Err(RestError::Refused { path, status, detail: text.chars().take(300).collect() })
}
