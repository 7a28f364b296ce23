//! What every command needs while it is applied: who sequences, the batch, the effects.

use super::command::Effect;
use super::conversation::Conversation;
use super::overlay::Overlay;
use super::partition::Choices;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Partition, Sequence, UserId,
};
use std::sync::Arc;

/// Who sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The partition.
    pub partition: Partition,
    /// Under which epoch.
    pub epoch: Epoch,
    /// The store node.
    pub owner: NodeNumber,
}

/// One command being applied.
pub struct Step<'a> {
    /// Who sequences.
    pub owned: Owned,
    /// The design choices.
    pub choices: Choices,
    /// The rows.
    pub overlay: &'a mut Overlay,
    /// What follows.
    pub effects: &'a mut Vec<Effect>,
    /// The command's wall clock.
    pub at_ms: u64,
}

/// A new entry without its position.
pub struct Draft {
    /// Who caused it.
    pub author: UserId,
    /// The author's id for it.
    pub message: ClientMessageId,
    /// What it says.
    pub content: Content,
}

impl Step<'_> {
    /// Gives an entry the next sequence of its conversation. The caller tells the effect, after the
    /// membership has followed.
    pub fn append(
        &mut self,
        id: ConversationId,
        conversation: &mut Conversation,
        draft: Draft,
    ) -> Arc<Entry> {
        let (first, sequence) = (conversation.row.first, conversation.row.head.next());
        debug_assert!(first <= sequence, "{id}: {sequence} is appended, and the first is {first}");
        conversation.row.head = sequence;
        let entry = Arc::new(Entry {
            conversation: id,
            sequence,
            epoch: self.owned.epoch,
            owner: self.owned.owner,
            author: draft.author,
            client_message_id: draft.message,
            at_ms: self.at_ms,
            content: draft.content,
        });
        let other = self.overlay.batch.entries.insert((id, sequence), Arc::clone(&entry));
        assert!(other.is_none(), "{id}: {entry:?} takes the place of {other:?}");
        self.save(id, conversation);
        entry
    }

    /// Writes the conversation's row.
    pub fn save(&mut self, id: ConversationId, conversation: &Conversation) {
        self.overlay.batch.conversations.insert(id, conversation.row);
    }

    /// An entry is to be published.
    pub fn publish(&mut self, entry: Arc<Entry>, conversation: &Conversation) {
        self.effects.push(Effect::Entry { entry, members: conversation.members() });
    }

    /// A stored entry is to be published again, if retention has left it: to those who have been members
    /// ever since. Whoever joined later must not be told of it.
    pub fn publish_again(
        &mut self,
        id: ConversationId,
        sequence: Sequence,
        conversation: &Conversation,
    ) {
        if let Some(entry) = self.overlay.entry(id, sequence) {
            self.effects
                .push(Effect::Entry { entry, members: conversation.members_since(sequence) });
        }
    }
}
