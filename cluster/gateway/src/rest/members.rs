//! Membership: members add, everybody may leave, services with `admin` may do both for anybody.

use super::Rest;
use super::caller::{ADMIN, Caller, Role};
use super::input::Ids;
use super::problem::Problem;
use axum::extract::State;
use axum::response::Json as Answer;
use protocol::store_calls::ChangeMember;
use protocol::{ConversationId, Sequence, UserId};
use serde::Serialize;
use std::sync::Arc;

/// The `Join` or `Leave` entry that says so, an earlier one if there was nothing to change.
#[derive(Serialize)]
pub struct Changed {
    conversation: ConversationId,
    user: UserId,
    sequence: Sequence,
}

/// `PUT /v1/conversations/{id}/members/{user}`
pub async fn add(
    rest: State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<2>,
) -> Result<Answer<Changed>, Problem> {
    let role = caller.user_or_service(&[ADMIN])?;
    change(rest, role, ids, true).await
}

/// `DELETE /v1/conversations/{id}/members/{user}`
pub async fn remove(
    rest: State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<2>,
) -> Result<Answer<Changed>, Problem> {
    let role = caller.user_or_service(&[ADMIN])?;
    // Before the owner is asked, so that the answer tells nothing about the conversation.
    if role.user().is_some_and(|user| user != ids.conversation_and_user().1) {
        return Err(Problem::lacks_scope(&[ADMIN]));
    }
    change(rest, role, ids, false).await
}

async fn change(
    State(rest): State<Arc<Rest>>,
    role: Role,
    ids: Ids<2>,
    add: bool,
) -> Result<Answer<Changed>, Problem> {
    let (conversation, user) = ids.conversation_and_user();
    let request = ChangeMember { conversation, by: role.user(), user, add };
    let sequence = rest.state.conversations.change_member(request).await?;
    Ok(Answer(Changed { conversation, user, sequence }))
}
