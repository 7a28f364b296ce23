//! A broker in memory: durable queues that survive their consumers, gateways' queues that exist once
//! they were made, and confirms that can be withheld.

use bytes::Bytes;
use ports::broker::{
    BrokerUnavailable, Confirms, DeadLetter, Publication, SubscribeError, SubscribeOptions,
    SubscriptionLost,
};
use ports::{BoxFuture, Broker, Delivery, PublishError, Queue, Settlement, Subscription};
use protocol::Epoch;
use protocol::records::{self, ToGateway};
use std::collections::{BTreeMap, VecDeque};
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
    dead: Vec<(Queue, String)>,
    /// Publish calls that are answered `Unknown`, stored all the same or not.
    unknown: u32,
    stored_all_the_same: bool,
}

#[derive(Default)]
struct Waiting {
    ready: VecDeque<(u32, Bytes)>,
    unsettled: BTreeMap<u64, (u32, Bytes)>,
    next_tag: u64,
    consumer: u64,
    epoch: Epoch,
}

impl FakeBroker {
    pub fn put(&self, queue: Queue, message: Bytes) {
        self.state().queues.entry(queue).or_default().ready.push_back((0, message));
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

    pub fn dead(&self) -> Vec<(Queue, String)> {
        self.state().dead.clone()
    }

    /// The next publish calls are not confirmed.
    pub fn withhold(&self, calls: u32, stored_all_the_same: bool) {
        let mut state = self.state();
        state.unknown = calls;
        state.stored_all_the_same = stored_all_the_same;
    }

    /// Another consumer was seen on a queue.
    pub fn fence(&self, queue: Queue, epoch: Epoch) {
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
        for (_, (redelivered, message)) in std::mem::take(&mut self.unsettled).into_iter().rev() {
            self.ready.push_front((redelivered + 1, message));
        }
    }
}

impl State {
    fn publish(&mut self, publication: &Publication) -> Result<(), PublishError> {
        let queue = publication.to.queue;
        let waiting = match queue {
            Queue::Gateway(..) => self.queues.get_mut(&queue).ok_or(PublishError::Unroutable)?,
            _ => self.queues.entry(queue).or_default(),
        };
        waiting.ready.push_back((0, publication.message.clone()));
        Ok(())
    }
}

impl Broker for FakeBroker {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'static, Confirms> {
        let confirms: Confirms = {
            let mut state = self.state();
            let unknown = state.unknown > 0;
            state.unknown = state.unknown.saturating_sub(1);
            let stored = !unknown || state.stored_all_the_same;
            let confirm = |publication| {
                let confirm = if stored { state.publish(publication) } else { Ok(()) };
                if unknown { Err(PublishError::Unknown) } else { confirm }
            };
            batch.iter().map(confirm).collect()
        };
        self.0.changed.notify_waiters();
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            confirms
        })
    }

    fn subscribe(
        &self,
        queue: Queue,
        options: SubscribeOptions,
    ) -> BoxFuture<'static, Result<Box<dyn Subscription>, SubscribeError>> {
        let broker = self.clone();
        Box::pin(async move {
            let number = {
                let mut state = broker.state();
                let waiting = state.queues.entry(queue).or_default();
                if waiting.epoch > options.epoch {
                    return Err(SubscribeError::Fenced { current: waiting.epoch });
                }
                waiting.epoch = options.epoch;
                waiting.give_back();
                waiting.consumer
            };
            let prefetch = options.prefetch as usize;
            Ok(Box::new(Consumer { broker, queue, number, prefetch }) as Box<dyn Subscription>)
        })
    }

    fn dead_letters(
        &self,
        _: u64,
        _: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        Box::pin(std::future::ready(Err(BrokerUnavailable)))
    }

    fn requeue_dead_letter(&self, _: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        Box::pin(std::future::ready(Err(BrokerUnavailable)))
    }

    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        Box::pin(std::future::ready(Err(BrokerUnavailable)))
    }
}

struct Consumer {
    broker: FakeBroker,
    queue: Queue,
    number: u64,
    prefetch: usize,
}

impl Subscription for Consumer {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>, SubscriptionLost>> {
        Box::pin(async move {
            loop {
                let changed = self.broker.0.changed.notified();
                {
                    let mut state = self.broker.state();
                    let waiting = state.queues.get_mut(&self.queue).expect("subscribed");
                    if waiting.consumer != self.number {
                        return Err(SubscriptionLost);
                    }
                    let mut deliveries = Vec::new();
                    while waiting.unsettled.len() < self.prefetch
                        && let Some((redelivered, message)) = waiting.ready.pop_front()
                    {
                        waiting.next_tag += 1;
                        let tag = waiting.next_tag;
                        waiting.unsettled.insert(tag, (redelivered, message.clone()));
                        deliveries.push(Delivery { tag, redelivered, lossy: false, message });
                    }
                    if !deliveries.is_empty() {
                        return Ok(deliveries);
                    }
                }
                changed.await;
            }
        })
    }

    fn settle(&mut self, settlements: Vec<Settlement>) {
        {
            let mut state = self.broker.state();
            let State { queues, dead, .. } = &mut *state;
            let waiting = queues.get_mut(&self.queue).expect("subscribed");
            if waiting.consumer != self.number {
                return;
            }
            for settlement in settlements {
                match settlement {
                    Settlement::AckThrough(tag) => waiting.unsettled.retain(|of, _| *of > tag),
                    Settlement::DeadLetter { tag, reason } => {
                        waiting.unsettled.remove(&tag);
                        dead.push((self.queue, reason));
                    }
                    other => panic!("an owner does not {other:?}"),
                }
            }
        }
        self.broker.0.changed.notify_waiters();
    }
}
