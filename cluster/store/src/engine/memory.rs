//! An engine in memory: the simplest thing that keeps the port's promises, for tests.

use ports::entered;
use ports::message_store::{
    ConversationRow, Cursors, DecisionRow, Lease, MessageStore, StoreError, StoreView, WriteBatch,
};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Epoch, Partition, Sequence, UserId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Rows {
    leases: BTreeMap<Partition, Epoch>,
    batch: WriteBatch,
}

/// Everything that was ever committed, as one big batch.
#[derive(Default)]
pub struct MemoryStore(Mutex<Rows>);

impl MemoryStore {
    fn rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        entered(self.0.lock())
    }
}

impl MessageStore for MemoryStore {
    fn acquire(&self, partition: Partition, above: Epoch) -> Result<Lease, StoreError> {
        let mut rows = self.rows();
        let epoch = rows.leases.get(&partition).copied().unwrap_or_default().max(above).next();
        rows.leases.insert(partition, epoch);
        Ok(Lease { partition, epoch })
    }

    fn commit(&self, leases: &[Lease], batch: &WriteBatch) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for Lease { partition, epoch } in leases {
            let current = rows.leases.get(partition).copied().unwrap_or_default();
            if current != *epoch {
                return Err(StoreError::Fenced { partition: *partition, current });
            }
        }
        let all = &mut rows.batch;
        let new = batch.clone();
        all.conversations.extend(new.conversations);
        all.entries.extend(new.entries);
        all.deletions.extend(new.deletions);
        all.decisions.extend(new.decisions);
        all.members.extend(new.members);
        all.cursors.extend(new.cursors);
        for (conversation, first) in new.trims {
            let stays = |id: &ConversationId, at: &Sequence| *id != conversation || *at >= first;
            all.entries.retain(|(id, sequence), _| stays(id, sequence));
            all.deletions.retain(|(id, sequence)| stays(id, sequence));
        }
        Ok(())
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        Ok(Box::new(MemoryView(self.rows().batch.clone())))
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

struct MemoryView(WriteBatch);

impl StoreView for MemoryView {
    fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>, StoreError> {
        Ok(self.0.conversations.get(&(partition, conversation)).copied())
    }

    fn members(&self, conversation: ConversationId) -> Result<Vec<Membership>, StoreError> {
        let all = self.0.members.iter().filter(|((id, ..), _)| *id == conversation);
        Ok(all
            .map(|((_, user, joined), left)| Membership {
                user: *user,
                joined: *joined,
                left: *left,
            })
            .collect())
    }

    fn memberships(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Vec<Membership>, StoreError> {
        let mut all = self.members(conversation)?;
        all.retain(|membership| membership.user == user);
        Ok(all)
    }

    fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Result<Option<DecisionRow>, StoreError> {
        Ok(self.0.decisions.get(&(partition, author, message)).copied())
    }

    fn entry(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Entry>, StoreError> {
        Ok(self.0.entries.get(&(conversation, sequence)).map(|entry| Entry::clone(entry)))
    }

    fn is_deleted(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError> {
        Ok(self.0.deletions.contains(&(conversation, sequence)))
    }

    fn entries(
        &self,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let fits = |(id, sequence): &(ConversationId, Sequence)| {
            *id == conversation && *sequence > after && *sequence < before
        };
        let all = self.0.entries.iter().filter(|(key, _)| fits(key));
        Ok(all.take(limit).map(|(_, entry): (_, &Arc<Entry>)| Entry::clone(entry)).collect())
    }

    fn conversations_of(&self, user: UserId) -> Result<Vec<UserConversation>, StoreError> {
        let all = self.0.members.iter().filter(|((_, of, _), left)| *of == user && left.is_none());
        Ok(all
            .map(|((conversation, _, joined), _)| UserConversation {
                user,
                conversation: *conversation,
                joined: *joined,
            })
            .collect())
    }

    fn cursor(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Option<Cursors>, StoreError> {
        Ok(self.0.cursors.get(&(conversation, user)).copied())
    }

    fn cursors(&self, conversation: ConversationId) -> Result<Vec<ReceiptItem>, StoreError> {
        let all = self.0.cursors.iter().filter(|((id, _), _)| *id == conversation);
        Ok(all
            .map(|((_, user), cursors)| ReceiptItem {
                conversation,
                user: *user,
                delivered: cursors.delivered,
                read: cursors.read,
            })
            .collect())
    }

    fn count(&self, partition: Partition) -> Result<u64, StoreError> {
        Ok(self.0.conversations.keys().filter(|(of, _)| *of == partition).count() as u64)
    }
}
