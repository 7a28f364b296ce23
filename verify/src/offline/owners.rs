//! Epochs and who owns them.

use super::book::Book;
use crate::history::event::{Phase, What};
use protocol::partition::partition_of;
use protocol::{ConversationId, Epoch, NodeNumber, Partition};

/// Something that names an epoch and its owner.
struct Named {
    line: usize,
    at: u64,
    partition: Partition,
    /// The conversation and the sequence, if it is about one.
    slot: Option<(ConversationId, u64)>,
    epoch: Epoch,
    owner: NodeNumber,
}

fn named(book: &Book<'_>) -> Vec<Named> {
    let mut named = Vec::new();
    for (line, said) in book.lines.iter().enumerate() {
        let (slot, epoch, owner) = match said.is {
            What::Shown { entry, .. }
            | What::Received { entry, .. }
            | What::Read { entry, .. }
            | What::Stored { entry } => {
                ((entry.conversation, entry.sequence.0), entry.epoch, entry.owner)
            }
            What::Accepted { conversation, sequence, epoch, owner, .. } => {
                ((*conversation, sequence.0), *epoch, *owner)
            }
            What::Owner { partition, owner, epoch } => {
                let (partition, epoch, owner) = (*partition, *epoch, *owner);
                named.push(Named { line, at: said.at, partition, slot: None, epoch, owner });
                continue;
            }
            _ => continue,
        };
        let partition = partition_of(slot.0, book.header.partitions.max(1));
        named.push(Named { line, at: said.at, partition, slot: Some(slot), epoch, owner });
    }
    named
}

pub(super) fn are_there_two(book: &Book<'_>) -> bool {
    let named = named(book);
    let contradict = |a: &Named, b: &Named| {
        let two_owners = (a.partition, a.epoch) == (b.partition, b.epoch) && a.owner != b.owner;
        let falls = match (a.slot, b.slot) {
            (Some((c, q)), Some((d, p))) => c == d && q <= p && a.epoch > b.epoch,
            _ => false,
        };
        two_owners || falls
    };
    named.iter().any(|a| named.iter().any(|b| contradict(a, b)))
        || accepts_after_its_successor(book, &named)
        || owns_too_late(book, &named)
}

/// Whether a message is accepted under an epoch, and was invoked when a later one had been seen.
fn accepts_after_its_successor(book: &Book<'_>, named: &[Named]) -> bool {
    book.acceptances.iter().any(|a| {
        let partition = partition_of(a.send.conversation, book.header.partitions.max(1));
        let is_later = |n: &&Named| n.partition == partition && n.epoch > a.epoch;
        named.iter().filter(is_later).any(|n| n.at < a.send.at)
    })
}

/// Whether a node says at the end that it owns a partition under an epoch that is over.
fn owns_too_late(book: &Book<'_>, named: &[Named]) -> bool {
    let Some(judge) = book.phase(Phase::Judge) else { return false };
    named.iter().filter(|n| n.slot.is_none() && n.line > judge).any(|last| {
        named.iter().any(|n| {
            n.partition == last.partition && n.epoch > last.epoch && n.at < book.lines[judge].at
        })
    })
}
