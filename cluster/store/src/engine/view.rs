//! What the engine held at one instant: the layers over the tree, newest first.

use super::layer::{self, Layer};
use super::tree_view::TreeView;
use ports::message_store::{
    Batch, ConversationRow, Cursors, DecisionRow, Ownership, StoreError, StoreView,
};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The layers, oldest first, and the tree below them.
pub struct LayeredView<'a> {
    /// The layers.
    pub layers: Vec<Arc<Layer>>,
    /// The tree.
    pub tree: TreeView<'a>,
    /// Who owned what.
    pub owners: Arc<BTreeMap<Partition, Ownership>>,
}

impl LayeredView<'_> {
    /// What the layers have of a partition, oldest first.
    fn batches(&self, partition: Partition) -> impl DoubleEndedIterator<Item = &Batch> {
        self.layers.iter().filter_map(move |layer| layer.batches.get(&partition))
    }

    /// The intervals of a span of users, by (user, joined).
    fn intervals(
        &self,
        below: Vec<Membership>,
        (partition, conversation): (Partition, ConversationId),
        first: UserId,
        last: UserId,
    ) -> Vec<Membership> {
        let span = (conversation, first, Sequence(0))..=(conversation, last, Sequence(u64::MAX));
        let mut found: BTreeMap<_, _> =
            below.into_iter().map(|found| ((found.user, found.joined), found)).collect();
        for batch in self.batches(partition) {
            for ((_, user, joined), left) in batch.members.range(span.clone()) {
                let (user, joined, left) = (*user, *joined, *left);
                found.insert((user, joined), Membership { user, joined, left });
            }
        }
        found.into_values().collect()
    }
}

impl StoreView for LayeredView<'_> {
    fn ownership(&self, partition: Partition) -> Result<Ownership, StoreError> {
        Ok(self.owners.get(&partition).copied().unwrap_or_default())
    }

    fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>, StoreError> {
        let mut batches = self.batches(partition).rev();
        match batches.find_map(|batch| batch.conversations.get(&conversation)) {
            Some(row) => Ok(Some(*row)),
            None => self.tree.conversation(partition, conversation),
        }
    }

    fn conversations(
        &self,
        partition: Partition,
        from: ConversationId,
        limit: usize,
    ) -> Result<Vec<(ConversationId, ConversationRow)>, StoreError> {
        // The first `limit` of all are among the first `limit` of each.
        let below = self.tree.conversations(partition, from, limit)?;
        let mut found: BTreeMap<_, _> = below.into_iter().collect();
        for batch in self.batches(partition) {
            found.extend(batch.conversations.range(from..).take(limit));
        }
        Ok(found.into_iter().take(limit).collect())
    }

    fn members(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<Membership>, StoreError> {
        let below = self.tree.members(partition, conversation)?;
        Ok(self.intervals(below, (partition, conversation), UserId(0), UserId(u64::MAX)))
    }

    fn memberships(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Vec<Membership>, StoreError> {
        let below = self.tree.memberships(partition, conversation, user)?;
        Ok(self.intervals(below, (partition, conversation), user, user))
    }

    fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Result<Option<DecisionRow>, StoreError> {
        let mut batches = self.batches(partition).rev();
        match batches.find_map(|batch| batch.decisions.get(&(author, message))) {
            Some(row) => Ok(Some(*row)),
            None => self.tree.decision(partition, author, message),
        }
    }

    fn entry(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Entry>, StoreError> {
        for batch in self.batches(partition).rev() {
            if let Some(entry) = batch.entries.get(&(conversation, sequence)) {
                return Ok(Some(Entry::clone(entry)));
            }
            if layer::hides(batch, conversation, sequence) {
                return Ok(None);
            }
        }
        self.tree.entry(partition, conversation, sequence)
    }

    fn is_deleted(
        &self,
        partition: Partition,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError> {
        for batch in self.batches(partition).rev() {
            if batch.deletions.contains(&(conversation, sequence)) {
                return Ok(true);
            }
            if layer::hides(batch, conversation, sequence) {
                return Ok(false);
            }
        }
        self.tree.is_deleted(partition, conversation, sequence)
    }

    fn entries(
        &self,
        partition: Partition,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut from = Sequence(after.0.saturating_add(1));
        // The first `limit` of all are among the first `limit` of each. Newest first, so that what a
        // layer brings is not replaced from below, and what it trims is not looked at there.
        let mut found: BTreeMap<Sequence, Arc<Entry>> = BTreeMap::new();
        for batch in self.batches(partition).rev() {
            if from >= before {
                break;
            }
            let span = (conversation, from)..(conversation, before);
            for ((_, sequence), entry) in batch.entries.range(span).take(limit) {
                found.entry(*sequence).or_insert_with(|| Arc::clone(entry));
            }
            let floor = batch.trims.get(&conversation);
            from = from.max(floor.copied().unwrap_or_default());
        }
        if from < before {
            let below = Sequence(from.0.saturating_sub(1));
            for entry in self.tree.entries(partition, conversation, below, before, limit)? {
                found.entry(entry.sequence).or_insert_with(|| Arc::new(entry));
            }
        }
        Ok(found.into_values().take(limit).map(Arc::unwrap_or_clone).collect())
    }

    fn conversations_of(
        &self,
        users: &[UserId],
        _: &BTreeSet<Partition>,
    ) -> Result<Vec<UserConversation>, StoreError> {
        let mut all = Vec::new();
        for &user in users {
            let below = self.tree.conversations_of(user)?;
            let mut found: BTreeMap<_, _> =
                below.into_iter().map(|found| (found.conversation, found.joined)).collect();
            for layer in &self.layers {
                let span = (user, ConversationId(0))..=(user, ConversationId(u64::MAX));
                for ((_, conversation), joined) in layer.memberships.range(span) {
                    match joined {
                        Some(joined) => found.insert(*conversation, *joined),
                        None => found.remove(conversation),
                    };
                }
            }
            let of_user = |(conversation, joined)| UserConversation { user, conversation, joined };
            all.extend(found.into_iter().map(of_user));
        }
        Ok(all)
    }

    fn cursor(
        &self,
        partition: Partition,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Option<Cursors>, StoreError> {
        let mut batches = self.batches(partition).rev();
        match batches.find_map(|batch| batch.cursors.get(&(conversation, user))) {
            Some(row) => Ok(Some(*row)),
            None => self.tree.cursor(partition, conversation, user),
        }
    }

    fn cursors(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Vec<ReceiptItem>, StoreError> {
        let below = self.tree.cursors(partition, conversation)?;
        let mut found: BTreeMap<_, _> = below.into_iter().map(|item| (item.user, item)).collect();
        for batch in self.batches(partition) {
            let span = (conversation, UserId(0))..=(conversation, UserId(u64::MAX));
            for ((_, user), Cursors { delivered, read }) in batch.cursors.range(span) {
                let (user, delivered, read) = (*user, *delivered, *read);
                found.insert(user, ReceiptItem { conversation, user, delivered, read });
            }
        }
        Ok(found.into_values().collect())
    }

    fn count(&self, partition: Partition) -> Result<u64, StoreError> {
        let layered = self.batches(partition).flat_map(|batch| batch.conversations.keys());
        let above: BTreeSet<ConversationId> = layered.copied().collect();
        let mut count = self.tree.count(partition)?;
        for conversation in above {
            count += u64::from(self.tree.conversation(partition, conversation)?.is_none());
        }
        Ok(count)
    }
}
