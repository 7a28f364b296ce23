//! The deliveries of one queue on a channel of its own, and what is said about them.

use super::link::Link;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use ports::broker::ConsumerLost;
use ports::{BoxFuture, Machine};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// A consumer of a queue. Dropping it closes its channel, once everything that was settled is on its way:
/// then the queue has back what was not.
pub struct Deliveries {
    consumer: Consumer,
    settle: mpsc::UnboundedSender<Settle>,
    lost: watch::Receiver<bool>,
    is_lost: bool,
}

/// What becomes of deliveries.
pub enum Settle {
    /// Everything up to this tag is done.
    Through(u64),
    /// This one is done.
    One(u64),
    /// This one is done as soon as the future ends.
    After(BoxFuture<'static, u64>),
}

impl Deliveries {
    /// Consumes a queue on a channel that was made for it.
    pub async fn begin(
        machine: &Machine,
        link: &Arc<Link>,
        channel: Channel,
        queue: &str,
        prefetch: u32,
    ) -> lapin::Result<Self> {
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX).max(1);
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
        let (settle, settling) = mpsc::unbounded_channel();
        let lost = link.lost.subscribe();
        let settling = settle_all(channel, consumer.clone(), settling, lost.clone());
        machine.spawn("rabbitmq settling", settling);
        Ok(Self { consumer, settle, lost, is_lost: false })
    }

    /// The next deliveries, at least one, as many as are there. Cancel safe.
    pub async fn next(&mut self) -> Result<Vec<Delivery>, ConsumerLost> {
        if self.is_lost {
            return Err(ConsumerLost);
        }
        let first = tokio::select! {
            biased;
            _ = self.lost.wait_for(|lost| *lost) => None,
            next = self.consumer.next() => next,
        };
        let Some(Ok(first)) = first else {
            self.is_lost = true;
            return Err(ConsumerLost);
        };
        let mut batch = vec![first];
        while let Some(next) = self.consumer.next().now_or_never() {
            let Some(Ok(next)) = next else {
                self.is_lost = true;
                break;
            };
            batch.push(next);
        }
        Ok(batch)
    }

    /// Settles, in line and without waiting.
    pub fn settle(&self, settle: Settle) {
        // Without a channel everything is delivered again.
        let _ = self.settle.send(settle);
    }

    /// From now on nothing comes.
    pub fn lose(&mut self) {
        self.is_lost = true;
    }
}

/// Closes the channel when everything is settled, or the link is lost. The consumer is kept until then: `lapin`
/// cancels one that is dropped, and gives back what it has prefetched; then the next consumer would get that
/// before what is older and still held.
async fn settle_all(
    channel: Channel,
    consumer: Consumer,
    mut settling: mpsc::UnboundedReceiver<Settle>,
    mut lost: watch::Receiver<bool>,
) {
    let mut later = futures_util::stream::FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !later.is_empty() {
        let (tag, multiple) = tokio::select! {
            biased;
            // Its connection may stand: a link is also given up when publishing fails.
            _ = lost.wait_for(|lost| *lost) => break,
            Some(tag) = later.next() => (tag, false),
            settle = settling.recv(), if is_open => match settle {
                Some(Settle::Through(tag)) => (tag, true),
                Some(Settle::One(tag)) => (tag, false),
                Some(Settle::After(done)) => {
                    later.push(done);
                    continue;
                }
                None => {
                    is_open = false;
                    continue;
                }
            },
        };
        if channel.basic_ack(tag, BasicAckOptions { multiple }).await.is_err() {
            // The channel is gone, and with it whatever it held.
            return;
        }
    }
    // A channel that cannot be closed is gone.
    let _ = channel.close(200, "done".into()).await;
    drop(consumer);
}
