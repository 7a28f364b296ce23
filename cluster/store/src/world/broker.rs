//! A broker in memory: durable queues that survive their consumers, gateways' queues that exist once
//! they were made, and confirms that can be withheld.

use bytes::Bytes;
use ports::BoxFuture;
use ports::broker::{
    BrokerUnavailable, Brokers, Confirms, ConsumeError, ConsumerLost, DeadLetter, DeadLetters,
    Depths, Fanout, FanoutConsumer, FanoutMessage, GatewayLife, Inbound, InboundConsumer,
    InboundDelivery, InboundOptions, Job, JobConsumer, Jobs, NewDeadLetter, Origin, PublishError,
    Queue,
};
use protocol::records::{self, ToGateway};
use protocol::{Epoch, Partition};
use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

#[derive(Clone, Default)]
pub struct FakeBroker(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<Queue, Waiting>,
    dead: BTreeMap<(Origin, u128), String>,
    /// Publish calls that are answered `Unknown`, stored all the same or not.
    unknown: u32,
    stored_all_the_same: bool,
}

#[derive(Default)]
struct Waiting {
    ready: VecDeque<(bool, Bytes)>,
    unsettled: BTreeMap<u64, (bool, Bytes)>,
    next_tag: u64,
    consumer: u64,
    epoch: Epoch,
}

impl FakeBroker {
    pub fn put(&self, queue: Queue, message: Bytes) {
        self.state().queues.entry(queue).or_default().ready.push_back((false, message));
        self.0.changed.notify_waiters();
    }

    /// Makes a gateway's queue.
    pub fn make(&self, queue: Queue) {
        self.state().queues.entry(queue).or_default();
    }

    /// What waits in a queue, taken.
    pub fn take(&self, queue: Queue) -> Vec<Bytes> {
        let mut state = self.state();
        let waiting = state.queues.get_mut(&queue).expect("the queue was made");
        waiting.ready.drain(..).map(|(_, message)| message).collect()
    }

    /// The same of a gateway's queue, decoded.
    pub fn told(&self, queue: Queue) -> Vec<ToGateway> {
        self.take(queue).iter().map(|message| records::decode(message).unwrap()).collect()
    }

    /// Messages that are not settled yet, waiting or handed out.
    pub fn depth(&self, queue: Queue) -> usize {
        let state = self.state();
        state.queues.get(&queue).map_or(0, |waiting| waiting.ready.len() + waiting.unsettled.len())
    }

    pub fn brokers(&self) -> Brokers {
        Brokers::one(Arc::new(self.clone()))
    }

    /// Origins and reasons, in the order of their keys.
    pub fn dead(&self) -> Vec<(Origin, String)> {
        let state = self.state();
        state.dead.iter().map(|((origin, _), reason)| (*origin, reason.clone())).collect()
    }

    /// The next publish calls are not confirmed.
    pub fn withhold(&self, calls: u32, stored_all_the_same: bool) {
        let mut state = self.state();
        state.unknown = calls;
        state.stored_all_the_same = stored_all_the_same;
    }

    /// Another consumer has a queue; epoch 0 leaves it.
    pub fn take_over(&self, queue: Queue, epoch: Epoch) {
        {
            let mut state = self.state();
            let waiting = state.queues.entry(queue).or_default();
            waiting.epoch = epoch;
            waiting.give_back();
        }
        self.0.changed.notify_waiters();
    }

    pub fn lose_subscriptions(&self) {
        self.state().queues.values_mut().for_each(Waiting::give_back);
        self.0.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

impl Waiting {
    fn give_back(&mut self) {
        self.consumer += 1;
        for (_, (_, message)) in std::mem::take(&mut self.unsettled).into_iter().rev() {
            self.ready.push_front((true, message));
        }
    }
}

impl FakeBroker {
    /// Publishes, unless the confirm is withheld; whether it is confirmed.
    fn publish(&self, batch: impl Iterator<Item = (Queue, Bytes)>) -> BoxFuture<'static, bool> {
        let confirmed = {
            let mut state = self.state();
            let unknown = state.unknown > 0;
            state.unknown = state.unknown.saturating_sub(1);
            if !unknown || state.stored_all_the_same {
                batch.for_each(|(queue, message)| state.publish(queue, message));
            }
            !unknown
        };
        self.0.changed.notify_waiters();
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            confirmed
        })
    }
}

