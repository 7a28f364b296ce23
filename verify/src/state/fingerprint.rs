//! Fingerprints of what is said: 32 bits stand for author, message id and content.
//!
//! Two different entries get the same fingerprint once in 4 billion comparisons; that is the price
//! of 4 bytes per entry. Zero means "nothing yet".

use crate::history::event::Said;
use protocol::{ClientMessageId, UserId};

/// The fingerprint of an entry, or of a send that will become one.
pub(crate) fn fingerprint(author: UserId, message: ClientMessageId, said: &Said) -> u32 {
    let (kind, first, second) = match *said {
        Said::Message { hash, parent } => (1, hash, parent.map_or(0, |p| p.0.wrapping_add(1))),
        Said::Edit { target, hash } => (2, hash, target.0),
        Said::Delete { target } => (3, 0, target.0),
        Said::Join { user } => (4, user.0, 0),
        Said::Leave { user } => (5, user.0, 0),
    };
    let mut x = mix(author.0 ^ (kind << 60));
    x = mix(x ^ message.0);
    x = mix(x ^ first);
    x = mix(x ^ second);
    ((x >> 32) as u32).max(1)
}

/// The 64-bit mix after an odd offset, so that 0 is no fixed point.
pub(crate) const fn mix(x: u64) -> u64 {
    protocol::mix::mix(x.wrapping_add(protocol::mix::GAMMA))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Sequence;

    #[test]
    fn every_field_counts() {
        let base =
            |author, message, said| fingerprint(UserId(author), ClientMessageId(message), &said);
        let fingerprints = [
            base(1, 1, Said::Message { hash: 5, parent: None }),
            base(2, 1, Said::Message { hash: 5, parent: None }),
            base(1, 2, Said::Message { hash: 5, parent: None }),
            base(1, 1, Said::Message { hash: 6, parent: None }),
            base(1, 1, Said::Message { hash: 5, parent: Some(Sequence(0)) }),
            base(1, 1, Said::Message { hash: 5, parent: Some(Sequence(1)) }),
            base(1, 1, Said::Edit { hash: 5, target: Sequence(1) }),
            base(1, 1, Said::Delete { target: Sequence(1) }),
            base(1, 1, Said::Join { user: UserId(1) }),
            base(1, 1, Said::Leave { user: UserId(1) }),
        ];
        for (i, a) in fingerprints.iter().enumerate() {
            assert!(fingerprints[i + 1..].iter().all(|b| a != b), "{i}");
        }
    }
}
