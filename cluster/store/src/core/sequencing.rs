//! Sends, edits and deletions: recognised, validated, sequenced, answered.
//!
//! A deleted message never comes back: to an edit or a second deletion it does not exist. It may
//! still be replied to, because whoever replies need not have seen the deletion.
//!
//! The duplicate lookup comes before every validation, also of what cannot be processed at all: a
//! message that was accepted stays accepted, also for a resend by somebody who has left meanwhile.
//! Likewise a refused message stays refused, even if a copy of it comes behind the sender's admission:
//! the sender was told, and has moved on.

use super::command::{Effect, Outcome};
use super::conversation::Conversation;
use super::step::{Draft, Step};
use ports::message_store::{DecisionRow, Keys};
use protocol::design::{Deletion, Poison, Refusal};
use protocol::frames::client::plain_text;
use protocol::frames::server::{Accepted, Rejected};
use protocol::ids::MAX_CLIENT_CHOSEN_ID;
use protocol::records::{Action, Inbound};
use protocol::{Content, ConversationId, Entry, RejectReason, Sequence, UserId, limits};
use std::sync::Arc;

/// The rows that an action may need, besides its conversation.
pub fn keys(inbound: &Inbound, keys: &mut Keys) {
    keys.decisions.insert((inbound.author, inbound.client_message_id));
    let target = match inbound.action {
        Action::Send { reply_to, .. } => reply_to,
        Action::Edit { target, .. } | Action::Delete { target } => Some(target),
    };
    keys.entries.extend(target.map(|target| (inbound.conversation, target)));
}

/// Sequences an inbound action, or says why not.
pub fn apply(
    step: &mut Step<'_>,
    conversation: Option<&mut Conversation>,
    inbound: Inbound,
    replay: bool,
) -> Outcome {
    // Gateways pass every format on; this version knows plain text.
    let unknown = match inbound.action {
        Action::Send { format, .. } if format != plain_text() => Some(format),
        _ => None,
    };
    if unknown.is_some() && step.choices.poison == Poison::Drop {
        return Outcome::Done;
    }
    let known = step.overlay.decision(inbound.author, inbound.client_message_id);
    let refused = match known {
        Some(row) => again(step, conversation.as_deref(), &inbound, row, replay).err(),
        None => first(step, conversation, inbound, unknown.is_some()).err(),
    };
    match (unknown, refused) {
        (Some(format), Some(RejectReason::DeadLettered)) => {
            Outcome::DeadLettered(format!("unknown format {format}"))
        }
        _ => Outcome::Done,
    }
}

/// Decides about a message that was never seen before.
fn first(
    step: &mut Step<'_>,
    conversation: Option<&mut Conversation>,
    inbound: Inbound,
    is_unknown: bool,
) -> Result<(), RejectReason> {
    let verdict = match &conversation {
        _ if is_unknown => Err(RejectReason::DeadLettered),
        Some(conversation) => check(step, conversation, &inbound),
        None if !is_id(&inbound) => Err(RejectReason::BadMessageId),
        None => Err(RejectReason::NotMember),
    };
    match (verdict, conversation) {
        (Ok(()), Some(conversation)) => accept(step, conversation, inbound),
        (Err(reason), _) => refuse(step, &inbound, reason),
        (Ok(()), None) => unreachable!("a missing conversation is never fine"),
    }
    verdict
}

/// The same answer as the first time. The entry itself is published again only if the first time
/// may have ended before its publication: when the delivery is a repeated one, or when the entry is
/// from an earlier epoch, whose owner may have died.
fn again(
    step: &mut Step<'_>,
    conversation: Option<&Conversation>,
    inbound: &Inbound,
    row: DecisionRow,
    replay: bool,
) -> Result<(), RejectReason> {
    // An id that was used elsewhere: ids are never used twice by the same user.
    let is_elsewhere = row.conversation != inbound.conversation;
    let decision = if is_elsewhere { Err(RejectReason::BadMessageId) } else { row.decision };
    let sequence = decision.inspect_err(|reason| reject(step, inbound, *reason))?;
    if let Some(conversation) = conversation
        && (replay || row.epoch != step.owned.epoch)
    {
        step.publish_again(row.conversation, sequence, conversation);
    }
    let accepted = Accepted {
        client_message_id: inbound.client_message_id,
        conversation: row.conversation,
        sequence,
        epoch: row.epoch,
        owner: row.owner,
    };
    step.effects.push(Effect::Accepted(inbound.from, accepted));
    Ok(())
}

