//! Old entries are removed; their sequences are never used again.

use super::conversation::Conversation;
use super::step::Step;
use protocol::{ConversationId, Sequence};

/// Keeps the newest entries of a conversation, and removes so many at most.
pub fn apply(
    step: &mut Step<'_>,
    conversation: Option<&mut Conversation>,
    id: ConversationId,
    (keep, most): (u64, u64),
) {
    let Some(conversation) = conversation else { return };
    let first = first(conversation.row.head, conversation.row.first, keep, most);
    if first > conversation.row.first {
        conversation.row.first = first;
        step.overlay.batch.trims.insert(id, first);
        step.save(id, conversation);
    }
}

/// The first that is kept, if it is not before the one that is the first by now.
fn first(head: Sequence, first: Sequence, keep: u64, most: u64) -> Sequence {
    let newest = head.0.saturating_sub(keep.max(1)) + 1;
    Sequence(newest.min(first.0.saturating_add(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_so_many_go_at_most() {
        let kept = |head, now, keep, most| first(Sequence(head), Sequence(now), keep, most).0;
        assert_eq!(kept(10, 1, 4, u64::MAX), 7);
        assert_eq!(kept(10, 1, 4, 5), 6);
        assert_eq!(kept(11, 6, 4, 5), 8);
        // The newest one always is, and nothing comes back.
        assert_eq!(kept(10, 1, 0, 99), 10);
        assert_eq!(kept(10, 7, 9, 99), 2);
    }
}
