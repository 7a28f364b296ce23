//! Which partition a conversation belongs to: the same function in every adapter and every node.

use crate::ids::{ConversationId, NodeNumber, Partition};
use crate::mix::{GAMMA, mix};

/// The partition of a conversation among `partitions` of them (at least 1).
///
/// The conversation id is mixed first, so that consecutive ids spread evenly.
pub const fn partition_of(conversation: ConversationId, partitions: u16) -> Partition {
    let mixed = mix(conversation.0.wrapping_add(GAMMA));
    Partition((mixed % partitions as u64) as u16)
}

/// The store node that a partition lives on, of `stores` (at least 1) with disks of their own: for ever.
pub const fn home_of(partition: Partition, stores: u16) -> NodeNumber {
    NodeNumber(partition.0 % stores + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_spread_over_partitions() {
        let mut counts = [0_u32; 16];
        for id in 0..16_000 {
            counts[partition_of(ConversationId(id), 16).0 as usize] += 1;
        }
        assert!(counts.iter().all(|&n| (850..1150).contains(&n)), "{counts:?}");
    }
}
