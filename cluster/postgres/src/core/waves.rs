//! Which batches go in one statement: no two of one partition, because a statement cannot write a row
//! twice.

use ports::message_store::{Batch, Lease};
use std::collections::BTreeMap;

/// Batches for one statement.
pub type Wave<'a> = Vec<&'a (Lease, Batch)>;

/// The batches in waves: those of one partition are in different ones, in their order. Nearly always there is
/// one wave: an owner brings a batch for each of its partitions.
pub fn waves(batches: &[(Lease, Batch)]) -> Vec<Wave<'_>> {
    let mut waves: Vec<Wave<'_>> = Vec::new();
    let mut seen = BTreeMap::new();
    for one in batches {
        let number: &mut usize = seen.entry(one.0.partition).or_default();
        if *number == waves.len() {
            waves.push(Vec::new());
        }
        waves[*number].push(one);
        *number += 1;
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Epoch, Partition};

    #[test]
    fn batches_of_one_partition_follow_each_other() {
        let of = |partition, epoch| {
            let lease = Lease { partition: Partition(partition), epoch: Epoch(epoch) };
            (lease, Batch::default())
        };
        let batches = [of(1, 1), of(2, 1), of(1, 2), of(3, 1), of(1, 3), of(3, 2)];
        let waves = waves(&batches).into_iter().map(|wave| {
            wave.iter().map(|(lease, _)| (lease.partition.0, lease.epoch.0)).collect::<Vec<_>>()
        });
        let expected = [vec![(1, 1), (2, 1), (3, 1)], vec![(1, 2), (3, 2)], vec![(1, 3)]];
        assert_eq!(waves.collect::<Vec<_>>(), expected);
    }
}
