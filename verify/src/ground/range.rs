//! Which device and conversation an event names, and whether the header has them.

use super::Ground;
use crate::history::event::{Device, What};
use protocol::{ConversationId, UserId};

/// The device and the conversation that an event is about.
pub(crate) const fn places(what: &What) -> (Option<Device>, Option<ConversationId>) {
    match what {
        What::Opened { device, .. }
        | What::Closed { device, .. }
        | What::ConnectFailed { device } => (Some(*device), None),
        What::Attached { device, conversation, .. }
        | What::Detached { device, conversation }
        | What::Sent { device, conversation, .. }
        | What::Resent { device, conversation, .. }
        | What::Accepted { device, conversation, .. }
        | What::Rejected { device, conversation, .. }
        | What::Unanswered { device, conversation, .. }
        | What::ReadBegan { device, conversation, .. }
        | What::ReadEnded { device, conversation, .. }
        | What::ReadFailed { device, conversation, .. }
        | What::ReceiptSent { device, conversation, .. }
        | What::ReceiptSeen { device, conversation, .. } => (Some(*device), Some(*conversation)),
        What::Shown { device, entry }
        | What::Received { device, entry }
        | What::Read { device, entry, .. } => (Some(*device), Some(entry.conversation)),
        What::Stored { entry } => (None, Some(entry.conversation)),
        What::MemberAsked { conversation, .. }
        | What::MemberChanged { conversation, .. }
        | What::StoredBegan { conversation }
        | What::StoredAll { conversation, .. }
        | What::StoredCursor { conversation, .. }
        | What::Pushed { conversation, .. } => (None, Some(*conversation)),
        What::Phase(_)
        | What::Revoked { .. }
        | What::Granted { .. }
        | What::Requeued { .. }
        | What::DeadLetter { .. }
        | What::InFlight { .. }
        | What::Gauge { .. }
        | What::Owner { .. }
        | What::FaultBegan { .. }
        | What::FaultEnded { .. }
        | What::NodeStarted { .. }
        | What::NodePanicked { .. }
        | What::NodeEnded { .. }
        | What::GeneratorLimited { .. }
        | What::Stopped { .. } => (None, None),
    }
}

/// The user that an event is about, beside the one of its device.
const fn user_of(what: &What) -> Option<UserId> {
    match what {
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

impl Ground {
    /// Whether the header has a user.
    pub const fn has_user(&self, user: UserId) -> bool {
        user.0 >= 1 && user.0 <= self.header.users as u64
    }

    /// What of an event is outside of the header's ranges, for people.
    pub fn out_of_range(&self, what: &What) -> Option<String> {
        let (device, conversation) = places(what);
        if let Some(device) = device
            && !(self.has_user(device.user)
                && device.device.0 >= 1
                && device.device.0 <= self.header.devices_per_user)
        {
            return Some(format!("device {}/{}", device.user, device.device));
        }
        if let Some(conversation) = conversation
            && !(conversation.0 >= 1 && conversation.0 <= u64::from(self.header.conversations))
        {
            return Some(format!("conversation {conversation}"));
        }
        user_of(what).filter(|user| !self.has_user(*user)).map(|user| format!("user {user}"))
    }
}