impl State {
    fn publish(&mut self, queue: Queue, message: Bytes) {
        if !matches!(queue, Queue::Gateway(_)) {
            self.queues.entry(queue).or_default();
        }
        if let Some(waiting) = self.queues.get_mut(&queue) {
            waiting.ready.push_back((false, message));
        }
    }
}

impl Inbound for FakeBroker {
    fn publish(&self, _: Vec<(Partition, Bytes)>) -> BoxFuture<'static, Confirms> {
        unreachable!("gateways publish this")
    }

    fn consume(
        &self,
        partition: Partition,
        options: InboundOptions,
    ) -> BoxFuture<'static, Result<Box<dyn InboundConsumer>, ConsumeError>> {
        let (broker, queue) = (self.clone(), Queue::Inbound(partition));
        Box::pin(async move {
            let number = {
                let mut state = broker.state();
                let waiting = state.queues.entry(queue).or_default();
                if waiting.epoch > options.epoch {
                    return Err(ConsumeError::Taken);
                }
                waiting.give_back();
                waiting.consumer
            };
            let prefetch = options.prefetch as usize;
            Ok(Box::new(Consumer { broker, queue, number, prefetch }) as Box<dyn InboundConsumer>)
        })
    }
}

impl Jobs for FakeBroker {
    fn publish(&self, batch: Vec<Job>) -> BoxFuture<'static, Confirms> {
        let size = batch.len();
        let batch = batch.into_iter().map(|job| (Queue::Jobs(job.queue), job.message));
        let confirmed = self.publish(batch);
        Box::pin(
            async move { vec![confirmed.await.then_some(()).ok_or(PublishError::Unknown); size] },
        )
    }

    fn consume(
        &self,
        _: u16,
        _: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        unreachable!("notifiers consume this")
    }
}

impl Fanout for FakeBroker {
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        let batch = batch.into_iter().map(|message| (Queue::Gateway(message.to), message.message));
        let confirmed = self.publish(batch);
        Box::pin(async move { confirmed.await.then_some(()).ok_or(BrokerUnavailable) })
    }

    fn consume(
        &self,
        _: GatewayLife,
        _: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        unreachable!("gateways consume this")
    }
}

impl DeadLetters for FakeBroker {
    fn put(&self, dead: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>> {
        self.state().dead.entry((dead.origin, dead.key)).or_insert(dead.reason);
        Box::pin(ready(Ok(())))
    }

    fn list(
        &self,
        _: u64,
        _: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        unreachable!("operators ask this")
    }

    fn requeue(&self, _: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        unreachable!("operators ask this")
    }
}

impl Depths for FakeBroker {
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        unreachable!("operators ask this")
    }
}

struct Consumer {
    broker: FakeBroker,
    queue: Queue,
    number: u64,
    prefetch: usize,
}

impl InboundConsumer for Consumer {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<InboundDelivery>, ConsumerLost>> {
        Box::pin(async move {
            loop {
                let changed = self.broker.0.changed.notified();
                {
                    let mut state = self.broker.state();
                    let waiting = state.queues.get_mut(&self.queue).expect("consumed");
                    if waiting.consumer != self.number {
                        return Err(ConsumerLost);
                    }
                    let mut deliveries = Vec::new();
                    while waiting.unsettled.len() < self.prefetch
                        && let Some((redelivered, message)) = waiting.ready.pop_front()
                    {
                        waiting.next_tag += 1;
                        let position = waiting.next_tag;
                        waiting.unsettled.insert(position, (redelivered, message.clone()));
                        deliveries.push(InboundDelivery { position, redelivered, message });
                    }
                    if !deliveries.is_empty() {
                        return Ok(deliveries);
                    }
                }
                changed.await;
            }
        })
    }

    fn acknowledge(&mut self, through: u64) {
        {
            let mut state = self.broker.state();
            let waiting = state.queues.get_mut(&self.queue).expect("consumed");
            if waiting.consumer == self.number {
                waiting.unsettled.retain(|of, _| *of > through);
            }
        }
        self.broker.0.changed.notify_waiters();
    }
}
