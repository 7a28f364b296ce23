//! What the tree held at one instant.

use super::tables::{
    self, CONVERSATIONS, CURSORS, DECISIONS, DELETIONS, DecisionKey, DecisionValue, ENTRIES,
    MEMBERS, MEMBERSHIPS,
};
use super::tree::Tree;
use ports::message_store::{ConversationRow, Cursors, DecisionRow, StoreError};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableTable};
use std::collections::BTreeSet;
use std::sync::RwLockReadGuard;

/// A read transaction and its tables.
pub struct TreeView<'a> {
    store: &'a Tree,
    conversations: ReadOnlyTable<(u16, u64), (u8, u64, u64, u32)>,
    entries: ReadOnlyTable<(u64, u64), &'static [u8]>,
    deletions: ReadOnlyTable<(u64, u64), ()>,
    decisions: ReadOnlyTable<DecisionKey, DecisionValue>,
    members: ReadOnlyTable<(u64, u64, u64), u64>,
    memberships: ReadOnlyTable<(u64, u64), u64>,
    cursors: ReadOnlyTable<(u64, u64), (u64, u64)>,
    /// Last, so that the tables are gone before the database may be opened anew.
    _open: RwLockReadGuard<'a, Option<Database>>,
}

impl<'a> TreeView<'a> {
    pub(super) fn open(
        store: &'a Tree,
        open: RwLockReadGuard<'a, Option<Database>>,
        transaction: &ReadTransaction,
    ) -> Result<Self, redb::TableError> {
        Ok(Self {
            store,
            conversations: transaction.open_table(CONVERSATIONS)?,
            entries: transaction.open_table(ENTRIES)?,
            deletions: transaction.open_table(DELETIONS)?,
            decisions: transaction.open_table(DECISIONS)?,
            members: transaction.open_table(MEMBERS)?,
            memberships: transaction.open_table(MEMBERSHIPS)?,
            cursors: transaction.open_table(CURSORS)?,
            _open: open,
        })
    }

    fn intervals(
        &self,
        conversation: ConversationId,
        first: u64,
        last: u64,
    ) -> Result<Vec<Membership>, StoreError> {
        let all = (conversation.0, first, 0)..=(conversation.0, last, u64::MAX);
        let mut members = Vec::new();
        for row in self.members.range(all).map_err(self.failed())? {
            let (key, left) = row.map_err(self.failed())?;
            let (_, user, joined) = key.value();
            let left = tables::left_row(left.value());
            members.push(Membership { user: UserId(user), joined: Sequence(joined), left });
        }
        Ok(members)
    }

    fn failed(&self) -> impl Fn(redb::StorageError) -> StoreError + '_ {
        |error| self.store.failed(error)
    }
}

/// As `StoreView` has them. The partition matters only where it is part of a key.
impl TreeView<'_> {
    pub fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>, StoreError> {
        let row = self.conversations.get((partition.0, conversation.0)).map_err(self.failed())?;
        Ok(row.map(|row| tables::conversation_row(row.value())))
    }

    pub fn conversations(
        &self,
        partition: Partition,
        from: ConversationId,
        limit: usize,
    ) -> Result<Vec<(ConversationId, ConversationRow)>, StoreError> {
        let all = (partition.0, from.0)..=(partition.0, u64::MAX);
        let mut found = Vec::new();
        for row in self.conversations.range(all).map_err(self.failed())?.take(limit) {
            let (key, row) = row.map_err(self.failed())?;
            found.push((ConversationId(key.value().1), tables::conversation_row(row.value())));
        }
        Ok(found)
    }

    pub fn members(
        &self,
        _: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<Membership>, StoreError> {
        self.intervals(conversation, 0, u64::MAX)
    }

    pub fn memberships(
        &self,
        _: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Vec<Membership>, StoreError> {
        self.intervals(conversation, user.0, user.0)
    }

    pub fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Result<Option<DecisionRow>, StoreError> {
        let row = self.decisions.get((partition.0, author.0, message.0)).map_err(self.failed())?;
        Ok(row.map(|row| tables::decision_row(row.value())))
    }

    pub fn entry(
        &self,
        _: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Entry>, StoreError> {
        let row = self.entries.get((conversation.0, sequence.0)).map_err(self.failed())?;
        row.map(|row| decode(row.value())).transpose()
    }

    pub fn is_deleted(
        &self,
        _: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError> {
        let row = self.deletions.get((conversation.0, sequence.0)).map_err(self.failed())?;
        Ok(row.is_some())
    }

    pub fn entries(
        &self,
        _: Partition,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (from, to) = (after.0.saturating_add(1), before.0);
        if from >= to {
            return Ok(Vec::new());
        }
        let span = (conversation.0, from)..(conversation.0, to);
        let mut entries = Vec::new();
        for row in self.entries.range(span).map_err(self.failed())?.take(limit) {
            let (_, bytes) = row.map_err(self.failed())?;
            entries.push(decode(bytes.value())?);
        }
        Ok(entries)
    }

    pub fn conversations_of(&self, user: UserId) -> Result<Vec<UserConversation>, StoreError> {
        let all = (user.0, 0)..=(user.0, u64::MAX);
        let mut found = Vec::new();
        for row in self.memberships.range(all).map_err(self.failed())? {
            let (key, joined) = row.map_err(self.failed())?;
            let conversation = ConversationId(key.value().1);
            found.push(UserConversation { user, conversation, joined: Sequence(joined.value()) });
        }
        Ok(found)
    }

    pub fn cursor(
        &self,
        _: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Option<Cursors>, StoreError> {
        let row = self.cursors.get((conversation.0, user.0)).map_err(self.failed())?;
        Ok(row.map(|row| tables::cursors_row(row.value())))
    }

    pub fn cursors(
        &self,
        _: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<ReceiptItem>, StoreError> {
        let all = (conversation.0, 0)..=(conversation.0, u64::MAX);
        let mut found = Vec::new();
        for row in self.cursors.range(all).map_err(self.failed())? {
            let (key, value) = row.map_err(self.failed())?;
            let Cursors { delivered, read } = tables::cursors_row(value.value());
            let user = UserId(key.value().1);
            found.push(ReceiptItem { conversation, user, delivered, read });
        }
        Ok(found)
    }

    pub fn all_conversations(&self) -> Result<BTreeSet<(Partition, ConversationId)>, StoreError> {
        let mut found = BTreeSet::new();
        for row in self.conversations.iter().map_err(self.failed())? {
            let (partition, conversation) = row.map_err(self.failed())?.0.value();
            found.insert((Partition(partition), ConversationId(conversation)));
        }
        Ok(found)
    }

    pub fn count(&self, partition: Partition) -> Result<u64, StoreError> {
        let all = (partition.0, 0)..=(partition.0, u64::MAX);
        let rows = self.conversations.range(all).map_err(self.failed())?;
        rows.map(|row| row.map(|_| 1)).sum::<Result<u64, _>>().map_err(self.failed())
    }
}

fn decode(bytes: &[u8]) -> Result<Entry, StoreError> {
    postcard::from_bytes(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}
