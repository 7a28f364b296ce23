//! What services ask in bulk: many conversations in one request, a partition in one stream.

use super::api::{Api, Attempts, success};
use super::http::DEADLINE;
use super::{HttpError, RestError};
use crate::plan::PlannedConversation;
use bytes::{Buf, Bytes, BytesMut};
use hyper::{Method, StatusCode};
use link::http::Pieces;
use protocol::store_calls::{ConversationKind, ExportPlace, Membership};
use protocol::{ConversationId, Entry, Epoch, Partition, Sequence, UserId, limits};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The path of batch creation.
const BATCH: &str = "/v1/conversations:batch";
/// The longest line of an export: a conversation of as many members as there may be takes a tenth.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// Conversations to make in one request.
pub struct NewConversations {
    document: Vec<u8>,
    count: usize,
}

#[derive(Serialize)]
struct New<'a> {
    id: ConversationId,
    kind: ConversationKind,
    /// The first one makes it.
    members: &'a [UserId],
}

/// What became of one conversation of a batch.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    head: Option<Sequence>,
    members: Option<Vec<Membership>>,
    problem: Option<Problem>,
}

/// A conversation that exists as it was asked for.
#[derive(Debug)]
pub struct Made {
    /// Its last sequence.
    pub head: Sequence,
    /// Its members, with intervals, if it was made before; otherwise they have joined in their order,
    /// the first at 1.
    pub members: Option<Vec<Membership>>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    status: u16,
    detail: String,
}

#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

impl NewConversations {
    /// None so far.
    pub fn new() -> Self {
        Self { document: br#"{"conversations":["#.to_vec(), count: 0 }
    }

    /// Adds a conversation, if a request has room for it.
    pub fn push(&mut self, planned: PlannedConversation<'_>) -> bool {
        let (before, PlannedConversation { id, kind, members }) = (self.document.len(), planned);
        if self.count > 0 {
            self.document.push(b',');
        }
        let new = New { id, kind, members };
        serde_json::to_writer(&mut self.document, &new).expect("plain fields");
        let has_room = self.count < limits::MAX_BATCH
            && self.document.len() + "]}".len() <= limits::MAX_REST_BODY_BYTES;
        if has_room || self.count == 0 {
            self.count += 1;
            return true;
        }
        self.document.truncate(before);
        false
    }
}

impl Default for NewConversations {
    fn default() -> Self {
        Self::new()
    }
}

impl Outcome {
    /// The conversation, or why there is none.
    pub fn made(self) -> Result<Made, RestError> {
        match (self.problem, self.head) {
            (None, Some(head)) => Ok(Made { head, members: self.members }),
            (Some(problem), _) => Err(problem.error(BATCH)),
            (None, None) => Err(unknown(BATCH, "an outcome says nothing")),
        }
    }
}

fn unknown(path: &str, what: &str) -> RestError {
    let source = serde::de::Error::custom(what);
    RestError::Document { path: path.to_owned(), source }
}

impl Problem {
    fn error(&self, path: &str) -> RestError {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        RestError::of(path, status, &self.detail)
    }
}

impl Api {
    /// Makes conversations; again changes nothing. What became of each, in their order.
    pub async fn create(
        &self,
        mut new: NewConversations,
        patience: Duration,
    ) -> Result<Vec<Outcome>, RestError> {
        new.document.extend_from_slice(b"]}");
        let body = Some(Bytes::from(new.document));
        let Outcomes { outcomes } = self.patiently(Method::POST, BATCH, body, patience).await?;
        if outcomes.len() != new.count {
            return Err(unknown(BATCH, "there are other outcomes than conversations"));
        }
        Ok(outcomes)
    }

    /// The stream of a partition from a place on, as soon as it begins.
    pub async fn export(
        &self,
        partition: Partition,
        from: ExportPlace,
        patience: Duration,
    ) -> Result<Lines, RestError> {
        let ExportPlace { conversation, after } = from;
        let path = format!("/v1/partitions/{partition}/export?from={conversation}&after={after}");
        let mut attempts = Attempts::new(self, patience);
        loop {
            match self.begin_export(&path, &attempts).await {
                Ok(lines) => return Ok(lines),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    async fn begin_export(&self, path: &str, attempts: &Attempts<'_>) -> Result<Lines, RestError> {
        let request = self.request(&Method::GET, path, None, attempts).await?;
        let response = self.http.stream(attempts.host(), request, DEADLINE).await?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(Lines { path: path.to_owned(), body, read: BytesMut::new() });
        }
        let answer = hyper::Response::from_parts(head, body.collect().await?);
        Err(success(path, &answer).expect_err("it is no success"))
    }
}

/// A line of an export.
#[derive(Debug)]
pub enum Line {
    /// What follows was read under this epoch.
    Page(Epoch),
    /// A conversation, or a part of it.
    Conversation(Exported),
    /// There is no more.
    End,
}

/// The same as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Page { epoch: Epoch },
    Conversation(Exported),
    End {},
    Problem(Problem),
}

/// A conversation, or a part of it.
#[derive(Debug, Deserialize)]
pub struct Exported {
    /// Its id.
    pub id: ConversationId,
    /// The newest sequence.
    pub head: Sequence,
    /// The oldest stored sequence.
    pub first: Sequence,
    /// Stored entries.
    pub entries: Vec<Entry>,
    /// What stands behind the last of them; `None`: it goes on in another line.
    pub end: Option<ExportedEnd>,
}

/// What a conversation has besides its entries.
#[derive(Debug, Deserialize)]
pub struct ExportedEnd {
    /// The members' cursors.
    pub receipts: Vec<super::api::Cursor>,
}

/// The lines of an export.
pub struct Lines {
    path: String,
    body: Pieces,
    read: BytesMut,
}

impl Lines {
    /// The next line. The last one is `End`: whatever else ends the stream is an error.
    pub async fn next(&mut self) -> Result<Line, RestError> {
        let mut searched = 0;
        loop {
            let fresh = &self.read[searched..];
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(searched + end);
                self.read.advance(1);
                return self.parse(&line);
            }
            searched = self.read.len();
            let piece = if searched > MAX_LINE { None } else { self.body.next().await? };
            let cut = || RestError::Http(HttpError::Broken("it was cut before its end".into()));
            self.read.extend_from_slice(&piece.ok_or_else(cut)?);
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Line, RestError> {
        match serde_json::from_slice(line) {
            Ok(Written::Page { epoch }) => Ok(Line::Page(epoch)),
            Ok(Written::Conversation(part)) => Ok(Line::Conversation(part)),
            Ok(Written::End {}) => Ok(Line::End),
            Ok(Written::Problem(problem)) => Err(problem.error(&self.path)),
            Err(source) => Err(RestError::Document { path: self.path.clone(), source }),
        }
    }
}
