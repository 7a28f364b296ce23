//! Committed rows that the tree does not hold yet: layers of one or more batches, merged.
//!
//! A layer hides what it trims in the layers and the tree below it, so it is written trims first.

use ports::message_store::{Batch, Lease};
use protocol::{ConversationId, Epoch, Partition, Sequence, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The layers of an engine, oldest first. Each is at least twice as large as the next, so that they stay
/// few however many commits come while somebody looks (the logarithmic method: Bentley and Saxe, 1980).
/// Views share them: what somebody looks at is copied before it grows.
#[derive(Debug, Default)]
pub struct Layers {
    all: Vec<Arc<Layer>>,
    /// So many of the oldest are on their way into the tree. Nothing is laid over them any more.
    taken: usize,
}

impl Layers {
    /// All as they are now.
    pub fn share(&self) -> Vec<Arc<Layer>> {
        self.all.clone()
    }

    /// Adds rows on top: to the last layer, or to a new one if somebody looks at that. What has become
    /// large is laid into what is below.
    pub fn lay(&mut self, rows: impl FnOnce(&mut Layer)) {
        let last = self.pop_if(|layer| Arc::strong_count(layer) == 1);
        let mut top = last.map(Arc::unwrap_or_clone).unwrap_or_default();
        rows(&mut top);
        top.groups += 1;
        while let Some(below) = self.pop_if(|below| below.groups < 2 * top.groups) {
            let mut below = Arc::unwrap_or_clone(below);
            below.cover(&top);
            top = below;
        }
        self.all.push(Arc::new(top));
    }

    /// Takes the last layer away, if it is so and the tree does not get it.
    fn pop_if(&mut self, is_so: impl FnOnce(&Arc<Layer>) -> bool) -> Option<Arc<Layer>> {
        let is_free = self.all.len() > self.taken;
        self.all.pop_if(|layer| is_free && is_so(layer))
    }

    /// All of them, for the tree, until they are given back or removed.
    pub fn take(&mut self) -> Vec<Arc<Layer>> {
        self.taken = self.all.len();
        self.share()
    }

    /// The tree has not got what was taken.
    pub const fn give_back(&mut self) {
        self.taken = 0;
    }

    /// The tree has what was taken.
    pub fn remove_taken(&mut self) {
        self.all.drain(..std::mem::take(&mut self.taken));
    }
}

/// Rows over other rows.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// The merged batches. Entries and deletions that a later batch trimmed are gone.
    pub batches: BTreeMap<Partition, Batch>,
    /// (user, conversation) -> joined, `None` once the user has left.
    pub memberships: BTreeMap<(UserId, ConversationId), Option<Sequence>>,
    /// Acquired partitions.
    pub leases: BTreeMap<Partition, Epoch>,
    /// How large it is: groups of the log.
    pub groups: u32,
}

impl Layer {
    /// Puts a partition under a new epoch.
    pub fn lease(&mut self, lease: Lease) {
        let epoch = self.leases.entry(lease.partition).or_default();
        *epoch = lease.epoch.max(*epoch);
    }

    /// Lays a later layer over this one.
    fn cover(&mut self, above: &Self) {
        for (partition, rows) in &above.batches {
            // First: what it holds has survived its own trims.
            self.trim(*partition, rows);
            self.insert(*partition, rows);
        }
        for (partition, epoch) in &above.leases {
            self.lease(Lease { partition: *partition, epoch: *epoch });
        }
        self.groups += above.groups;
    }

    /// Adds a later batch.
    pub fn merge(&mut self, partition: Partition, batch: &Batch) {
        self.insert(partition, batch);
        // Last: a batch may bring entries that it trims itself.
        self.trim(partition, batch);
    }

    fn insert(&mut self, partition: Partition, batch: &Batch) {
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
    }

    fn trim(&mut self, partition: Partition, batch: &Batch) {
        let rows = self.batches.entry(partition).or_default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use ports::message_store::Cursors;

    const PARTITION: Partition = Partition(1);

    /// A row that tells which group was the last.
    fn lay(layers: &mut Layers, number: u64) {
        let (delivered, read) = (Sequence(number), Sequence(0));
        let key = (ConversationId(number % 7), UserId(1));
        let cursors = [(key, Cursors { delivered, read })].into();
        layers.lay(|layer| layer.merge(PARTITION, &Batch { cursors, ..Batch::default() }));
    }

    /// The newest row of each conversation.
    fn shown(layers: &[Arc<Layer>]) -> Vec<u64> {
        let key = |id| (ConversationId(id), UserId(1));
        let newest = |id| {
            let mut batches = layers.iter().rev().filter_map(|layer| layer.batches.get(&PARTITION));
            batches.find_map(|batch| batch.cursors.get(&key(id)))
        };
        (0..7).filter_map(newest).map(|row| row.delivered.0).collect()
    }

    fn expected(last: u64) -> Vec<u64> {
        (0..7).filter_map(|id| (1..=last).rev().find(|number| number % 7 == id)).collect()
    }

    #[test]
    fn layers_stay_few_while_somebody_looks_at_each() {
        let (mut layers, mut views) = (Layers::default(), Vec::new());
        for number in 1..=256 {
            lay(&mut layers, number);
            views.push((number, layers.share()));
            // The largest has 128 groups at least, the next half of that, and so on.
            assert!(layers.all.len() <= 9, "{}", layers.all.len());
        }
        for (last, view) in views {
            assert_eq!(shown(&view), expected(last), "a view shows what it showed");
        }
    }

    #[test]
    fn what_came_after_a_trim_is_not_trimmed_when_it_is_laid_below() {
        let key = |sequence| (ConversationId(1), Sequence(sequence));
        let deletions = |sequences: &[u64]| Batch {
            deletions: sequences.iter().map(|sequence| key(*sequence)).collect(),
            ..Batch::default()
        };
        let (mut below, mut above) = (Layer::default(), Layer::default());
        below.merge(PARTITION, &deletions(&[1, 2, 7]));
        let trims = [(ConversationId(1), Sequence(5))].into();
        above.merge(PARTITION, &Batch { trims, ..deletions(&[3]) });
        above.merge(PARTITION, &deletions(&[4]));
        below.cover(&above);
        assert_eq!(below.batches[&PARTITION].deletions, [key(4), key(7)].into());
    }

    #[test]
    fn what_the_tree_takes_does_not_grow_and_goes_as_a_whole() {
        let mut layers = Layers::default();
        (1..=20).for_each(|number| lay(&mut layers, number));
        let taken = layers.take();
        (21..=40).for_each(|number| lay(&mut layers, number));
        assert_eq!(shown(&taken), expected(20));
        assert_eq!(shown(&layers.share()), expected(40));
        layers.give_back();
        (41..=50).for_each(|number| lay(&mut layers, number));
        let taken = layers.take();
        lay(&mut layers, 51);
        layers.remove_taken();
        assert_eq!((shown(&taken), shown(&layers.share())), (expected(50), vec![51]));
    }
}
