//! A user leaves one of its conversations, by itself, or is added to it again, by the service.
//!
//! A change without a good answer may have been done: it is asked for again on the next such journey, and
//! the judge is told of one request that may have been done more often than once.

use crate::call::Call;
use crate::context::Context;
use crate::user::RestUser;
use goose::goose::{GooseMethod, GooseUser};
use verify::history::event::{Request, What};
use workload::rest::api::{Changed, member};

/// Changes the user's membership in one of its conversations.
pub async fn change(user: &mut RestUser, goose: &mut GooseUser, context: &Context) {
    if user.conversations.is_empty() {
        return;
    }
    let chosen = (user.pick % user.conversations.len() as u64) as usize;
    let at = user.changing.unwrap_or(chosen);
    let (id, add) = (user.id, !user.conversations[at].is_member);
    let conversation = user.conversations[at].id;
    let (request, method, bearer) = if add {
        (Request::AddMember, GooseMethod::Put, context.service(user.gateway).await)
    } else {
        (Request::RemoveMember, GooseMethod::Delete, user.bearer())
    };
    if bearer.is_none() {
        return;
    }
    if user.changing.replace(at).is_none() {
        context.record(What::MemberAsked { conversation, user: id, add });
    }
    let path = member(conversation, id);
    let call = Call { request, method, path, bearer, body: None };
    let Some(Changed { sequence }) = call.ask(user, goose, context).await else { return };
    context.record(What::MemberChanged { conversation, user: id, add, sequence });
    user.conversations[at].is_member = add;
    user.changing = None;
}
