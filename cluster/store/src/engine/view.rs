//! What the engine held at one instant: the layers over the tree, newest first.

use super::layer::Layer;
use super::tree_view::TreeView;
use ports::message_store::{ConversationRow, Cursors, DecisionRow, StoreError, StoreView};
use protocol::store_calls::{Membership, ReceiptItem, UserConversation};
use protocol::{ClientMessageId, ConversationId, Entry, Partition, Sequence, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The layers, oldest first, and the tree below them.
pub struct LayeredView<'a> {
    /// The layers.
    pub layers: Vec<Arc<Layer>>,
    /// The tree.
    pub tree: TreeView<'a>,
}

impl LayeredView<'_> {
    fn newest_first(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().rev().map(|layer| &**layer)
    }

    /// The intervals of a span of users, by (user, joined).
    fn intervals(
        &self,
        below: Vec<Membership>,
        conversation: ConversationId,
        first: UserId,
        last: UserId,
    ) -> Vec<Membership> {
        let span = (conversation, first, Sequence(0))..=(conversation, last, Sequence(u64::MAX));
        let mut found: BTreeMap<_, _> =
            below.into_iter().map(|found| ((found.user, found.joined), found)).collect();
        for layer in &self.layers {
            for ((_, user, joined), left) in layer.rows.members.range(span.clone()) {
                let (user, joined, left) = (*user, *joined, *left);
                found.insert((user, joined), Membership { user, joined, left });
            }
        }
        found.into_values().collect()
    }
}

impl StoreView for LayeredView<'_> {
    fn conversation(
        &self,
        partition: Partition,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>, StoreError> {
        let key = (partition, conversation);
        match self.newest_first().find_map(|layer| layer.rows.conversations.get(&key)) {
            Some(row) => Ok(Some(*row)),
            None => self.tree.conversation(partition, conversation),
        }
    }

    fn members(&self, conversation: ConversationId) -> Result<Vec<Membership>, StoreError> {
        let below = self.tree.members(conversation)?;
        Ok(self.intervals(below, conversation, UserId(0), UserId(u64::MAX)))
    }

    fn memberships(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Vec<Membership>, StoreError> {
        let below = self.tree.memberships(conversation, user)?;
        Ok(self.intervals(below, conversation, user, user))
    }

    fn decision(
        &self,
        partition: Partition,
        author: UserId,
        message: ClientMessageId,
    ) -> Result<Option<DecisionRow>, StoreError> {
        let key = (partition, author, message);
        match self.newest_first().find_map(|layer| layer.rows.decisions.get(&key)) {
            Some(row) => Ok(Some(*row)),
            None => self.tree.decision(partition, author, message),
        }
    }

    fn entry(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<Option<Entry>, StoreError> {
        for layer in self.newest_first() {
            if let Some(entry) = layer.rows.entries.get(&(conversation, sequence)) {
                return Ok(Some(Entry::clone(entry)));
            }
            if layer.hides(conversation, sequence) {
                return Ok(None);
            }
        }
        self.tree.entry(conversation, sequence)
    }

    fn is_deleted(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
    ) -> Result<bool, StoreError> {
        for layer in self.newest_first() {
            if layer.rows.deletions.contains(&(conversation, sequence)) {
                return Ok(true);
            }
            if layer.hides(conversation, sequence) {
                return Ok(false);
            }
        }
        self.tree.is_deleted(conversation, sequence)
    }

    fn entries(
        &self,
        conversation: ConversationId,
        after: Sequence,
        before: Sequence,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut from = Sequence(after.0.saturating_add(1));
        // The first `limit` of all are among the first `limit` of each. Newest first, so that what a
        // layer brings is not replaced from below, and what it trims is not looked at there.
        let mut found: BTreeMap<Sequence, Arc<Entry>> = BTreeMap::new();
        for layer in self.newest_first() {
            if from >= before {
                break;
            }
            let span = (conversation, from)..(conversation, before);
            for ((_, sequence), entry) in layer.rows.entries.range(span).take(limit) {
                found.entry(*sequence).or_insert_with(|| Arc::clone(entry));
            }
            let floor = layer.rows.trims.get(&conversation);
            from = from.max(floor.copied().unwrap_or_default());
        }
        if from < before {
            let below = Sequence(from.0.saturating_sub(1));
            for entry in self.tree.entries(conversation, below, before, limit)? {
                found.entry(entry.sequence).or_insert_with(|| Arc::new(entry));
            }
        }
        Ok(found.into_values().take(limit).map(Arc::unwrap_or_clone).collect())
    }

    fn conversations_of(&self, user: UserId) -> Result<Vec<UserConversation>, StoreError> {
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
        let found = found.into_iter();
        Ok(found
            .map(|(conversation, joined)| UserConversation { user, conversation, joined })
            .collect())
    }

    fn cursor(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<Option<Cursors>, StoreError> {
        let key = (conversation, user);
        match self.newest_first().find_map(|layer| layer.rows.cursors.get(&key)) {
            Some(row) => Ok(Some(*row)),
            None => self.tree.cursor(conversation, user),
        }
    }

    fn cursors(&self, conversation: ConversationId) -> Result<Vec<ReceiptItem>, StoreError> {
        let below = self.tree.cursors(conversation)?;
        let mut found: BTreeMap<_, _> = below.into_iter().map(|item| (item.user, item)).collect();
        for layer in &self.layers {
            let span = (conversation, UserId(0))..=(conversation, UserId(u64::MAX));
            for ((_, user), Cursors { delivered, read }) in layer.rows.cursors.range(span) {
                let (user, delivered, read) = (*user, *delivered, *read);
                found.insert(user, ReceiptItem { conversation, user, delivered, read });
            }
        }
        Ok(found.into_values().collect())
    }

    fn count(&self, partition: Partition) -> Result<u64, StoreError> {
        let span = (partition, ConversationId(0))..=(partition, ConversationId(u64::MAX));
        let layers = self.layers.iter();
        let layered = layers.flat_map(|layer| layer.rows.conversations.range(span.clone()));
        let mut above: Vec<ConversationId> = layered.map(|((_, id), _)| *id).collect();
        above.sort_unstable();
        above.dedup();
        let mut count = self.tree.count(partition)?;
        for conversation in above {
            count += u64::from(self.tree.conversation(partition, conversation)?.is_none());
        }
        Ok(count)
    }
}
