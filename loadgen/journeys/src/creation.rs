//! The service makes a group for a user, who is its first member.
//!
//! A judge knows conversations by numbers from 1 without gaps, and only services choose their numbers; so it
//! is not the user's own token that makes it. Without a good answer it may have been made: the same one is
//! asked for again on the next such journey, and for the last time when everybody is gone.

use crate::call::Call;
use crate::context::Context;
use crate::user::{Own, RestUser};
use goose::goose::{GooseMethod, GooseUser};
use protocol::store_calls::Membership;
use protocol::{ConversationId, Sequence, UserId};
use serde::Deserialize;
use std::time::Duration;
use verify::history::event::{Request, What};
use workload::plan::{Journeys, PlannedConversation};
use workload::rest::RestError;
use workload::rest::bulk::NewConversations;

/// How long those of whom nobody knows whether they were made are asked for when everybody is gone.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Shown {
    members: Vec<Membership>,
}

/// Makes the next conversation of a user.
pub async fn create(user: &mut RestUser, goose: &mut GooseUser, context: &Context) {
    let Some(conversation) = user.new.front().copied() else { return };
    let members = context.plan.first_members(user.id, conversation);
    let document = serde_json::json!({ "kind": Journeys::MADE, "members": members });
    let Some(bearer) = context.service(user.gateway).await else { return };
    if !std::mem::replace(&mut user.is_creating, true) {
        asked(context, conversation, &members);
    }
    let call = Call {
        request: Request::CreateConversation,
        method: GooseMethod::Put,
        path: format!("/v1/conversations/{conversation}"),
        bearer: Some(bearer),
        body: Some(("application/json", document.to_string())),
    };
    if let Some(Shown { members }) = call.ask(user, goose, context).await {
        made(user, context, &members);
    }
}

/// Finds out about conversations of which nobody knows whether they were made, by making them.
pub async fn settle(context: &Context) -> Result<(), RestError> {
    for mine in context.users() {
        let mut user = mine.lock().await;
        let Some(id) = user.new.front().copied().filter(|_| user.is_creating) else { continue };
        let members = context.plan.first_members(user.id, id);
        let mut new = NewConversations::new();
        new.push(PlannedConversation { id, kind: Journeys::MADE, members: &members });
        for outcome in context.api.create(new, PATIENCE).await? {
            let joined = outcome.made()?.members.unwrap_or_else(|| {
                let joined = members.iter().zip(1..);
                let member = |(user, at): (&UserId, u64)| Membership {
                    user: *user,
                    joined: Sequence(at),
                    left: None,
                };
                joined.map(member).collect()
            });
            made(&mut user, context, &joined);
        }
    }
    Ok(())
}

fn asked(context: &Context, conversation: ConversationId, members: &[UserId]) {
    for user in members.iter().copied() {
        context.record(What::MemberAsked { conversation, user, add: true });
    }
}

fn made(user: &mut RestUser, context: &Context, members: &[Membership]) {
    let Some(conversation) = user.new.pop_front() else { return };
    user.is_creating = false;
    user.made.insert(conversation);
    user.conversations.push(Own { id: conversation, is_member: true });
    for Membership { user, joined: sequence, .. } in members.iter().copied() {
        context.record(What::MemberChanged { conversation, user, add: true, sequence });
    }
}