fn check(
    step: &Step<'_>,
    conversation: &Conversation,
    inbound: &Inbound,
) -> Result<(), RejectReason> {
    let author = inbound.author;
    if !is_id(inbound) {
        return Err(RejectReason::BadMessageId);
    }
    if conversation.joined(author).is_none() {
        return Err(RejectReason::NotMember);
    }
    let fits = |body: &str| (1..=limits::MAX_BODY_BYTES).contains(&body.len());
    match &inbound.action {
        Action::Send { body, .. } | Action::Edit { body, .. } if !fits(body) => {
            Err(RejectReason::BodySize)
        }
        Action::Send { reply_to: None, .. } => Ok(()),
        Action::Send { reply_to: Some(target), .. } => {
            message(step, conversation, inbound.conversation, *target).map(|_| ())
        }
        Action::Edit { target, .. } | Action::Delete { target } => {
            own(&*message(step, conversation, inbound.conversation, *target)?, author)?;
            // Last: a stranger learns nothing more.
            let is_final = step.choices.deletion == Deletion::Final;
            if is_final && step.overlay.is_deleted(inbound.conversation, *target) {
                return Err(RejectReason::NoSuchMessage);
            }
            Ok(())
        }
    }
}

/// The message of a sequence, if it is stored and a message.
fn message(
    step: &Step<'_>,
    conversation: &Conversation,
    id: ConversationId,
    target: Sequence,
) -> Result<Arc<Entry>, RejectReason> {
    if target < conversation.row.first || target > conversation.row.head {
        return Err(RejectReason::NoSuchMessage);
    }
    let entry = step.overlay.entry(id, target);
    let is_message = |entry: &Arc<Entry>| matches!(entry.content, Content::Message { .. });
    entry.filter(is_message).ok_or(RejectReason::NoSuchMessage)
}

fn own(message: &Entry, author: UserId) -> Result<(), RejectReason> {
    if message.author == author { Ok(()) } else { Err(RejectReason::NotAuthor) }
}

fn is_id(inbound: &Inbound) -> bool {
    (1..=MAX_CLIENT_CHOSEN_ID).contains(&inbound.client_message_id.0)
}

fn accept(step: &mut Step<'_>, conversation: &mut Conversation, inbound: Inbound) {
    let Inbound { from, author, conversation: id, client_message_id, action } = inbound;
    let content = match action {
        Action::Send { body, reply_to, format: _ } => Content::Message { body, reply_to },
        Action::Edit { target, body } => Content::Edit { target, body },
        Action::Delete { target } => {
            step.overlay.batch.deletions.insert((id, target));
            Content::Delete { target }
        }
    };
    let entry =
        step.append(id, conversation, Draft { author, message: client_message_id, content });
    let row = DecisionRow {
        conversation: id,
        decision: Ok(entry.sequence),
        epoch: entry.epoch,
        owner: entry.owner,
    };
    step.overlay.batch.decisions.insert((author, client_message_id), row);
    let accepted = Accepted {
        client_message_id,
        conversation: id,
        sequence: entry.sequence,
        epoch: entry.epoch,
        owner: entry.owner,
    };
    step.publish(entry, conversation);
    step.effects.push(Effect::Accepted(from, accepted));
}

/// Refuses for good, and keeps the decision, unless the id cannot name one.
fn refuse(step: &mut Step<'_>, inbound: &Inbound, reason: RejectReason) {
    if is_id(inbound) && step.choices.refusal == Refusal::Decided {
        let row = DecisionRow {
            conversation: inbound.conversation,
            decision: Err(reason),
            epoch: step.owned.epoch,
            owner: step.owned.owner,
        };
        let key = (inbound.author, inbound.client_message_id);
        step.overlay.batch.decisions.insert(key, row);
    }
    reject(step, inbound, reason);
}

fn reject(step: &mut Step<'_>, inbound: &Inbound, reason: RejectReason) {
    let rejected = Rejected {
        client_message_id: inbound.client_message_id,
        conversation: inbound.conversation,
        reason,
        retry_after_ms: 0,
    };
    step.effects.push(Effect::Rejected(inbound.from, rejected));
}
