//! Which poison became a dead letter already: a resend gets the answer again, but no second letter.
//!
//! Remembered for one subscription only. What was asked of the broker under an earlier one may have
//! been lost with it: the same delivery comes again then, and must get its letter.

use protocol::{ClientMessageId, Epoch, UserId};
use std::collections::BTreeMap;

/// The dead letters of one partition under one subscription.
#[derive(Debug)]
pub struct Burials {
    capacity: usize,
    under: (Epoch, u64),
    tags: BTreeMap<(UserId, ClientMessageId), u64>,
}

impl Burials {
    /// Remembers so many letters; beyond it all are forgotten, and a resend may get a second letter.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, under: (Epoch(0), 0), tags: BTreeMap::new() }
    }

    /// Whether this delivery becomes the letter of its message: the first one does, however often it
    /// is applied.
    pub fn takes(
        &mut self,
        under: (Epoch, u64),
        message: (UserId, ClientMessageId),
        tag: u64,
    ) -> bool {
        if self.under != under || self.tags.len() >= self.capacity {
            self.under = under;
            self.tags.clear();
        }
        *self.tags.entry(message).or_insert(tag) == tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 3;

    #[test]
    fn a_message_gets_one_letter_per_subscription() {
        let mut burials = Burials::new(CAPACITY);
        let (first, second) = ((Epoch(1), 1), (Epoch(1), 2));
        let message = |id| (UserId(1), ClientMessageId(id));
        for (under, id, tag, expected) in [
            (first, 5, 10, true),
            // Applied again.
            (first, 5, 10, true),
            // A resend, and another message.
            (first, 5, 11, false),
            (first, 6, 12, true),
            // Both deliveries of it come again: the letter may have been lost.
            (second, 5, 1, true),
            (second, 5, 2, false),
        ] {
            assert_eq!(burials.takes(under, message(id), tag), expected, "{under:?} {id} {tag}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut burials = Burials::new(CAPACITY);
        for id in 0..=2 * CAPACITY as u64 {
            assert!(burials.takes((Epoch(1), 1), (UserId(1), ClientMessageId(id)), id));
            assert!(burials.tags.len() <= CAPACITY);
        }
    }
}
