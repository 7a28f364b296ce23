//! How far a device has shown each of its conversations.

use protocol::frames::client::Cursor;
use protocol::limits;
use protocol::{ConversationId, Sequence};

/// One cursor per conversation, sorted: users have few conversations, and 16 bytes each are all that
/// an idle session costs for them.
#[derive(Debug, Default)]
pub struct Cursors(Vec<(ConversationId, Sequence)>);

/// What to do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new: show it.
    Show,
    /// It was shown before: drop it.
    Drop,
}

impl Cursors {
    /// Where the device stands in a conversation.
    pub fn get(&self, conversation: ConversationId) -> Option<Sequence> {
        self.find(conversation).ok().map(|at| self.0[at].1)
    }

    /// A stream begins behind `from`. What was shown stays shown: a cursor never falls.
    pub fn attached(&mut self, conversation: ConversationId, from: Sequence) {
        match self.find(conversation) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(from),
            Err(at) => self.0.insert(at, (conversation, from)),
        }
    }

    /// The user is no longer a member.
    pub fn detached(&mut self, conversation: ConversationId) {
        if let Ok(at) = self.find(conversation) {
            self.0.remove(at);
        }
    }

    /// An entry arrived. A gap before it is not hidden: whoever judges must see what was delivered.
    pub fn entry(&mut self, conversation: ConversationId, sequence: Sequence) -> Verdict {
        match self.find(conversation) {
            Ok(at) if sequence <= self.0[at].1 => return Verdict::Drop,
            Ok(at) => self.0[at].1 = sequence,
            Err(at) => self.0.insert(at, (conversation, sequence)),
        }
        Verdict::Show
    }

    /// For `hello`.
    pub fn to_report(&self) -> Vec<Cursor> {
        self.iter()
            .take(limits::MAX_CURSORS)
            .map(|(conversation, sequence)| Cursor { conversation, sequence })
            .collect()
    }

    /// All of them, by conversation.
    pub fn iter(&self) -> impl Iterator<Item = (ConversationId, Sequence)> {
        self.0.iter().copied()
    }

    fn find(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&conversation, |&(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: ConversationId = ConversationId(3);

    #[test]
    fn each_sequence_is_shown_once() {
        let mut cursors = Cursors::default();
        cursors.attached(CONVERSATION, Sequence(4));
        let verdicts = [5, 5, 4, 6, 9, 7].map(|q| cursors.entry(CONVERSATION, Sequence(q)));
        let (show, drop) = (Verdict::Show, Verdict::Drop);
        assert_eq!(verdicts, [show, drop, drop, show, show, drop]);
        assert_eq!(cursors.get(CONVERSATION), Some(Sequence(9)));
    }

    #[test]
    fn attaching_never_lowers_a_cursor() {
        let mut cursors = Cursors::default();
        cursors.attached(CONVERSATION, Sequence(4));
        cursors.attached(CONVERSATION, Sequence(2));
        assert_eq!(cursors.get(CONVERSATION), Some(Sequence(4)));
        cursors.attached(CONVERSATION, Sequence(8));
        assert_eq!(cursors.get(CONVERSATION), Some(Sequence(8)));
    }

    #[test]
    fn a_former_member_reports_no_cursor() {
        let mut cursors = Cursors::default();
        cursors.attached(CONVERSATION, Sequence(4));
        cursors.detached(CONVERSATION);
        assert!(cursors.to_report().is_empty());
    }
}
