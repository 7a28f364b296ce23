//! The stored rows as a group of commands sees them: its own uncommitted writes lie over what was
//! fetched for it. Reads nothing: whatever a command may need stands among the keys that it named.

use ports::message_store::{Batch, Cursors, DecisionRow, Keys, Rows};
use protocol::{ClientMessageId, ConversationId, Entry, Sequence, UserId};
use std::sync::Arc;

/// A batch under construction over fetched rows.
#[derive(Debug, Default)]
pub struct Overlay {
    /// What will be written.
    pub batch: Batch,
    rows: Rows,
    keys: Keys,
}

impl Overlay {
    /// An empty batch over the rows of these keys.
    pub fn new(keys: Keys, rows: Rows) -> Self {
        Self { batch: Batch::default(), rows, keys }
    }

    /// What was fetched.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Whether a conversation was asked for.
    pub fn has_asked_for(&self, conversation: ConversationId) -> bool {
        self.keys.conversations.contains(&conversation)
    }

    /// What was decided about a message before.
    pub fn decision(&self, author: UserId, message: ClientMessageId) -> Option<DecisionRow> {
        let key = (author, message);
        debug_assert!(self.keys.decisions.contains(&key), "{key:?} was not asked for");
        self.batch.decisions.get(&key).or_else(|| self.rows.decisions.get(&key)).copied()
    }

    /// An entry.
    pub fn entry(&self, conversation: ConversationId, sequence: Sequence) -> Option<Arc<Entry>> {
        let key = (conversation, sequence);
        let fetched = || self.rows.entries.get(&key);
        self.batch.entries.get(&key).or_else(fetched).cloned()
    }

    /// Whether a message was deleted.
    pub fn is_deleted(&self, conversation: ConversationId, sequence: Sequence) -> bool {
        let key = (conversation, sequence);
        debug_assert!(self.keys.entries.contains(&key), "{key:?} was not asked for");
        self.batch.deletions.contains(&key) || self.rows.deletions.contains(&key)
    }

    /// A member's cursors.
    pub fn cursor(&self, conversation: ConversationId, user: UserId) -> Cursors {
        let key = (conversation, user);
        debug_assert!(self.keys.cursors.contains(&key), "{key:?} was not asked for");
        let fetched = || self.rows.cursors.get(&key);
        self.batch.cursors.get(&key).or_else(fetched).copied().unwrap_or_default()
    }
}
