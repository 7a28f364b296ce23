//! The backlog of a conversation, in pages.

use super::Rest;
use super::caller::{AUDIT, Caller};
use super::input::{Ids, Page};
use super::problem::Problem;
use axum::extract::State;
use axum::response::Json as Answer;
use protocol::store_calls::RangeQuery;
use protocol::{Entry, Sequence};
use serde::Serialize;
use std::sync::Arc;

/// One page, oldest first.
#[derive(Serialize)]
pub struct Backlog {
    entries: Vec<Entry>,
    first: Sequence,
    head: Sequence,
    /// Ask again behind this one; absent at the end.
    next_after: Option<Sequence>,
}

/// `GET /v1/conversations/{id}/entries`
pub async fn list(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<1>,
    page: Page,
) -> Result<Answer<Backlog>, Problem> {
    // What people wrote is read with `audit` alone: `admin` is for keeping things running.
    let role = caller.user_or_service(&[AUDIT])?;
    let query = RangeQuery {
        conversation: ids.conversation(),
        user: role.user(),
        after: Sequence(page.after),
        limit: page.limit,
    };
    let range = rest.state.conversations.range(query).await?;
    // A page may be short because of its bytes, not of its number; only the head tells the end. A
    // former member never gets there: an empty page ends it too.
    let last = range.entries.last().map(|entry| entry.sequence);
    let next_after = last.filter(|last| *last < range.head);
    Ok(Answer(Backlog { entries: range.entries, first: range.first, head: range.head, next_after }))
}
