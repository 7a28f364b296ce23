//! Committed rows that the tree does not hold yet: one or more batches, merged.
//!
//! A layer hides what it trims in the layers and the tree below it, so it is written trims first.

use ports::message_store::{Batch, Lease};
use protocol::{ConversationId, Epoch, Partition, Sequence, UserId};
use std::collections::BTreeMap;

/// Rows over other rows.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// The merged batches. Entries and deletions that a later batch trimmed are gone.
    pub batches: BTreeMap<Partition, Batch>,
    /// (user, conversation) -> joined, `None` once the user has left.
    pub memberships: BTreeMap<(UserId, ConversationId), Option<Sequence>>,
    /// Acquired partitions.
    pub leases: BTreeMap<Partition, Epoch>,
}

impl Layer {
    /// Puts a partition under a new epoch.
    pub fn lease(&mut self, lease: Lease) {
        let epoch = self.leases.entry(lease.partition).or_default();
        *epoch = lease.epoch.max(*epoch);
    }

    /// Adds a later batch.
    pub fn merge(&mut self, partition: Partition, batch: &Batch) {
        let rows = self.batches.entry(partition).or_default();
        rows.conversations.extend(batch.conversations.iter().map(|(key, row)| (*key, *row)));
        for (key, entry) in &batch.entries {
            rows.entries.insert(*key, entry.clone());
        }
        rows.deletions.extend(batch.deletions.iter().copied());
        rows.decisions.extend(batch.decisions.iter().map(|(key, row)| (*key, *row)));
        rows.cursors.extend(batch.cursors.iter().map(|(key, row)| (*key, *row)));
        // In the order of joining per user: the newest interval decides whether one is a member.
        for ((conversation, user, joined), left) in &batch.members {
            rows.members.insert((*conversation, *user, *joined), *left);
            let member = left.is_none().then_some(*joined);
            self.memberships.insert((*user, *conversation), member);
        }
        // After the inserts: a batch may bring entries that it trims itself.
        for (conversation, first) in &batch.trims {
            trim(rows, *conversation, *first);
        }
    }
}

/// Whether rows over others hide an entry of theirs.
pub fn hides(above: &Batch, conversation: ConversationId, sequence: Sequence) -> bool {
    above.trims.get(&conversation).is_some_and(|first| sequence < *first)
}

fn trim(rows: &mut Batch, conversation: ConversationId, first: Sequence) {
    let floor = rows.trims.entry(conversation).or_default();
    *floor = first.max(*floor);
    let span = (conversation, Sequence(0))..(conversation, first);
    let gone: Vec<_> = rows.entries.range(span.clone()).map(|(key, _)| *key).collect();
    for key in gone {
        rows.entries.remove(&key);
    }
    let gone: Vec<_> = rows.deletions.range(span).copied().collect();
    for key in gone {
        rows.deletions.remove(&key);
    }
}
