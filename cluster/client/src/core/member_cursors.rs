//! How far other members have got, as the device displays it.
//!
//! Receipts are best effort: another gateway may be behind the last one, and what is told may come
//! again. The display keeps the maximum, for as long as the session lives.

use protocol::frames::server::Receipts;
use protocol::{ConversationId, Sequence, UserId, tight};

/// Delivered and read, of each member that was heard of, sorted: 32 bytes each, and most devices hear of
/// few.
#[derive(Debug, Default)]
pub struct MemberCursors(Vec<((ConversationId, UserId), (Sequence, Sequence))>);

impl MemberCursors {
    /// What is displayed from now on; `None` if that is no news.
    pub fn raise(&mut self, told: Receipts) -> Option<Receipts> {
        let member = (told.conversation, told.user);
        let index = self.0.binary_search_by_key(&member, |&(member, _)| member);
        let index = index.unwrap_or_else(|index| {
            tight::insert(&mut self.0, index, (member, (Sequence::START, Sequence::START)));
            index
        });
        let (delivered, read) = &mut self.0[index].1;
        let risen = told.delivered > *delivered || told.read > *read;
        *delivered = told.delivered.max(*delivered);
        *read = told.read.max(*read);
        risen.then_some(Receipts { delivered: *delivered, read: *read, ..told })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_only_rises() {
        let mut cursors = MemberCursors::default();
        let mut displayed = Vec::new();
        for (user, delivered, read) in
            [(2, 4, 3), (2, 4, 3), (3, 1, 1), (2, 3, 2), (2, 2, 4), (2, 5, 1), (3, 0, 0)]
        {
            let told = Receipts {
                conversation: ConversationId(1),
                user: UserId(user),
                delivered: Sequence(delivered),
                read: Sequence(read),
            };
            let told = cursors.raise(told);
            displayed.extend(told.map(|told| (told.user.0, told.delivered.0, told.read.0)));
        }
        assert_eq!(displayed, [(2, 4, 3), (3, 1, 1), (2, 4, 4), (2, 5, 4)]);
    }
}
