//! How far a device has shown each of its conversations.

use protocol::frames::client::{self, Cursor};
use protocol::frames::server::Attached;
use protocol::limits;
use protocol::{ConversationId, Sequence, tight};

/// One cursor per conversation, sorted: users have few conversations, and 16 bytes each are all that
/// an idle session costs for them.
#[derive(Debug, Default)]
pub struct Cursors {
    shown: Vec<(ConversationId, Sequence)>,
    /// Named in `hello`, sorted, and not attached in this session so far.
    named: Vec<ConversationId>,
}

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
        self.find(conversation).ok().map(|at| self.shown[at].1)
    }

    /// A stream begins behind `from`. What was shown stays shown, unless the cluster says that it never
    /// was: the first `attached` after a `hello` whose cursor lies beyond the head. Then the cluster has
    /// lost what it promised to keep, and under the old cursor its new entries would not be shown.
    pub fn attached(&mut self, &Attached { conversation, from, head }: &Attached) {
        let named = self.named.binary_search(&conversation);
        if let Ok(at) = named {
            self.named.remove(at);
            if self.named.is_empty() {
                // An idle session keeps no room for it.
                self.named = Vec::new();
            }
        }
        match self.find(conversation) {
            Ok(at) if named.is_ok() && head < self.shown[at].1 => self.shown[at].1 = from,
            Ok(at) => self.shown[at].1 = self.shown[at].1.max(from),
            Err(at) => tight::insert(&mut self.shown, at, (conversation, from)),
        }
    }

    /// The user is no longer a member.
    pub fn detached(&mut self, conversation: ConversationId) {
        if let Ok(at) = self.find(conversation) {
            self.shown.remove(at);
        }
    }

    /// An entry arrived. A gap before it is not hidden: whoever judges must see what was delivered.
    pub fn entry(&mut self, conversation: ConversationId, sequence: Sequence) -> Verdict {
        match self.find(conversation) {
            Ok(at) if sequence <= self.shown[at].1 => return Verdict::Drop,
            Ok(at) => self.shown[at].1 = sequence,
            Err(at) => tight::insert(&mut self.shown, at, (conversation, sequence)),
        }
        debug_assert!(self.shown.is_sorted_by_key(|&(id, _)| id), "{:?}", self.shown);
        Verdict::Show
    }

    /// For the `hello` of a new connection, and for the frames behind it.
    pub fn report(&mut self) -> (Vec<Cursor>, Vec<client::Cursors>) {
        let cursors: Vec<Cursor> = self
            .iter()
            .take(limits::MAX_CURSORS_IN_ALL)
            .map(|(conversation, sequence)| Cursor { conversation, sequence })
            .collect();
        self.named = cursors.iter().map(|cursor| cursor.conversation).collect();
        let mut frames = cursors.chunks(limits::SAFE_CURSORS).map(<[Cursor]>::to_vec).peekable();
        let of_hello = frames.next().unwrap_or_default();
        let mut behind = Vec::new();
        while let Some(cursors) = frames.next() {
            behind.push(client::Cursors { cursors, more: frames.peek().is_some() });
        }
        (of_hello, behind)
    }

    /// All of them, by conversation.
    pub fn iter(&self) -> impl Iterator<Item = (ConversationId, Sequence)> {
        self.shown.iter().copied()
    }

    fn find(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.shown.binary_search_by_key(&conversation, |&(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: ConversationId = ConversationId(3);

    fn attached(cursors: &mut Cursors, from: u64, head: u64) -> u64 {
        let (from, head) = (Sequence(from), Sequence(head));
        cursors.attached(&Attached { conversation: CONVERSATION, from, head });
        cursors.get(CONVERSATION).expect("it is attached").0
    }

    #[test]
    fn each_sequence_is_shown_once() {
        let mut cursors = Cursors::default();
        attached(&mut cursors, 4, 4);
        let verdicts = [5, 5, 4, 6, 9, 7].map(|q| cursors.entry(CONVERSATION, Sequence(q)));
        let (show, drop) = (Verdict::Show, Verdict::Drop);
        assert_eq!(verdicts, [show, drop, drop, show, show, drop]);
        assert_eq!(cursors.get(CONVERSATION), Some(Sequence(9)));
    }

    #[test]
    fn attaching_does_not_lower_a_cursor_that_the_head_bears_out() {
        let mut cursors = Cursors::default();
        assert_eq!(attached(&mut cursors, 4, 4), 4);
        // A second one in a session, whatever it says.
        assert_eq!(attached(&mut cursors, 2, 3), 4);
        cursors.report();
        assert_eq!(attached(&mut cursors, 2, 4), 4);
        assert_eq!(attached(&mut cursors, 8, 9), 8);
    }

    #[test]
    fn a_cursor_beyond_the_head_falls_with_the_first_attachment() {
        let mut cursors = Cursors::default();
        attached(&mut cursors, 9, 9);
        assert_eq!(cursors.report().0.len(), 1);
        assert_eq!(attached(&mut cursors, 7, 7), 7);
        assert_eq!(cursors.entry(CONVERSATION, Sequence(8)), Verdict::Show);
        assert_eq!(attached(&mut cursors, 7, 7), 8, "only the first attachment of a session");
        cursors.report();
        assert_eq!(attached(&mut cursors, 5, 5), 5);
    }

    #[test]
    fn a_former_member_reports_no_cursor() {
        let mut cursors = Cursors::default();
        attached(&mut cursors, 4, 4);
        cursors.detached(CONVERSATION);
        assert_eq!(cursors.report(), (vec![], vec![]));
    }
}
