//! Who went a short while ago, and what had arrived: said again to an owner that was away.
//!
//! The owners hear what has certainly arrived, so that the rest can be pushed. Nobody answers that
//! they have heard it.

use protocol::store_calls::DetachItem;
use protocol::{ConversationId, Sequence, UserId};
use std::collections::BTreeMap;

/// How long a departure may have to be said again, milliseconds: longer than an owner that crashed or
/// was cut off takes to be noticed and to come back.
const KEPT_MS: u64 = 60_000;

/// When each went, and what had arrived.
#[derive(Debug)]
pub struct Departed {
    kept: BTreeMap<(UserId, ConversationId), (u64, Sequence)>,
    most: usize,
}

impl Departed {
    /// Nobody went; so many are kept.
    pub const fn new(most: usize) -> Self {
        Self { kept: BTreeMap::new(), most }
    }

    /// A user went.
    pub fn keep(&mut self, now_ms: u64, item: &DetachItem) {
        let key = (item.user, item.conversation);
        match item.arrived {
            Some(arrived) if self.kept.len() < self.most || self.kept.contains_key(&key) => {
                self.kept.insert(key, (now_ms, arrived));
            }
            Some(_) | None => {}
        }
    }

    /// What had arrived when a user went.
    pub fn arrived(&self, user: UserId, conversation: ConversationId) -> Option<Sequence> {
        self.kept.get(&(user, conversation)).map(|(_, arrived)| *arrived)
    }

    /// A user has a session in a conversation again.
    pub fn back(&mut self, user: UserId, conversation: ConversationId) {
        self.kept.remove(&(user, conversation));
    }

    /// Forgets what is old.
    pub fn sweep(&mut self, now_ms: u64) {
        self.kept.retain(|_, (since, _)| now_ms < *since + KEPT_MS);
    }

    /// All that may have to be said again.
    pub fn all(&self) -> Vec<DetachItem> {
        let item = |(key, kept): (&(UserId, ConversationId), &(u64, Sequence))| DetachItem {
            user: key.0,
            conversation: key.1,
            arrived: Some(kept.1),
        };
        self.kept.iter().map(item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn departures_are_kept_for_a_while_and_no_more_than_so_many() {
        let item = |user, arrived| DetachItem {
            conversation: ConversationId(1),
            user: UserId(user),
            arrived: Some(Sequence(arrived)),
        };
        let mut departed = Departed::new(2);
        departed.keep(0, &item(1, 4));
        departed.keep(10, &item(2, 5));
        departed.keep(20, &item(3, 6));
        departed.keep(20, &item(1, 7));
        assert_eq!(departed.all(), [item(1, 7), item(2, 5)], "one too many; a later word counts");
        departed.sweep(10 + KEPT_MS);
        assert_eq!(departed.all(), [item(1, 7)]);
        departed.back(UserId(1), ConversationId(1));
        assert_eq!(departed.all(), []);
    }
}
