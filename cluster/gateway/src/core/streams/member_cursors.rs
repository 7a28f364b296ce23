//! How far the members of a conversation have got, as far as that was told here.
//!
//! Records of an owner may come twice: it publishes again what was not confirmed. So what is told of a
//! member is kept, and nobody is told less than that.

use protocol::frames::server::Receipts;
use protocol::{Sequence, UserId};

/// Delivered and read of each member whose cursors were told, sorted: 24 bytes each.
#[derive(Debug, Default)]
pub struct MemberCursors(Vec<(UserId, Sequence, Sequence)>);

/// A member has got further than was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// What is to be told.
    pub told: Receipts,
    /// Delivered and read, as was told before.
    pub before: (Sequence, Sequence),
}

impl MemberCursors {
    /// Whether a member has got further than was told.
    pub fn raise(&mut self, told: Receipts) -> Option<Raised> {
        let index = match self.0.binary_search_by_key(&told.user, |(user, ..)| *user) {
            Ok(index) => index,
            Err(index) => {
                self.0.insert(index, (told.user, Sequence::START, Sequence::START));
                index
            }
        };
        let (_, delivered, read) = &mut self.0[index];
        let before = (*delivered, *read);
        *delivered = told.delivered.max(*delivered);
        *read = told.read.max(*read);
        let told = Receipts { delivered: *delivered, read: *read, ..told };
        (before != (*delivered, *read)).then_some(Raised { told, before })
    }
}
