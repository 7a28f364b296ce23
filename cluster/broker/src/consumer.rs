//! The consumers of the ports, over whatever brings the deliveries of a queue.

use crate::core::{Delivery, Settlement};
use bytes::Bytes;
use ports::BoxFuture;
use ports::broker::{
    ConsumerLost, FanoutConsumer, InboundConsumer, InboundDelivery, JobConsumer, JobDelivery,
    JobSettlement,
};

/// Where the deliveries of one queue come from: the core, or a link to it.
pub trait Source: Send {
    /// The next deliveries, at least one. Cancel safe.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>, ConsumerLost>>;
    /// Settles, without waiting.
    fn settle(&mut self, settlements: Vec<Settlement>);
}

/// Acknowledged up to a position: its positions are the tags of the deliveries.
pub struct Ordered<S>(pub S);

impl<S: Source> InboundConsumer for Ordered<S> {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<InboundDelivery>, ConsumerLost>> {
        Box::pin(async {
            let deliveries = self.0.next().await?.into_iter().map(|delivery| InboundDelivery {
                position: delivery.tag,
                redelivered: delivery.redelivered > 0,
                message: delivery.message,
            });
            Ok(deliveries.collect())
        })
    }

    fn acknowledge(&mut self, through: u64) {
        self.0.settle(vec![Settlement::Through(through)]);
    }
}

/// Settled one by one.
pub struct OneByOne<S>(pub S);

impl<S: Source> JobConsumer for OneByOne<S> {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<JobDelivery>, ConsumerLost>> {
        Box::pin(async {
            let deliveries = self.0.next().await?.into_iter().map(|delivery| JobDelivery {
                tag: delivery.tag,
                redelivered: delivery.redelivered,
                message: delivery.message,
            });
            Ok(deliveries.collect())
        })
    }

    fn settle(&mut self, settlements: Vec<JobSettlement>) {
        self.0.settle(settlements.into_iter().map(Settlement::One).collect());
    }
}

/// Settled by itself, when the next ones are asked for: so the prefetch bounds what waits behind a
/// slow consumer.
pub struct Unsettled<S> {
    source: S,
    taken: Option<u64>,
}

impl<S> Unsettled<S> {
    pub fn new(source: S) -> Self {
        Self { source, taken: None }
    }
}

impl<S: Source> FanoutConsumer for Unsettled<S> {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Bytes>, ConsumerLost>> {
        Box::pin(async {
            if let Some(tag) = self.taken.take() {
                self.source.settle(vec![Settlement::Through(tag)]);
            }
            let deliveries = self.source.next().await?;
            self.taken = deliveries.last().map(|delivery| delivery.tag);
            Ok(deliveries.into_iter().map(|delivery| delivery.message).collect())
        })
    }
}
