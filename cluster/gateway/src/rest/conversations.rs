//! Conversations: made, listed, shown.

use super::Rest;
use super::caller::{ADMIN, AUDIT, Caller, Role};
use super::input::{Fields, Ids, Json, Page};
use super::problem::{Kind, Problem};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json as Answer, Response};
use ports::conversations::{CallError, Refusal};
use protocol::ids::MAX_CLIENT_CHOSEN_ID;
use protocol::store_calls::{ConversationInfo, ConversationKind, CreateConversation, Membership};
use protocol::{ConversationId, Sequence, UserId, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a new conversation is to be.
#[derive(Deserialize)]
pub struct NewConversation {
    pub kind: String,
    pub members: Vec<UserId>,
    pub creator: Option<UserId>,
}

impl Fields for NewConversation {
    const FIELDS: &'static [&'static str] = &["kind", "members", "creator"];
}

/// A conversation, as it is shown.
#[derive(Serialize)]
struct Shown {
    id: ConversationId,
    kind: ConversationKind,
    head: Sequence,
    first: Sequence,
    members: Vec<Membership>,
}

impl From<ConversationInfo> for Shown {
    fn from(info: ConversationInfo) -> Self {
        let ConversationInfo { conversation, kind, head, first, members } = info;
        Self { id: conversation, kind, head, first, members }
    }
}

/// `POST /v1/conversations`
pub async fn create(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Json(new): Json<NewConversation>,
) -> Result<Response, Problem> {
    let role = caller.user_or_service(&[ADMIN])?;
    let mut request = new.request(ConversationId(0), role)?;
    // Ids are random over 53 bits; a second draw makes even a busy cluster safe from a collision.
    for _ in 0..2 {
        let id = rest.state.machine.entropy.below(MAX_CLIENT_CHOSEN_ID) + 1;
        request.conversation = ConversationId(id);
        match create_one(&rest, request.clone()).await {
            Err(CallError::Refused(Refusal::Conflict)) => {}
            Err(error) => return Err(error.into()),
            Ok(info) => {
                let place = [(header::LOCATION, format!("/v1/conversations/{id}"))];
                return Ok((StatusCode::CREATED, place, Answer(Shown::from(info))).into_response());
            }
        }
    }
    Err(Problem::new(Kind::Unavailable, "no free id was found"))
}

/// `PUT /v1/conversations/{id}`
pub async fn create_with_id(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<1>,
    Json(new): Json<NewConversation>,
) -> Result<Response, Problem> {
    caller.service(&[ADMIN])?;
    let request = new.request(ids.conversation(), Role::Service)?;
    let info = create_one(&rest, request).await?;
    Ok(Answer(Shown::from(info)).into_response())
}

async fn create_one(
    rest: &Rest,
    request: CreateConversation,
) -> Result<ConversationInfo, CallError> {
    let mut created = rest.state.conversations.create(vec![request]).await;
    Ok(created.pop().unwrap_or(Err(CallError::Unknown))?.info)
}

impl NewConversation {
    /// The request to the owner, if it can be granted at all.
    pub fn request(
        self,
        conversation: ConversationId,
        role: Role,
    ) -> Result<CreateConversation, Problem> {
        let wrong = |detail: String| Problem::new(Kind::Unprocessable, detail);
        let kind = match self.kind.as_str() {
            "direct" => ConversationKind::Direct,
            "group" => ConversationKind::Group,
            other => {
                return Err(
                    wrong("kind is direct or group".into()).nearest(other, ["direct", "group"])
                );
            }
        };
        let mut members = self.members;
        let creator = match (role, self.creator) {
            (Role::User(user), None) => user,
            (Role::User(user), Some(creator)) if creator == user => user,
            (Role::User(_), Some(_)) => return Err(Problem::lacks_scope(&[ADMIN])),
            (Role::Service, creator) => creator
                .or_else(|| members.first().copied())
                .ok_or_else(|| wrong("members is empty".into()))?,
        };
        // Who makes a conversation is in it: otherwise nobody could invite anybody.
        if !members.contains(&creator) {
            members.insert(0, creator);
        }
        let valid = |user: &UserId| (1..=MAX_CLIENT_CHOSEN_ID).contains(&user.0);
        if !members.iter().all(valid) {
            return Err(wrong(format!("members are numbers from 1 to {MAX_CLIENT_CHOSEN_ID}")));
        }
        if members.iter().collect::<BTreeSet<_>>().len() != members.len() {
            return Err(wrong("a member is named twice".into()));
        }
        if kind == ConversationKind::Direct && members.len() != 2 {
            return Err(wrong(
                "a direct conversation has two members, its creator included".into(),
            ));
        }
        if members.len() > limits::MAX_MEMBERS {
            return Err(wrong(format!("at most {} members", limits::MAX_MEMBERS)));
        }
        Ok(CreateConversation { conversation, kind, creator, members })
    }
}

#[derive(Serialize)]
struct Mine {
    conversations: Vec<MyConversation>,
    next_after: Option<ConversationId>,
}

#[derive(Serialize)]
struct MyConversation {
    id: ConversationId,
    joined: Sequence,
}

/// `GET /v1/conversations`
pub async fn list(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    page: Page,
) -> Result<Response, Problem> {
    let user = match (caller.user_or_service(&[ADMIN, AUDIT])?, page.user) {
        (Role::User(user), asked) if asked.is_none_or(|asked| asked == user) => user,
        (Role::User(_), _) => return Err(Problem::lacks_scope(&[AUDIT])),
        (Role::Service, Some(asked)) => asked,
        (Role::Service, None) => {
            return Err(Problem::new(Kind::Malformed, "a service says whose: user=N"));
        }
    };
    let mut mine = rest.state.conversations.of_users(vec![user]).await?;
    mine.retain(|one| one.conversation.0 > page.after);
    mine.sort_by_key(|one| one.conversation);
    let more = mine.len() > page.limit as usize;
    mine.truncate(page.limit as usize);
    let next_after = mine.last().map(|one| one.conversation).filter(|_| more);
    let conversations = mine
        .into_iter()
        .map(|one| MyConversation { id: one.conversation, joined: one.joined })
        .collect();
    Ok(Answer(Mine { conversations, next_after }).into_response())
}

/// `GET /v1/conversations/{id}`
pub async fn show(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    ids: Ids<1>,
) -> Result<Response, Problem> {
    let role = caller.user_or_service(&[ADMIN, AUDIT])?;
    let info = rest.state.conversations.info(ids.conversation(), role.user()).await?;
    Ok(Answer(Shown::from(info)).into_response())
}
