//! What single events say, for the brute-force judge.

use super::facts::Send;
use crate::history::event::{Device, Header, Said, Seen, What};
use protocol::{ConversationId, RejectReason, UserId};

/// The same author, id and content.
pub(super) fn is_same(entry: &Seen, other: &Seen) -> bool {
    (entry.author, entry.message, entry.said) == (other.author, other.message, other.said)
}

/// Whether an entry is what a send became.
pub(super) fn is_of(entry: &Seen, send: &Send) -> bool {
    entry.author == send.device.user && entry.message.0 == send.id && entry.said == send.said
}

pub(super) const fn is_sent(entry: &Seen) -> bool {
    matches!(entry.said, Said::Message { .. } | Said::Edit { .. } | Said::Delete { .. })
}

/// Whether an event refuses a send for good.
pub(super) fn is_final(is: &What) -> bool {
    matches!(is, What::Rejected { reason, .. }
        if !matches!(reason, RejectReason::RateLimited | RejectReason::Unavailable))
}

/// Whether an event says something about a send of an author.
pub(super) fn names(is: &What, author: UserId, id: u64) -> bool {
    match is {
        What::Resent { device, message, .. }
        | What::Accepted { device, message, .. }
        | What::Rejected { device, message, .. } => device.user == author && message.0 == id,
        What::Requeued { author: a, message } => *a == author && message.0 == id,
        What::DeadLetter { author: Some(a), message: Some(message), .. } => {
            *a == author && message.0 == id
        }
        _ => false,
    }
}

pub(super) const fn is_progress(is: &What) -> bool {
    matches!(
        is,
        What::Opened { .. }
            | What::Closed { .. }
            | What::ConnectFailed { .. }
            | What::Attached { .. }
            | What::Detached { .. }
            | What::Shown { .. }
            | What::Accepted { .. }
            | What::Rejected { .. }
            | What::ReadEnded { .. }
    )
}

/// The device of an event.
pub(super) const fn device_of(is: &What) -> Option<Device> {
    match is {
        What::Opened { device, .. }
        | What::Closed { device, .. }
        | What::ConnectFailed { device }
        | What::Attached { device, .. }
        | What::Detached { device, .. }
        | What::Sent { device, .. }
        | What::Resent { device, .. }
        | What::Accepted { device, .. }
        | What::Rejected { device, .. }
        | What::Unanswered { device, .. }
        | What::Shown { device, .. }
        | What::ReadBegan { device, .. }
        | What::Read { device, .. }
        | What::ReadEnded { device, .. }
        | What::ReceiptSent { device, .. }
        | What::ReceiptSeen { device, .. } => Some(*device),
        _ => None,
    }
}

fn conversation_of(is: &What) -> Option<ConversationId> {
    match is {
        What::Shown { entry, .. } | What::Read { entry, .. } | What::Stored { entry } => {
            Some(entry.conversation)
        }
        What::Attached { conversation, .. }
        | What::Detached { conversation, .. }
        | What::Sent { conversation, .. }
        | What::Resent { conversation, .. }
        | What::Accepted { conversation, .. }
        | What::Rejected { conversation, .. }
        | What::Unanswered { conversation, .. }
        | What::ReadBegan { conversation, .. }
        | What::ReadEnded { conversation, .. }
        | What::ReceiptSent { conversation, .. }
        | What::ReceiptSeen { conversation, .. }
        | What::MemberAsked { conversation, .. }
        | What::MemberChanged { conversation, .. }
        | What::StoredAll { conversation, .. }
        | What::StoredCursor { conversation, .. }
        | What::Pushed { conversation, .. } => Some(*conversation),
        _ => None,
    }
}

pub(super) fn is_in_range(header: &Header, is: &What) -> bool {
    let user = |user: UserId| (1..=u64::from(header.users)).contains(&user.0);
    let other = match is {
        What::ReceiptSeen { user, .. }
        | What::MemberAsked { user, .. }
        | What::MemberChanged { user, .. }
        | What::Revoked { user }
        | What::Granted { user }
        | What::StoredCursor { user, .. }
        | What::Pushed { user, .. } => Some(*user),
        _ => None,
    };
    device_of(is)
        .is_none_or(|d| user(d.user) && (1..=header.devices_per_user).contains(&d.device.0))
        && conversation_of(is).is_none_or(|c| (1..=u64::from(header.conversations)).contains(&c.0))
        && other.is_none_or(user)
}
