//! The design choices that streams follow.

use protocol::design::{Delivery, Design, Membership};
use protocol::{Content, Entry, UserId};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// When entries are handed out.
    pub delivery: Delivery,
    membership: Membership,
}

impl From<Design> for Rules {
    fn from(Design { delivery, membership, .. }: Design) -> Self {
        Self { delivery, membership }
    }
}

impl Rules {
    /// Whose stream ends with this entry.
    pub fn leaver(self, entry: &Entry) -> Option<UserId> {
        match entry.content {
            Content::Leave { user } if self.membership == Membership::Followed => Some(user),
            _ => None,
        }
    }
}
