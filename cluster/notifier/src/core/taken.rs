//! What the provider has taken, by this life of the notifier.
//!
//! An owner that dies before its broker has confirmed makes the same job again, and a settlement can be
//! lost with its connection: the push is not made a second time for that.

use protocol::store_calls::PushRef;
use std::collections::{BTreeSet, VecDeque};

/// See the module.
#[derive(Debug)]
pub struct Taken {
    most: usize,
    known: BTreeSet<PushRef>,
    order: VecDeque<PushRef>,
}

impl Taken {
    /// So many are remembered; the oldest is forgotten first, and its key lets the provider recognise it.
    pub const fn new(most: usize) -> Self {
        Self { most, known: BTreeSet::new(), order: VecDeque::new() }
    }

    /// Whether the provider has taken it.
    pub fn has(&self, push: &PushRef) -> bool {
        self.known.contains(push)
    }

    /// The provider has taken it.
    pub fn insert(&mut self, push: PushRef) {
        if self.known.insert(push) {
            self.order.push_back(push);
        }
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ConversationId, Sequence, UserId};

    const PUSHES_MAX: usize = 64;

    #[test]
    fn the_newest_are_remembered() {
        let push = |user| PushRef {
            user: UserId(user),
            conversation: ConversationId(1),
            sequence: Sequence(1),
        };
        let mut taken = Taken::new(PUSHES_MAX);
        for user in 0..=PUSHES_MAX as u64 {
            taken.insert(push(user));
            taken.insert(push(user));
        }
        assert!(!taken.has(&push(0)));
        assert!(taken.has(&push(1)) && taken.has(&push(PUSHES_MAX as u64)));
        assert_eq!((taken.known.len(), taken.order.len()), (PUSHES_MAX, PUSHES_MAX));
    }
}
