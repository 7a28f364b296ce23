//! What this node knows of each partition's log.

use super::link::{Link, Links};
use crate::config::{CassandraConfig, Timing};
use crate::core::retired::Retired;
use ports::entered;
use ports::message_store::{Batch, Lease, StoreError};
use protocol::{Epoch, Partition};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// Everything that the calls of a node share.
pub struct Shared {
    links: Links,
    pub timing: Timing,
    /// How many partitions there are.
    pub partitions: u16,
    tracks: Mutex<BTreeMap<Partition, Arc<Track>>>,
    /// Rows that were replaced.
    pub retired: Mutex<Retired>,
    /// What the last commit has written of partitions whose batches are all in place, if it failed for others: who
    /// repeats it repeats these as well.
    pub written: Mutex<Written>,
    attempts: AtomicU64,
}

/// Batches by partition, in their order.
pub type Written = BTreeMap<Partition, Vec<(Lease, Batch)>>;

/// One partition's log.
#[derive(Default)]
pub struct Track {
    /// One write at a time. Inside: where a lease of this node stands, if that is certain.
    pub writing: tokio::sync::Mutex<Option<Standing>>,
    /// The rows of all slots up to here are in place, as far as this node knows.
    applied: AtomicI64,
    /// The same as the log has it: slots before this one are of no use to anybody.
    settled: AtomicI64,
    /// Large batches, each under its attempt, and its slot: of no use when that one is settled.
    pub large: Mutex<Vec<(i64, i64)>>,
}

/// Where a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub epoch: Epoch,
    /// The newest slot.
    pub head: i64,
}

impl Track {
    pub fn applied(&self) -> i64 {
        self.applied.load(Ordering::Acquire)
    }

    pub fn has_applied(&self, slot: i64) {
        self.applied.fetch_max(slot, Ordering::AcqRel);
    }

    pub fn settled(&self) -> i64 {
        self.settled.load(Ordering::Acquire)
    }

    pub fn has_settled(&self, slot: i64) {
        self.settled.fetch_max(slot, Ordering::AcqRel);
    }
}

impl Shared {
    /// `instance`: a random number, by which the attempts of this process are told from those of others.
    pub fn new(config: CassandraConfig, instance: u64) -> Self {
        Self {
            timing: config.timing,
            partitions: config.partitions,
            links: Links::new(config),
            tracks: Mutex::default(),
            retired: Mutex::default(),
            written: Mutex::default(),
            attempts: AtomicU64::new(instance),
        }
    }

    pub async fn link(&self) -> Result<Arc<Link>, StoreError> {
        self.links.get().await
    }

    pub fn track(&self, partition: Partition) -> Arc<Track> {
        Arc::clone(entered(self.tracks.lock()).entry(partition).or_default())
    }

    pub fn tracks(&self) -> Vec<(Partition, Arc<Track>)> {
        let all = entered(self.tracks.lock());
        all.iter().map(|(partition, track)| (*partition, Arc::clone(track))).collect()
    }

    /// Whether what was read since a view began is what it should have seen.
    pub fn in_time(&self, began: Instant) -> Result<(), StoreError> {
        let age = began.elapsed();
        if age > self.timing.view {
            // That may be removed by now.
            return Err(StoreError::Unavailable(format!("the view is {age:?} old")));
        }
        Ok(())
    }

    /// The number of a new attempt to write.
    pub fn attempt(&self) -> i64 {
        self.attempts.fetch_add(1, Ordering::Relaxed).cast_signed()
    }
}
