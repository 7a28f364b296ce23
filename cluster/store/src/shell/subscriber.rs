//! The exclusive consumer of one partition's inbound queue.

use super::input::{Consumer, Input};
use super::publisher::Acknowledgement;
use ports::Machine;
use ports::broker::{ConsumeError, Inbound, InboundConsumer, InboundOptions};
use protocol::backoff::Backoff;
use protocol::{Epoch, Partition};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The first pause before subscribing again; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The task's belongings.
pub struct Subscriber {
    /// The node's machine.
    pub machine: Machine,
    /// Where the queue is.
    pub inbound: Arc<dyn Inbound>,
    /// Which queue.
    pub partition: Partition,
    /// The epoch to consume under, a hint to the broker; a new one means a new subscription,
    /// `None` means none.
    pub epoch: watch::Receiver<Option<Epoch>>,
    /// Deliveries that the owner holds unacknowledged.
    pub prefetch: u32,
    /// What the publisher has done with the deliveries.
    pub done: mpsc::UnboundedReceiver<Acknowledgement>,
    /// Where the deliveries go.
    pub owner: mpsc::UnboundedSender<Input>,
    /// Dropped at the end, so that somebody can wait for it.
    #[expect(dead_code, reason = "its drop is what it is for")]
    pub ended: mpsc::Sender<()>,
}

impl Subscriber {
    /// Runs until the publisher is gone and its last acknowledgements are made.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(PAUSE, PAUSE_MAX);
        for number in 1.. {
            let Some(epoch) = self.owned().await else { return };
            let options = InboundOptions { prefetch: self.prefetch, epoch };
            let consumer = Consumer { partition: self.partition, epoch, number };
            match self.inbound.consume(self.partition, options).await {
                Ok(queue) => {
                    backoff.reset();
                    if !self.consume(queue, consumer).await {
                        return;
                    }
                }
                // Which of two owners rules, the store's engine says to both of them.
                Err(ConsumeError::Taken | ConsumeError::Unavailable) => {}
            }
            tokio::time::sleep(backoff.next(self.machine.entropy.next_u64())).await;
        }
    }

    /// Waits until the partition is this node's; `None`: the publisher or the owner is gone.
    async fn owned(&mut self) -> Option<Epoch> {
        loop {
            if let Some(epoch) = *self.epoch.borrow_and_update() {
                return Some(epoch);
            }
            tokio::select! {
                biased;
                // What was done before means nothing any more.
                done = self.done.recv() => drop(done?),
                changed = self.epoch.changed() => changed.ok()?,
            }
        }
    }

    /// Consumes until the subscription is lost or the epoch changes; whether to subscribe again.
    async fn consume(&mut self, mut queue: Box<dyn InboundConsumer>, consumer: Consumer) -> bool {
        loop {
            tokio::select! {
                biased;
                done = self.done.recv() => match done {
                    // Positions of an earlier subscription mean other deliveries now.
                    Some((of, through)) if of == consumer => queue.acknowledge(through),
                    Some(_) => {}
                    None => return false,
                },
                changed = self.epoch.changed() => return changed.is_ok(),
                deliveries = queue.next() => {
                    let Ok(deliveries) = deliveries else { return true };
                    if self.owner.send(Input::Deliveries(consumer, deliveries)).is_err() {
                        return false;
                    }
                }
            }
        }
    }
}
