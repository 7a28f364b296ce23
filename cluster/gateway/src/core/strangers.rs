//! Who has not said hello: so many sessions, shared by the addresses that they come from.
//!
//! A stranger costs little and shows nothing: without a share, one address that opens connections as fast as
//! hello takes too long would close the gateway to everybody. Whoever has said hello is no stranger, and
//! not counted here.

use link::shares::{NoPlace, Shares};
use protocol::SessionId;
use std::collections::BTreeMap;

/// From where somebody comes, as a number: the bits of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub u128);

/// See the module.
#[derive(Debug)]
pub struct Strangers {
    shares: Shares<Address>,
    /// As whose each counts.
    whose: BTreeMap<SessionId, Option<Address>>,
    /// How many were refused because their address had its share.
    refused: u64,
}

impl Strangers {
    /// None, and so many at a time at most.
    pub const fn new(most: usize) -> Self {
        Self { shares: Shares::new(most), whose: BTreeMap::new(), refused: 0 }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.shares.taken()
    }

    /// Whether one more may come from an address (`None`: of nobody who is counted). It then has a place,
    /// which belongs to the session that is `opened` with it.
    pub fn admit(&mut self, address: Option<Address>) -> bool {
        let taken = self.shares.take(address);
        self.refused += u64::from(taken == Err(NoPlace::Share));
        taken.is_ok()
    }

    /// The session that was admitted.
    pub fn opened(&mut self, id: SessionId, address: Option<Address>) {
        self.whose.insert(id, address);
    }

    /// A session has said hello, or is gone; nothing if it had said hello before.
    pub fn leave(&mut self, id: SessionId) {
        if let Some(address) = self.whose.remove(&id) {
            self.shares.give_back(address.as_ref());
        }
    }

    /// How many were refused for their address since this was last asked.
    pub const fn take_refused(&mut self) -> u64 {
        std::mem::replace(&mut self.refused, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_leaves_once() {
        let [address, other] = [1, 2].map(|number| Some(Address(number)));
        let mut strangers = Strangers::new(4);
        for id in [1, 2] {
            assert!(strangers.admit(address));
            strangers.opened(SessionId(id), address);
        }
        assert!(!strangers.admit(address) && strangers.admit(other));
        strangers.opened(SessionId(3), other);
        assert!(strangers.admit(None) && !strangers.admit(None), "four of four");
        strangers.opened(SessionId(4), None);
        assert_eq!(
            (strangers.len(), strangers.take_refused(), strangers.take_refused()),
            (4, 1, 0)
        );
        for id in [1, 1, 4, 4, 3, 2, 9] {
            strangers.leave(SessionId(id));
        }
        assert_eq!(strangers.len(), 0);
        assert!(strangers.whose.is_empty() && strangers.admit(address));
    }
}
