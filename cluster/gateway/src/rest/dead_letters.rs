//! Dead letters: listed, inspected, put back. For services with `admin`.

use super::Rest;
use super::caller::{ADMIN, Caller};
use super::input::{Ids, Page};
use super::operations::in_time;
use super::problem::{Kind, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json as Answer, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ports::broker::{DeadLetter, Origin, Queue};
use protocol::records::{self, Action, Inbound, PushJob};
use protocol::{ClientMessageId, ConversationId, Sequence, UserId};
use serde::Serialize;
use std::sync::Arc;

/// A dead letter for people.
#[derive(Serialize)]
struct Shown {
    id: u64,
    queue: String,
    reason: String,
    attempts: u32,
    at_ms: u64,
    /// Of the record, as it is stored.
    bytes: usize,
    /// What the record says, if it can be read.
    record: Option<Record>,
    /// The record itself, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Record {
    Inbound {
        author: UserId,
        conversation: ConversationId,
        client_message_id: ClientMessageId,
        action: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<Sequence>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<u16>,
    },
    Push {
        user: UserId,
        author: UserId,
        conversation: ConversationId,
        sequence: Sequence,
        preview: String,
    },
}

impl From<DeadLetter> for Shown {
    fn from(dead: DeadLetter) -> Self {
        let record = read(dead.origin, &dead.message);
        Self {
            id: dead.id,
            queue: Queue::from(dead.origin).to_string(),
            reason: dead.reason,
            attempts: dead.attempts,
            at_ms: dead.at_ms,
            bytes: dead.message.len(),
            base64: record.is_none().then(|| STANDARD.encode(&dead.message)),
            record,
        }
    }
}

/// What a record of this queue says.
fn read(origin: Origin, message: &[u8]) -> Option<Record> {
    match origin {
        Origin::Inbound(_) => records::decode::<Inbound>(message).ok().map(|inbound| {
            let (action, target, body, format) = match inbound.action {
                Action::Send { body, format, .. } => ("send", None, Some(body), Some(format)),
                Action::Edit { target, body } => ("edit", Some(target), Some(body), None),
                Action::Delete { target } => ("delete", Some(target), None, None),
            };
            Record::Inbound {
                author: inbound.author,
                conversation: inbound.conversation,
                client_message_id: inbound.client_message_id,
                action,
                target,
                body,
                format,
            }
        }),
        Origin::Jobs(_) => PushJob::decode(message).ok().and_then(|job| {
            // A notifier gives up one user at a time.
            let &[user] = job.users.as_slice() else { return None };
            Some(Record::Push {
                user,
                author: job.author,
                conversation: job.conversation,
                sequence: job.sequence,
                preview: job.preview,
            })
        }),
    }
}

#[derive(Serialize)]
struct Listed {
    dead_letters: Vec<Shown>,
    next_after: Option<u64>,
}

/// `GET /v1/dead-letters`
pub async fn list(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    page: Page,
) -> Result<Response, Problem> {
    caller.service(&[ADMIN])?;
    let found = in_time(rest.state.dead_letters.list(page.after, page.limit)).await??;
    let full = found.len() >= page.limit as usize;
    let next_after = found.last().map(|dead| dead.id).filter(|_| full);
    let dead_letters = found.into_iter().map(Shown::from).collect();
    Ok(Answer(Listed { dead_letters, next_after }).into_response())
}

/// `GET /v1/dead-letters/{id}`
pub async fn show(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<1>,
) -> Result<Response, Problem> {
    caller.service(&[ADMIN])?;
    let id = ids.number();
    let found = in_time(rest.state.dead_letters.list(id - 1, 1)).await??;
    let dead = found.into_iter().find(|dead| dead.id == id).ok_or_else(none_such)?;
    Ok(Answer(Shown::from(dead)).into_response())
}

/// `POST /v1/dead-letters/{id}/requeue`
///
/// The message goes to the end of its queue: whoever consumes it must be able to take it by now.
pub async fn requeue(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<1>,
) -> Result<StatusCode, Problem> {
    caller.service(&[ADMIN])?;
    let found = in_time(rest.state.dead_letters.requeue(ids.number())).await??;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(none_such()) }
}

fn none_such() -> Problem {
    Problem::new(Kind::NotFound, "no such dead letter")
}
