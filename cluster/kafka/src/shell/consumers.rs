//! The consumers of the durable ports.

use super::dead_letters::Letters;
use super::reader::{Deliveries, Settle};
use super::uplink::Uplink;
use bytes::Bytes;
use ports::BoxFuture;
use ports::broker::{
    ConsumerLost, InboundConsumer, InboundDelivery, JobConsumer, JobDelivery, JobSettlement,
    NewDeadLetter, Origin,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The consumer of a partition: positions are offsets.
pub struct Ordered {
    pub deliveries: Deliveries,
}

impl InboundConsumer for Ordered {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<InboundDelivery>, ConsumerLost>> {
        Box::pin(async {
            let batch = self.deliveries.next().await.ok_or(ConsumerLost)?;
            let deliveries = batch.into_iter().map(|delivery| InboundDelivery {
                position: delivery.offset,
                redelivered: delivery.redelivered,
                message: delivery.message,
            });
            Ok(deliveries.collect())
        })
    }

    fn acknowledge(&mut self, through: u64) {
        // A consumer that is lost acknowledges nothing.
        let _ = self.deliveries.settle.send(Settle::Through(through));
    }
}

/// A consumer of jobs: tags are offsets.
pub struct OneByOne {
    pub uplink: Arc<Uplink>,
    pub letters: Arc<Letters>,
    pub queue: u16,
    pub deliveries: Deliveries,
    pub held: BTreeMap<u64, Held>,
}

/// A job in hand.
pub struct Held {
    attempts: u32,
    message: Bytes,
}

impl JobConsumer for OneByOne {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<JobDelivery>, ConsumerLost>> {
        Box::pin(async {
            let batch = self.deliveries.next().await.ok_or(ConsumerLost)?;
            let mut deliveries = Vec::with_capacity(batch.len());
            for delivery in batch {
                let (tag, message) = (delivery.offset, delivery.message);
                // Kafka counts nothing: once, or more often.
                let redelivered = u32::from(delivery.redelivered);
                self.held.insert(tag, Held { attempts: redelivered + 1, message: message.clone() });
                deliveries.push(JobDelivery { tag, redelivered, message });
            }
            Ok(deliveries)
        })
    }

    fn settle(&mut self, settlements: Vec<JobSettlement>) {
        for settlement in settlements {
            match settlement {
                JobSettlement::Done { tag } => {
                    if self.held.remove(&tag).is_some() {
                        let _ = self.deliveries.settle.send(Settle::One(tag));
                    }
                }
                JobSettlement::DeadLetter { tag, reason } => {
                    let Some(Held { attempts, message }) = self.held.remove(&tag) else {
                        continue;
                    };
                    let origin = Origin::Jobs(self.queue);
                    // Its place in the queue names it.
                    let key = u128::from(tag);
                    let dead = NewDeadLetter { origin, key, reason, attempts, message };
                    // It is kept first, the job given up then.
                    let (kept, settle) =
                        (self.letters.until_kept(dead), self.deliveries.settle.clone());
                    self.uplink.machine.spawn("kafka dead letter", async move {
                        kept.await;
                        let _ = settle.send(Settle::One(tag));
                    });
                }
            }
        }
    }
}
