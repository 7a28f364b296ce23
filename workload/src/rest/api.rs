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
use protocol::store_calls::PartitionStatus;
use protocol::{ClientMessageId, ConversationId, Entry, Sequence, UserId};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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
    pub(super) http: Arc<Http>,
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

/// A change of membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Changed {
    /// The entry that says so.
    pub sequence: Sequence,
}

/// A page of stored entries.
#[derive(Debug, Deserialize)]
pub struct BacklogPage {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The newest stored sequence.
    pub head: Sequence,
    /// Behind which the next page begins; `None`: this was the last one.
    pub next_after: Option<Sequence>,
}

#[derive(Deserialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
}

#[derive(Deserialize)]
struct Queues {
    queues: Vec<QueueDepth>,
}

/// The partitions of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Partitions {
    /// Those whose owners answer.
    pub partitions: Vec<PartitionStatus>,
    /// How many there are; 0: the cluster does not say.
    #[serde(default)]
    pub total: u16,
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

    /// Adds or removes a member; the sequence of the entry.
    pub async fn change_member(
        &self,
        conversation: ConversationId,
        user: UserId,
        add: bool,
        patience: Duration,
    ) -> Result<Sequence, RestError> {
        let path = member(conversation, user);
        let method = if add { Method::PUT } else { Method::DELETE };
        let changed: Changed = self.patiently(method, &path, None, patience).await?;
        Ok(changed.sequence)
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
    pub async fn partitions(&self, patience: Duration) -> Result<Partitions, RestError> {
        self.patiently(Method::GET, "/v1/partitions", None, patience).await
    }

    /// Revokes all tokens of a user.
    pub async fn revoke(&self, user: UserId, patience: Duration) -> Result<(), RestError> {
        let path = format!("/oauth2/users/{user}/revoke");
        let _: IgnoredAny = self.patiently(Method::POST, &path, None, patience).await?;
        Ok(())
    }

    /// How a gateway answers whoever asks for a path with this token, or with none.
    pub async fn status_of(
        &self,
        gateway: &str,
        path: &str,
        token: Option<&str>,
    ) -> Result<StatusCode, RestError> {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::default()).expect("its parts are valid");
        Ok(self.http.exchange(gateway, request).await?.status())
    }

    /// The same call again, until there is an answer or `patience` is used up.
    pub(super) async fn patiently<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        patience: Duration,
    ) -> Result<T, RestError> {
        let mut attempts = Attempts::new(self, patience);
        loop {
            match self.call(&method, path, body.clone(), &attempts).await {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
        attempt: &Attempts<'_>,
    ) -> Result<T, RestError> {
        let request = self.request(method, path, body, attempt).await?;
        document(path, &self.http.exchange(attempt.host(), request).await?)
    }

    /// A request with the service's token.
    pub(super) async fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
        attempt: &Attempts<'_>,
    ) -> Result<Request<Full<Bytes>>, RestError> {
        let token = self.tokens.of_service(attempt.fresh, attempt.host()).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body.unwrap_or_default()));
        Ok(request.expect("its parts are valid"))
    }
}

/// The path of a member.
pub fn member(conversation: ConversationId, user: UserId) -> String {
    format!("/v1/conversations/{conversation}/members/{user}")
}

/// One attempt at a call after another, each at the next gateway, as long as patience lasts. A 401 is
/// answered with a fresh token.
pub(super) struct Attempts<'a> {
    api: &'a Api,
    gateway: usize,
    fresh: bool,
    refused_tokens: u32,
    backoff: Backoff,
    deadline: Instant,
}

impl<'a> Attempts<'a> {
    /// The first one, at any gateway.
    pub(super) fn new(api: &'a Api, patience: Duration) -> Self {
        let gateways = api.targets.gateways.len() as u64;
        Self {
            api,
            gateway: api.machine.entropy.below(gateways) as usize,
            fresh: false,
            refused_tokens: 0,
            backoff: Backoff::new(PAUSE_MIN, PAUSE_MAX),
            deadline: Instant::now() + patience,
        }
    }

    /// Whom to ask.
    pub(super) fn host(&self) -> &'a str {
        &self.api.targets.gateways[self.gateway]
    }

    /// Waits until it is time for the next one, if there is one.
    pub(super) async fn failed(&mut self, error: RestError) -> Result<(), RestError> {
        self.fresh = matches!(
            &error,
            RestError::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED
        );
        self.refused_tokens += u32::from(self.fresh);
        let hopeless = !(error.may_retry() || self.fresh && self.refused_tokens < 3);
        let pause = self.backoff.next(self.api.machine.entropy.next_u64());
        if hopeless || Instant::now() + pause >= self.deadline {
            return Err(error);
        }
        tracing::debug!(%error, "calling again");
        sleep(pause).await;
        self.gateway = (self.gateway + 1) % self.api.targets.gateways.len();
        Ok(())
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
    if answer.status().is_success() {
        return Ok(());
    }
    Err(RestError::of(path, answer.status(), &String::from_utf8_lossy(answer.body())))
}
