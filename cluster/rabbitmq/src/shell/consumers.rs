//! The consumers of the ports.

use super::deliveries::{Deliveries, Settle};
use super::uplink::Uplink;
use super::{dead_letters, messages};
use crate::core::acknowledged::Acknowledged;
use bytes::Bytes;
use ports::BoxFuture;
use ports::broker::{
    ConsumerLost, FanoutConsumer, InboundConsumer, InboundDelivery, JobConsumer, JobDelivery,
    JobSettlement, NewDeadLetter, Origin,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The consumer of a partition: positions are the tags of its channel.
pub struct Ordered {
    pub deliveries: Deliveries,
    pub acknowledged: Acknowledged,
}

impl InboundConsumer for Ordered {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<InboundDelivery>, ConsumerLost>> {
        Box::pin(async {
            let mut batch = Vec::new();
            for delivery in self.deliveries.next().await? {
                self.acknowledged.handed_out(delivery.delivery_tag);
                batch.push(InboundDelivery {
                    position: delivery.delivery_tag,
                    redelivered: delivery.redelivered || messages::redelivered(&delivery) > 0,
                    message: Bytes::from(delivery.data),
                });
            }
            Ok(batch)
        })
    }

    fn acknowledge(&mut self, through: u64) {
        if let Some(through) = self.acknowledged.acknowledge(through) {
            self.deliveries.settle(Settle::Through(through));
        }
    }
}

/// A consumer of jobs.
pub struct OneByOne {
    pub uplink: Arc<Uplink>,
    pub dead: Arc<dead_letters::Writer>,
    pub queue: u16,
    pub deliveries: Deliveries,
    pub held: BTreeMap<u64, Held>,
}

/// A job in hand.
pub struct Held {
    key: u128,
    attempts: u32,
    message: Bytes,
}

impl JobConsumer for OneByOne {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<JobDelivery>, ConsumerLost>> {
        Box::pin(async {
            let mut batch = Vec::new();
            for delivery in self.deliveries.next().await? {
                let (tag, redelivered) = (delivery.delivery_tag, messages::redelivered(&delivery));
                let key = messages::id(&delivery.properties);
                // One of somebody else has no id: then it is another one whenever it dies.
                let key = key.unwrap_or_else(|| u128::from(self.uplink.machine.entropy.next_u64()));
                let message = Bytes::from(delivery.data);
                let attempts = redelivered.saturating_add(1);
                self.held.insert(tag, Held { key, attempts, message: message.clone() });
                batch.push(JobDelivery { tag, redelivered, message });
            }
            Ok(batch)
        })
    }

    fn settle(&mut self, settlements: Vec<JobSettlement>) {
        for settlement in settlements {
            match settlement {
                JobSettlement::Done { tag } => {
                    if self.held.remove(&tag).is_some() {
                        self.deliveries.settle(Settle::One(tag));
                    }
                }
                JobSettlement::DeadLetter { tag, reason } => {
                    let Some(Held { key, attempts, message }) = self.held.remove(&tag) else {
                        continue;
                    };
                    let origin = Origin::Jobs(self.queue);
                    let dead = NewDeadLetter { origin, key, reason, attempts, message };
                    // A refusal carries no reason: the dead letter is kept first, the job given up then.
                    let kept = self.dead.until_kept(dead);
                    self.deliveries.settle(Settle::After(Box::pin(async move {
                        kept.await;
                        tag
                    })));
                }
            }
        }
    }
}

/// The consumer of a gateway's life.
pub struct Unsettled {
    pub nonce: u64,
    pub deliveries: Deliveries,
}

impl FanoutConsumer for Unsettled {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Bytes>, ConsumerLost>> {
        Box::pin(async {
            loop {
                let mut batch = Vec::new();
                let mut through = 0;
                for delivery in self.deliveries.next().await? {
                    through = delivery.delivery_tag;
                    match messages::taken_over_by(&delivery.properties) {
                        Some(nonce) if nonce == self.nonce => {}
                        Some(_) => {
                            self.deliveries.lose();
                            break;
                        }
                        None => batch.push(Bytes::from(delivery.data)),
                    }
                }
                // Handed out now: the next ones may come.
                self.deliveries.settle(Settle::Through(through));
                if !batch.is_empty() {
                    return Ok(batch);
                }
            }
        })
    }
}
