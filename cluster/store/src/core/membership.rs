//! Conversations are made, members come and go. Every request can be repeated.

use super::command::Outcome;
use super::conversation::Conversation;
use super::partition::Cache;
use super::step::{Draft, Step};
use ports::conversations::Refusal;
use ports::message_store::ConversationRow;
use protocol::store_calls::{
    ChangeMember, ConversationKind, CreateConversation, CreatedConversation,
};
use protocol::{ClientMessageId, Content, ConversationId, Sequence, UserId, limits};

/// Makes a conversation: one `Join` entry for each first member, in the given order.
pub fn create(
    step: &mut Step<'_>,
    cache: &mut Cache,
    request: &CreateConversation,
) -> Result<CreatedConversation, Refusal> {
    let CreateConversation { conversation: id, kind, creator, .. } = *request;
    let members = without_repeats(&request.members);
    if let Some(found) = cache.get(step.overlay, id) {
        return created_before(found, id, kind, members);
    }
    let fits = match kind {
        ConversationKind::Direct => members.len() == 2,
        ConversationKind::Group => (1..=limits::MAX_MEMBERS).contains(&members.len()),
    };
    if !fits {
        return Err(Refusal::MembershipFixed);
    }
    let row = ConversationRow {
        kind,
        head: Sequence::START,
        first: Sequence::START.next(),
        founders: members.len() as u32,
    };
    let mut conversation = Conversation::new(row);
    let mut entries = Vec::with_capacity(members.len());
    for user in members {
        let content = Content::Join { user };
        let draft = Draft { author: creator, message: ClientMessageId(0), content };
        let entry = step.append(id, &mut conversation, draft);
        join(step, id, &mut conversation, user, entry.sequence);
        entries.push(entry);
    }
    conversation.count_members();
    for entry in entries {
        step.publish(entry, &conversation);
    }
    let info = conversation.info(id);
    cache.insert(id, conversation);
    Ok(CreatedConversation { is_new: true, info })
}

fn created_before(
    found: &Conversation,
    id: ConversationId,
    kind: ConversationKind,
    mut members: Vec<UserId>,
) -> Result<CreatedConversation, Refusal> {
    members.sort_unstable();
    if found.row.kind != kind || found.founders() != members {
        return Err(Refusal::Conflict);
    }
    Ok(CreatedConversation { is_new: false, info: found.info(id) })
}

/// Adds or removes a member.
pub fn change(
    step: &mut Step<'_>,
    conversation: Option<&mut Conversation>,
    request: ChangeMember,
) -> Outcome {
    let ChangeMember { conversation: id, by, user, add } = request;
    let Some(conversation) = conversation else {
        return Outcome::Refused(Refusal::NoSuchConversation);
    };
    if let Some(refusal) = refusal(conversation, request) {
        return Outcome::Refused(refusal);
    }
    let joined = conversation.joined(user);
    let unchanged = match (add, joined) {
        (true, Some(joined)) => Some(joined),
        (false, None) => conversation.intervals(user).last().and_then(|last| last.left),
        _ => None,
    };
    if let Some(sequence) = unchanged {
        return Outcome::Changed(sequence);
    }
    let content = if add { Content::Join { user } } else { Content::Leave { user } };
    // A service has no user id: its changes are written as the member's own.
    let draft = Draft { author: by.unwrap_or(user), message: ClientMessageId(0), content };
    let entry = step.append(id, conversation, draft);
    let sequence = entry.sequence;
    if add {
        join(step, id, conversation, user, sequence);
    } else if let Some(ended) = conversation.leave(user, sequence) {
        step.overlay.batch.members.insert((id, user, ended.joined), ended.left);
    }
    conversation.count_members();
    step.publish(entry, conversation);
    Outcome::Changed(sequence)
}

fn refusal(conversation: &Conversation, request: ChangeMember) -> Option<Refusal> {
    let ChangeMember { by, user, add, .. } = request;
    if let Some(by) = by
        && conversation.joined(by).is_none()
    {
        let never = conversation.intervals(by).is_empty();
        // To a stranger the conversation does not exist; a former member may know of it. One who
        // repeats the request to leave is answered as the first time.
        let leaves_again = by == user && !add && !never;
        return match (never, leaves_again) {
            (true, _) => Some(Refusal::NoSuchConversation),
            (false, false) => Some(Refusal::NotMember),
            (false, true) => None,
        };
    }
    if conversation.row.kind == ConversationKind::Direct {
        return Some(Refusal::MembershipFixed);
    }
    let is_new = conversation.joined(user).is_none();
    if add && is_new && conversation.members().len() >= limits::MAX_MEMBERS {
        return Some(Refusal::MembershipFixed);
    }
    (!add && conversation.intervals(user).is_empty()).then_some(Refusal::NotMember)
}

fn join(
    step: &mut Step<'_>,
    id: ConversationId,
    conversation: &mut Conversation,
    user: UserId,
    at: Sequence,
) {
    conversation.join(user, at);
    step.overlay.batch.members.insert((id, user, at), None);
}

fn without_repeats(members: &[UserId]) -> Vec<UserId> {
    let mut seen = std::collections::BTreeSet::new();
    members.iter().copied().filter(|user| seen.insert(*user)).collect()
}
