//! Old entries are removed; their sequences are never used again.

use super::conversation::Conversation;
use super::step::Step;
use protocol::{ConversationId, Sequence};

/// Keeps the newest entries of a conversation.
pub fn apply(
    step: &mut Step<'_>,
    conversation: Option<&mut Conversation>,
    id: ConversationId,
    keep: u64,
) {
    let Some(conversation) = conversation else { return };
    let first = Sequence(conversation.row.head.0.saturating_sub(keep.max(1)) + 1);
    if first > conversation.row.first {
        conversation.row.first = first;
        step.overlay.batch.trims.insert(id, first);
        step.save(id, conversation);
    }
}
