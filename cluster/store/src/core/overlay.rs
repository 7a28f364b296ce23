//! The stored rows as a batch sees them: its own uncommitted writes lie over what the engine holds.

use ports::message_store::{Cursors, DecisionRow, StoreError, StoreView, WriteBatch};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use std::sync::Arc;

/// A batch under construction over a view.
pub struct Overlay<'a> {
    /// What will be written.
    pub batch: WriteBatch,
    /// What is written.
    pub view: &'a dyn StoreView,
}

impl<'a> Overlay<'a> {
    /// An empty batch.
    pub fn new(view: &'a dyn StoreView) -> Self {
        Self { batch: WriteBatch::default(), view }
    }

    /// A de-duplication key of this batch or (unless `batch_only`) of the engine.
    pub fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
        batch_only: bool,
    ) -> Result<Option<DecisionRow>, StoreError> {
        match self.batch.decisions.get(&(partition, author, message)) {
            Some(row) => Ok(Some(*row)),
            None if batch_only => Ok(None),
            None => self.view.decision(partition, author, message),
        }
    }

    /// An entry.
    pub fn entry(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Arc<Entry>>, StoreError> {
        match self.batch.entries.get(&(conversation, sequence)) {
            Some(entry) => Ok(Some(Arc::clone(entry))),
            None => Ok(self.view.entry(conversation, sequence)?.map(Arc::new)),
        }
    }

    /// Whether a message was deleted.
    pub fn is_deleted(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError> {
        if self.batch.deletions.contains(&(conversation, sequence)) {
            return Ok(true);
        }
        self.view.is_deleted(conversation, sequence)
    }

    /// A member's cursors.
    pub fn cursor(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Cursors, StoreError> {
        match self.batch.cursors.get(&(conversation, user)) {
            Some(cursors) => Ok(*cursors),
            None => Ok(self.view.cursor(conversation, user)?.unwrap_or_default()),
        }
    }
}
