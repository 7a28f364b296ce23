//! Receipts: how far members have got.

use super::Rest;
use super::caller::{ADMIN, AUDIT, Caller};
use super::input::{Fields, Ids, Json};
use super::problem::{Kind, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json as Answer;
use protocol::store_calls::ReceiptItem;
use protocol::{ConversationId, Sequence, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The caller's cursors.
#[derive(Deserialize)]
pub struct MyReceipt {
    delivered: Sequence,
    read: Option<Sequence>,
}

impl Fields for MyReceipt {
    const FIELDS: &'static [&'static str] = &["delivered", "read"];
}

/// `PUT /v1/conversations/{id}/receipts`
///
/// Cursors only rise, so an older receipt changes nothing. Receipts are best effort: the answer says
/// that it was passed on.
pub async fn put(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<1>,
    Json(receipt): Json<MyReceipt>,
) -> Result<StatusCode, Problem> {
    let user = caller.user()?;
    let conversation = ids.conversation();
    let read = receipt.read.unwrap_or(Sequence::START);
    if read > receipt.delivered {
        return Err(Problem::new(Kind::Unprocessable, "read is at most delivered"));
    }
    let info = rest.state.conversations.info(conversation, Some(user)).await?;
    // A cursor beyond the head would claim messages that do not exist yet.
    if receipt.delivered > info.head {
        let detail = format!("delivered is at most the head, {}", info.head);
        return Err(Problem::new(Kind::Unprocessable, detail));
    }
    let item = ReceiptItem { conversation, user, delivered: receipt.delivered, read };
    rest.state.conversations.receipts(vec![item]);
    Ok(StatusCode::ACCEPTED)
}

/// The cursors of all members.
#[derive(Serialize)]
pub struct Cursors {
    conversation: ConversationId,
    receipts: Vec<Cursor>,
}

/// The cursors of one member.
#[derive(Serialize)]
pub struct Cursor {
    user: UserId,
    delivered: Sequence,
    read: Sequence,
}

impl From<ReceiptItem> for Cursor {
    fn from(ReceiptItem { user, delivered, read, .. }: ReceiptItem) -> Self {
        Self { user, delivered, read }
    }
}

/// `GET /v1/conversations/{id}/receipts`
pub async fn list(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<1>,
) -> Result<Answer<Cursors>, Problem> {
    let role = caller.user_or_service(&[ADMIN, AUDIT])?;
    let conversation = ids.conversation();
    let cursors = rest.state.conversations.cursors(conversation, role.user()).await?;
    let receipts = cursors.into_iter().map(Cursor::from).collect();
    Ok(Answer(Cursors { conversation, receipts }))
}
