//! Whether a partition has room for another message.
//!
//! Kafka refuses nothing because too much waits: a log has no bound that its consumers set. So publishers
//! keep one: the end of the partition, which every confirm tells, less what is committed, which is asked
//! for now and then. Both only rise, unless a topic is made anew: what is known of the old one must not make
//! the new one full, since a full partition gets no message whose confirm would say better.

use protocol::Partition;
use std::collections::BTreeMap;

/// What a publisher knows of the partitions that it has published to.
#[derive(Clone, Debug)]
pub struct Room {
    limit: u64,
    known: BTreeMap<Partition, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    end: u64,
    /// Before the first answer: where this publisher began.
    committed: u64,
}

impl Room {
    /// For at most so many that wait in a partition.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit as u64, known: BTreeMap::new() }
    }

    /// A message was confirmed at this offset.
    pub fn confirmed(&mut self, partition: Partition, offset: u64) {
        let anew = Known { end: offset, committed: offset };
        let known = self.known.entry(partition).or_insert(anew);
        if offset < known.committed {
            *known = anew;
        }
        known.end = known.end.max(offset + 1);
    }

    /// This is committed.
    pub fn committed(&mut self, partition: Partition, offset: u64) {
        if let Some(known) = self.known.get_mut(&partition) {
            if offset < known.committed {
                // Until the next confirm says how far the new one is.
                known.end = offset;
            }
            known.committed = offset;
        }
    }

    /// Whether a partition takes another one.
    pub fn is_full(&self, partition: Partition) -> bool {
        self.known
            .get(&partition)
            .is_some_and(|known| known.end.saturating_sub(known.committed) >= self.limit)
    }

    /// What to ask for.
    pub fn partitions(&self) -> Vec<Partition> {
        self.known.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_full_until_something_is_committed() {
        let (mut room, one, other) = (Room::new(3), Partition(1), Partition(2));
        room.committed(one, 900);
        assert!(!room.is_full(one) && room.partitions().is_empty());
        for offset in [1_000, 1_001, 1_002] {
            assert!(!room.is_full(one));
            room.confirmed(one, offset);
        }
        // Confirms may be read in any order.
        room.confirmed(one, 1_000);
        assert!(room.is_full(one) && !room.is_full(other));
        room.committed(one, 1_001);
        assert!(!room.is_full(one));
        // What others have published counts as soon as the next confirm tells it.
        room.confirmed(one, 1_050);
        assert!(room.is_full(one));
        room.committed(one, 1_051);
        assert!(!room.is_full(one));
        assert_eq!(room.partitions(), [one]);
    }

    #[test]
    fn a_partition_that_begins_anew_is_not_full_of_what_is_gone() {
        let full = || {
            let (mut room, one) = (Room::new(3), Partition(1));
            room.confirmed(one, 1_000);
            room.committed(one, 1_001);
            room.confirmed(one, 1_003);
            assert!(room.is_full(one));
            (room, one)
        };
        // Its consumer has begun before any message came.
        let (mut room, one) = full();
        room.committed(one, 0);
        assert!(!room.is_full(one));
        for offset in 0..3 {
            assert!(!room.is_full(one));
            room.confirmed(one, offset);
        }
        assert!(room.is_full(one));
        // A message came before its consumer had begun.
        let (mut room, one) = full();
        room.confirmed(one, 0);
        assert!(!room.is_full(one));
        room.confirmed(one, 2);
        assert!(room.is_full(one));
    }
}
