//! Whether there can be what an event names: the header must have it, and sequences begin at 1.

use super::State;
use crate::history::event::What;
use crate::history::subject::Subject;
use protocol::{Sequence, UserId};

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

/// The place of an entry that an event is about.
const fn place_of(what: &What) -> Option<Sequence> {
    match what {
        What::Accepted { sequence, .. } | What::MemberChanged { sequence, .. } => Some(*sequence),
        What::Shown { entry, .. }
        | What::Received { entry, .. }
        | What::Read { entry, .. }
        | What::Stored { entry } => Some(entry.sequence),
        _ => None,
    }
}

impl State {
    /// Whether the header has a user.
    pub const fn has_user(&self, user: UserId) -> bool {
        user.0 >= 1 && user.0 <= self.header.users as u64
    }

    /// What of an event there cannot be, and why, for people.
    pub fn out_of_range(&self, what: &What, (device, conversation): Subject) -> Option<String> {
        if let Some(device) = device
            && !(self.has_user(device.user)
                && device.device.0 >= 1
                && device.device.0 <= self.header.devices_per_user)
        {
            return Some(missing(format_args!("device {}/{}", device.user, device.device)));
        }
        if let Some(conversation) = conversation
            && !(conversation.0 >= 1 && conversation.0 <= u64::from(self.header.conversations))
        {
            return Some(missing(format_args!("conversation {conversation}")));
        }
        if let Some(user) = user_of(what).filter(|user| !self.has_user(*user)) {
            return Some(missing(format_args!("user {user}")));
        }
        let is_nowhere = place_of(what) == Some(Sequence::START);
        is_nowhere.then(|| "sequence 0, and the first one is 1".to_owned())
    }
}

fn missing(what: std::fmt::Arguments<'_>) -> String {
    format!("{what}, which the header does not have")
}
