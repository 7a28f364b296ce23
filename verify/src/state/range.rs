//! Whether the header has what an event names.

use super::State;
use crate::history::event::What;
use crate::history::subject::Subject;
use protocol::UserId;

/// The user that an event is about, beside the one of its device.
const fn user_of(what: &What) -> Option<UserId> {
    match what {
        What::ReceiptSeen { user, .. }
        | What::MemberAsked { user, .. }
        | What::MemberChanged { user, .. }
        | What::Requested { user, .. }
        | What::Revoked { user }
        | What::Granted { user }
        | What::StoredCursor { user, .. }
        | What::Pushed { user, .. } => Some(*user),
        _ => None,
    }
}

impl State {
    /// Whether the header has a user.
    pub const fn has_user(&self, user: UserId) -> bool {
        user.0 >= 1 && user.0 <= self.header.users as u64
    }

    /// What of an event is outside of the header's ranges, for people.
    pub fn out_of_range(&self, what: &What, (device, conversation): Subject) -> Option<String> {
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
