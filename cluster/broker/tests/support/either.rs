//! A consumer of a partition or of jobs.

use ports::broker::conformance::number;
use ports::broker::{Brokers, InboundConsumer, InboundDelivery, InboundOptions};
use ports::broker::{JobConsumer, JobDelivery};
use protocol::{Epoch, Partition};
use std::time::Duration;
use tokio::time::timeout;

/// One of each kind: a partition, then a queue of jobs.
pub const KINDS: usize = 2;
pub const PARTITION: Partition = Partition(0);
pub const QUEUE: u16 = 3;

/// A consumer with what it holds: positions or tags, and messages.
pub enum Consumer {
    Ordered(Box<dyn InboundConsumer>, Vec<(u64, u32)>),
    OneByOne(Box<dyn JobConsumer>, Vec<(u64, u32)>),
}

impl Consumer {
    pub async fn new(brokers: &Brokers, queue: usize, prefetch: u32) -> Self {
        if queue == 0 {
            let options = InboundOptions { prefetch, epoch: Epoch(1) };
            let consumer = brokers.inbound.consume(PARTITION, options).await.unwrap();
            Self::Ordered(consumer, Vec::new())
        } else {
            Self::OneByOne(brokers.jobs.consume(QUEUE, prefetch).await.unwrap(), Vec::new())
        }
    }

    /// Takes what comes within some milliseconds.
    pub async fn take(&mut self, ms: u64) {
        let patience = Duration::from_millis(ms);
        match self {
            Self::Ordered(consumer, held) => {
                if let Ok(next) = timeout(patience, consumer.next()).await {
                    let numbered = |next: &InboundDelivery| (next.position, number(&next.message));
                    held.extend(next.unwrap().iter().map(numbered));
                }
            }
            Self::OneByOne(consumer, held) => {
                if let Ok(next) = timeout(patience, consumer.next()).await {
                    let numbered = |next: &JobDelivery| (next.tag, number(&next.message));
                    held.extend(next.unwrap().iter().map(numbered));
                }
            }
        }
    }

    pub fn held(&self) -> Vec<u32> {
        let (Self::Ordered(_, held) | Self::OneByOne(_, held)) = self;
        held.iter().map(|(_, message)| *message).collect()
    }
}
