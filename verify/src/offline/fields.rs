//! The device, conversation and user that an event names, and whether the header has them.

use crate::history::event::{Device, Header, What};
use protocol::{ConversationId, UserId};

/// The device of an event.
pub(super) const fn device_of(is: &What) -> Option<Device> {
    match is {
        What::Opened { device, .. }
        | What::Closed { device, .. }
        | What::ConnectFailed { device }
        | What::Back { device }
        | What::Attached { device, .. }
        | What::Detached { device, .. }
        | What::Sent { device, .. }
        | What::Resent { device, .. }
        | What::Accepted { device, .. }
        | What::Rejected { device, .. }
        | What::Unanswered { device, .. }
        | What::Shown { device, .. }
        | What::Received { device, .. }
        | What::ReadBegan { device, .. }
        | What::Read { device, .. }
        | What::ReadEnded { device, .. }
        | What::ReadFailed { device, .. }
        | What::ReceiptSent { device, .. }
        | What::ReceiptSeen { device, .. } => Some(*device),
        _ => None,
    }
}

/// The conversation of an event.
pub(super) const fn conversation_of(is: &What) -> Option<ConversationId> {
    match is {
        What::Shown { entry, .. }
        | What::Received { entry, .. }
        | What::Read { entry, .. }
        | What::Stored { entry } => Some(entry.conversation),
        What::Attached { conversation, .. }
        | What::Detached { conversation, .. }
        | What::Sent { conversation, .. }
        | What::Resent { conversation, .. }
        | What::Accepted { conversation, .. }
        | What::Rejected { conversation, .. }
        | What::Unanswered { conversation, .. }
        | What::ReadBegan { conversation, .. }
        | What::ReadEnded { conversation, .. }
        | What::ReadFailed { conversation, .. }
        | What::ReceiptSent { conversation, .. }
        | What::ReceiptSeen { conversation, .. }
        | What::MemberAsked { conversation, .. }
        | What::MemberChanged { conversation, .. }
        | What::StoredBegan { conversation }
        | What::StoredAll { conversation, .. }
        | What::StoredCursor { conversation, .. }
        | What::StoredCursorsAll { conversation }
        | What::Pushed { conversation, .. } => Some(*conversation),
        _ => None,
    }
}

/// The user whom an event is about, beside the one of its device.
const fn user_of(is: &What) -> Option<UserId> {
    match is {
        What::ReceiptSeen { user, .. }
        | What::MemberAsked { user, .. }
        | What::MemberChanged { user, .. }
        | What::Revoked { user }
        | What::Granted { user }
        | What::StoredCursor { user, .. }
        | What::Pushed { user, .. } => Some(*user),
        _ => None,
    }
}

/// Where an entry of an event is in its log.
const fn place_of(is: &What) -> Option<u64> {
    match is {
        What::Accepted { sequence, .. } | What::MemberChanged { sequence, .. } => Some(sequence.0),
        What::Shown { entry, .. }
        | What::Received { entry, .. }
        | What::Read { entry, .. }
        | What::Stored { entry } => Some(entry.sequence.0),
        _ => None,
    }
}

/// Whether the header has everything that an event names, and logs can have it: they begin at 1.
pub(super) fn is_in_range(header: &Header, is: &What) -> bool {
    let has_user = |user: UserId| (1..=u64::from(header.users)).contains(&user.0);
    let has_device = |device: Device| {
        has_user(device.user) && (1..=header.devices_per_user).contains(&device.device.0)
    };
    let has = |c: ConversationId| (1..=u64::from(header.conversations)).contains(&c.0);
    device_of(is).is_none_or(has_device)
        && conversation_of(is).is_none_or(has)
        && user_of(is).is_none_or(has_user)
        && place_of(is) != Some(0)
}
