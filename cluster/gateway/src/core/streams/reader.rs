//! A session as a reader of streams.

use protocol::{ConversationId, Sequence, UserId};

/// See the module.
#[derive(Debug)]
pub struct Reader {
    /// Whose it is.
    pub user: UserId,
    /// Whether it wants presence and typing.
    pub presence: bool,
    /// Conversations to which it subscribes.
    pub conversations: Vec<ConversationId>,
    /// Where streams of this session ended, or did not begin, because the user left: a stream that begins
    /// again does not go back behind that, however old the news of the joining is. Sorted: a device may name
    /// many cursors.
    pub left: Vec<(ConversationId, Sequence)>,
    /// Pages of backlog under way for it.
    pub pages: u8,
}

impl Reader {
    /// When a stream begins again, it goes on behind `at`.
    pub fn goes_on_behind(&mut self, conversation: ConversationId, at: Sequence) {
        match self.place(conversation) {
            Ok(place) => self.left[place].1 = at,
            Err(place) => self.left.insert(place, (conversation, at)),
        }
    }

    /// Where it stands in `left`, or would.
    pub fn place(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.left.binary_search_by_key(&conversation, |(other, _)| *other)
    }
}
