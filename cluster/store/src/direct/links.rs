//! A store node's end: which link leads to which gateway, and what waits for it.

use super::queue::Queue;
use crate::core::attachments::LinkId;
use crate::wire::FromStore;
use bytes::Bytes;
use link::LinkSender;
use ports::broker::{BrokerUnavailable, Fanout, FanoutConsumer, FanoutMessage, GatewayLife};
use ports::{BoxFuture, Machine, Telemetry, entered};
use protocol::GatewayId;
use protocol::limits::StoreLimits;
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};

/// The gateways that consume what a store node publishes.
pub struct GatewayLinks {
    consumers: Mutex<BTreeMap<GatewayId, Consumer>>,
    telemetry: Arc<dyn Telemetry>,
    queue_bytes: usize,
}

struct Consumer {
    life: GatewayLife,
    link: LinkId,
    sender: LinkSender<FromStore>,
    queue: Queue,
}

impl GatewayLinks {
    /// Nobody consumes yet.
    pub fn new(machine: &Machine, limits: StoreLimits) -> Arc<Self> {
        let (consumers, telemetry) = (Mutex::default(), Arc::clone(&machine.telemetry));
        Arc::new(Self { consumers, telemetry, queue_bytes: limits.gateway_queue_bytes })
    }

    /// A gateway's life consumes over a link; the last one with a gateway's number wins.
    pub(crate) fn consume(
        &self,
        link: LinkId,
        (life, window): (GatewayLife, u32),
        sender: LinkSender<FromStore>,
    ) {
        let queue = Queue::new(window, self.queue_bytes);
        let consumer = Consumer { life, link, sender, queue };
        let earlier = self.lock().insert(life.gateway, consumer);
        if let Some(earlier) = earlier.filter(|earlier| earlier.link != link) {
            // Mostly the lost link of the same life, whose reader is gone.
            let _ = earlier.sender.send(&FromStore::ConsumerLost);
        }
    }

    /// A consumer has taken what it got over a link.
    pub(crate) fn taken(&self, link: LinkId, receipt: u64) {
        let mut consumers = self.lock();
        if let Some(consumer) = consumers.values_mut().find(|consumer| consumer.link == link) {
            consumer.queue.taken(receipt);
            consumer.send();
        }
    }

    /// A link is lost.
    pub(crate) fn lose(&self, link: LinkId) {
        self.lock().retain(|_, consumer| consumer.link != link);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GatewayId, Consumer>> {
        entered(self.consumers.lock())
    }
}

impl Consumer {
    /// Puts a record in line. A batch that is larger than the queue need not wait in it.
    fn put(&mut self, record: Bytes) -> bool {
        if !self.queue.has_room(&record) {
            self.send();
        }
        self.queue.put(record)
    }

    fn send(&mut self) {
        while let Some(frame) = self.queue.next() {
            // A lost link is noticed by its own task.
            let _ = self.sender.send(&FromStore::Records(frame.records, frame.receipt));
        }
    }
}

impl Fanout for GatewayLinks {
    /// Confirms at once: what has a link and room is in line there, the rest is dropped.
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        let (mut dropped, mut waiting) = (0, 0);
        let mut consumers = self.lock();
        for FanoutMessage { to, message } in batch {
            let consumer = consumers.get_mut(&to.gateway);
            let is_taken = consumer
                .filter(|consumer| consumer.life == to)
                .is_some_and(|consumer| consumer.put(message));
            dropped += u64::from(!is_taken);
        }
        for consumer in consumers.values_mut() {
            consumer.send();
            waiting = waiting.max(consumer.queue.bytes());
        }
        drop(consumers);
        if dropped > 0 {
            self.telemetry.count("store_dropped_records", dropped);
        }
        let limit = self.queue_bytes as u64;
        self.telemetry.gauge("store_gateway_queue_bytes", waiting as u64, limit);
        Box::pin(ready(Ok(())))
    }

    /// Nobody consumes on a store node.
    fn consume(
        &self,
        _: GatewayLife,
        _: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        Box::pin(ready(Err(BrokerUnavailable)))
    }
}
