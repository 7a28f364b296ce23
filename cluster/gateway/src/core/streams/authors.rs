//! Whose messages a receipt covers: in a conversation with many members only their authors are told of
//! it. If everybody were told how far everybody has got, each message of a group would cost the square of
//! its members; so it costs one receipt, or two (delivered, read), for each time that it was delivered, at most.

use super::member_cursors::Raised;
use protocol::{Sequence, UserId};
use std::collections::{BTreeSet, VecDeque};

/// Authors of the newest messages that went by, with their sequences, in order.
#[derive(Debug, Default)]
pub struct Authors(VecDeque<(Sequence, UserId)>);

impl Authors {
    /// A message goes by; `most` are kept.
    pub fn note(&mut self, sequence: Sequence, author: UserId, most: usize) {
        while self.0.len() >= most.max(1) {
            self.0.pop_front();
        }
        self.0.push_back((sequence, author));
    }

    /// Those whose messages a member had not got before, or not read.
    pub fn covered(&self, raised: &Raised) -> BTreeSet<UserId> {
        let Raised { told, before } = raised;
        let is_new = |sequence: &Sequence| {
            (before.0 < *sequence && *sequence <= told.delivered)
                || (before.1 < *sequence && *sequence <= told.read)
        };
        let oldest = before.0.min(before.1);
        let begin = self.0.partition_point(|(sequence, _)| *sequence <= oldest);
        let news = self.0.range(begin..).filter(|(sequence, _)| is_new(sequence));
        news.map(|(_, author)| *author).filter(|author| *author != told.user).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ConversationId;
    use protocol::frames::server::Receipts;

    #[test]
    fn those_are_told_whose_messages_are_newly_delivered_or_read() {
        let mut authors = Authors::default();
        for (sequence, author) in [(1, 10), (2, 20), (4, 30), (5, 40), (6, 10)] {
            authors.note(Sequence(sequence), UserId(author), 4);
        }
        let covered = |user: u64, before: (u64, u64), delivered: u64, read: u64| {
            let (delivered, read) = (Sequence(delivered), Sequence(read));
            let told =
                Receipts { conversation: ConversationId(1), user: UserId(user), delivered, read };
            let raised = Raised { told, before: (Sequence(before.0), Sequence(before.1)) };
            authors.covered(&raised).into_iter().map(|author| author.0).collect::<Vec<_>>()
        };
        assert_eq!(covered(7, (0, 0), 6, 6), [10, 20, 30, 40], "the message 1 is no longer known");
        assert_eq!(covered(10, (0, 0), 6, 6), [20, 30, 40], "nobody is told of oneself");
        assert_eq!(covered(7, (4, 4), 5, 5), [40]);
        assert_eq!(covered(7, (5, 2), 5, 4), [30], "delivered before, and read now");
        assert_eq!(covered(7, (2, 2), 6, 2), [10, 30, 40]);
        assert_eq!(covered(7, (2, 2), 3, 3), [0; 0], "no message is there");
    }
}
