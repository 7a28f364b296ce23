//! Which part of a run a judge sees, if several judge it together, and what a claim must see together.
//!
//! A conversation is in one part, and so is all that names it; an answer to a send is where the send is.
//! What names no conversation goes to every part: phases, faults, tokens, and sessions if a user's
//! conversations may be in different parts. So does a request for a change of membership. Of what goes to
//! several parts only one is counted.

use crate::history::event::What;
use protocol::{ConversationId, UserId};

/// What a claim must see together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One conversation at a time.
    Conversation,
    /// All conversations of a user, for this reason.
    User(&'static str),
    /// What concerns no conversation: the first part judges it.
    Run,
}

/// A part of a run, or several of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    of: u32,
    /// Bits, by number.
    numbers: u64,
    splits_users: bool,
}

/// So many parts can a run have.
pub const MOST_PARTS: u32 = u64::BITS;

impl Part {
    /// The whole run.
    pub const WHOLE: Self = Self { of: 1, numbers: 1, splits_users: false };

    /// One part of several, by its number from 0; users and conversations are dealt out by their ids.
    /// `splits_users`: conversations of one user can be in different parts.
    pub fn new(number: u32, of: u32, splits_users: bool) -> Self {
        assert!(number < of && of <= MOST_PARTS, "part {number} of {of}, at most {MOST_PARTS}");
        Self { of, numbers: 1 << number, splits_users }
    }

    const fn has(self, id: u64) -> bool {
        self.of == 1 || (self.numbers >> (id % self.of as u64)) & 1 == 1
    }

    /// Whether a conversation is in it.
    pub const fn has_conversation(self, conversation: ConversationId) -> bool {
        self.has(conversation.0)
    }

    /// Whether it counts what one event says of a user who is in several parts.
    const fn has_user(self, user: UserId) -> bool {
        self.has(user.0)
    }

    /// Whether conversations of one user can be in different parts.
    pub const fn splits_users(self) -> bool {
        self.splits_users
    }

    /// Whether what an event says is judged here; otherwise another part does it.
    pub const fn judges(self, is: &What) -> bool {
        if self.of == 1 {
            return true;
        }
        match (is, is.subject()) {
            (What::MemberAsked { conversation, .. }, _) => self.has_conversation(*conversation),
            (_, (_, Some(_))) => true,
            (_, (Some(device), None)) => self.has_user(device.user),
            (_, (None, None)) => self.has(0),
        }
    }

    /// Whether the part has to see an event, apart from answers (these are where the sends are).
    pub const fn sees(self, is: &What) -> bool {
        match (is, is.subject()) {
            (What::MemberAsked { .. }, _) | (_, (None, None)) => true,
            (_, (_, Some(conversation))) => self.has_conversation(conversation),
            (_, (Some(device), None)) => self.splits_users || self.has_user(device.user),
        }
    }

    /// This and another part of the same run.
    pub(crate) fn merged(self, other: Self) -> Self {
        assert!(
            (self.of, self.splits_users) == (other.of, other.splits_users)
                && self.numbers & other.numbers == 0,
            "{other:?} cannot be merged into {self:?}"
        );
        Self { numbers: self.numbers | other.numbers, ..self }
    }

    /// The numbers of the parts that are missing to a whole.
    pub(crate) fn missing(self) -> Vec<u32> {
        (0..self.of).filter(|number| (self.numbers >> number) & 1 == 0).collect()
    }
}
