//! Both directories: the placement of partitions on nodes with disks of their own, and what is learned
//! about nodes that share an engine.

use ports::directory::{Directory, Owner};
use ports::entered;
use protocol::partition::home_of;
use protocol::{Epoch, NodeNumber, Partition};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Each store node has a disk of its own: a partition lives where its number says, for ever.
#[derive(Clone, Copy, Debug)]
pub struct StaticDirectory {
    stores: u16,
}

impl StaticDirectory {
    /// Of so many store nodes, at least 1, numbered from 1.
    pub fn new(stores: u16) -> Self {
        assert!(stores > 0, "a cluster has at least one store node");
        Self { stores }
    }

    /// The node that a partition lives on.
    pub fn home(self, partition: Partition) -> NodeNumber {
        home_of(partition, self.stores)
    }
}

impl Directory for StaticDirectory {
    fn owner(&self, partition: Partition) -> Owner {
        Owner { node: self.home(partition), epoch: Epoch(0) }
    }

    fn candidates(&self, partition: Partition) -> Vec<NodeNumber> {
        vec![self.home(partition)]
    }

    fn learn(&self, _: Partition, _: Owner) -> bool {
        false
    }
}

/// The store nodes share an engine: every one can own every partition. They prefer what the placement
/// says, so that the partitions are spread; who follows differs from partition to partition, so that
/// those of a lost node are spread over the others.
#[derive(Debug)]
pub struct SharedDirectory {
    placement: StaticDirectory,
    known: Mutex<BTreeMap<Partition, Owner>>,
}

impl SharedDirectory {
    /// Of so many store nodes, at least 1, numbered from 1.
    pub fn new(stores: u16) -> Self {
        Self { placement: StaticDirectory::new(stores), known: Mutex::default() }
    }
}

impl Directory for SharedDirectory {
    fn owner(&self, partition: Partition) -> Owner {
        let known = entered(self.known.lock()).get(&partition).copied();
        known.unwrap_or_else(|| self.placement.owner(partition))
    }

    fn candidates(&self, partition: Partition) -> Vec<NodeNumber> {
        let StaticDirectory { stores } = self.placement;
        let home = self.placement.home(partition);
        let mut others: Vec<_> =
            (1..=stores).map(NodeNumber).filter(|node| *node != home).collect();
        if !others.is_empty() {
            let turns = usize::from(partition.0 / stores) % others.len();
            others.rotate_left(turns);
        }
        std::iter::once(home).chain(others).collect()
    }

    fn learn(&self, partition: Partition, owner: Owner) -> bool {
        let mut known = entered(self.known.lock());
        let before = known.get(&partition).copied();
        if before.is_some_and(|before| before.epoch >= owner.epoch) {
            return false;
        }
        known.insert(partition, owner);
        // Before anything was learned nobody was asked to remember anything, except where the placement
        // says.
        before.is_some() || self.placement.home(partition) != owner.node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(node: u16, epoch: u64) -> Owner {
        Owner { node: NodeNumber(node), epoch: Epoch(epoch) }
    }

    #[test]
    fn every_store_has_a_share() {
        let placement = StaticDirectory::new(3);
        let homes: Vec<u16> = (0..6).map(|p| placement.home(Partition(p)).0).collect();
        assert_eq!(homes, [1, 2, 3, 1, 2, 3]);
        assert_eq!(placement.candidates(Partition(4)), [NodeNumber(2)]);
        assert!(!placement.learn(Partition(4), owner(1, 9)), "a disk does not move");
    }

    #[test]
    fn the_partitions_of_a_lost_node_are_spread_over_the_others() {
        let directory = SharedDirectory::new(3);
        let mut followers = BTreeMap::new();
        for partition in (0..12).map(Partition) {
            let candidates = directory.candidates(partition);
            assert_eq!(candidates[0], directory.placement.home(partition));
            let mut all = candidates.clone();
            all.sort_unstable();
            assert_eq!(all, [1, 2, 3].map(NodeNumber));
            *followers.entry((candidates[0].0, candidates[1].0)).or_insert(0) += 1;
        }
        assert_eq!(followers.len(), 6, "{followers:?}");
        assert!(followers.values().all(|count| *count == 2), "{followers:?}");
        assert_eq!(SharedDirectory::new(1).candidates(Partition(7)), [NodeNumber(1)]);
    }

    #[test]
    fn only_a_later_epoch_is_news() {
        let directory = SharedDirectory::new(3);
        let partition = Partition(1);
        assert_eq!(directory.owner(partition), owner(2, 0));
        for (node, epoch, is_news, expected) in [
            (2, 1, false, owner(2, 1)),
            (3, 2, true, owner(3, 2)),
            (2, 1, false, owner(3, 2)),
            (1, 2, false, owner(3, 2)),
            (3, 5, true, owner(3, 5)),
            (1, 6, true, owner(1, 6)),
        ] {
            assert_eq!(directory.learn(partition, owner(node, epoch)), is_news, "{node} {epoch}");
            assert_eq!(directory.owner(partition), expected);
        }
    }
}
