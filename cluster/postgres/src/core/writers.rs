//! Under which number a lease is written.
//!
//! A commit whose answer did not come may still be under way: in a socket, or in a server process that
//! does not run at the moment. The caller commits the same again, goes on, and then the old statement
//! would be carried out, under a lease that is still the newest, and put older rows over newer ones. So
//! each lease has a writer's number beside its epoch, which rises after every commit of unknown outcome,
//! before anything else is written: a statement with a lower number writes nothing, whenever it comes.

use ports::message_store::Lease;
use protocol::{Epoch, Partition};
use std::collections::BTreeMap;

/// The numbers of the leases that this adapter writes under.
#[derive(Clone, Debug, Default)]
pub struct Writers(BTreeMap<Partition, (Epoch, i64)>);

impl Writers {
    /// The number that a claim begins with.
    pub const FIRST: i64 = 1;

    /// The number of a lease; `None`: it must be raised before anything is written.
    pub fn number(&self, lease: Lease) -> Option<i64> {
        let (epoch, number) = self.0.get(&lease.partition)?;
        (*epoch == lease.epoch).then_some(*number)
    }

    /// It was raised, or acquired.
    pub fn learn(&mut self, lease: Lease, number: i64) {
        self.0.insert(lease.partition, (lease.epoch, number));
    }

    /// What was sent under these may still be carried out.
    pub fn forget(&mut self, leases: impl IntoIterator<Item = Lease>) {
        for lease in leases {
            // A newer lease of the same partition has nothing to do with it.
            if self.number(lease).is_some() {
                self.0.remove(&lease.partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(partition: u16, epoch: u64) -> Lease {
        Lease { partition: Partition(partition), epoch: Epoch(epoch) }
    }

    #[test]
    fn a_number_belongs_to_one_epoch() {
        let mut writers = Writers::default();
        assert_eq!(writers.number(lease(1, 1)), None);
        writers.learn(lease(1, 1), Writers::FIRST);
        assert_eq!(writers.number(lease(1, 1)), Some(1));
        assert_eq!((writers.number(lease(1, 2)), writers.number(lease(2, 1))), (None, None));
    }

    #[test]
    fn only_what_was_sent_is_forgotten() {
        let mut writers = Writers::default();
        writers.learn(lease(1, 2), 5);
        writers.learn(lease(2, 1), 1);
        writers.forget([lease(1, 1), lease(2, 1)]);
        assert_eq!(writers.number(lease(1, 2)), Some(5), "it has a newer lease");
        assert_eq!(writers.number(lease(2, 1)), None);
    }
}
