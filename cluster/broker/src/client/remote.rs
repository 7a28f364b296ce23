//! The adapter of the port for nodes that reach their broker over the network.
//!
//! - Publishes that are under way when the link is lost end as `Unknown`; nothing is ever published
//!   again by the adapter itself.
//! - Publishes while there is no link are not sent at all. They end as `Unknown` too, as soon as
//!   there is a link again, or after `PUBLISH_PATIENCE`: the caller's retry then goes out at once and
//!   in its order, and a caller that retries in a loop does not spin.
//! - `consume` tries again on its own for `limits::CALL_TIMEOUT`, then it is `Unavailable`.
//! - Questions of the admin wait as long for a link and an answer.
//!
//! Each port has frames of its own; the link puts what is in line into one write.

use super::buffer::PrefetchBuffer;
use super::uplink::{Call, Uplink};
use crate::consumer::{OneByOne, Ordered, Source, Unsettled};
use crate::core::{ConsumerOptions, Delivery, Settlement};
use crate::wire::{Answer, ToBroker};
use bytes::Bytes;
use link::LinkTiming;
use ports::broker::{
    BrokerUnavailable, Confirms, ConsumeError, ConsumerLost, DeadLetter, DeadLetters, Depths,
    Fanout, FanoutConsumer, FanoutMessage, GatewayLife, Inbound, InboundConsumer, InboundOptions,
    Job, JobConsumer, Jobs, NewDeadLetter, PublishError, Queue,
};
use ports::{BoxFuture, Machine};
use protocol::{Partition, limits};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long a publish waits for a link before it ends as `Unknown`.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of messages in one frame of a batch, a larger message excepted.
const BATCH_BYTES: usize = 1024 * 1024;

/// A node's connection to the broker. Dropping it closes the link and loses its consumers.
pub struct RemoteBroker {
    uplink: Arc<Uplink>,
    supervisor: AbortHandle,
}

impl RemoteBroker {
    /// Connects to `host:port` in the background, again and again.
    pub fn start(machine: Machine, address: String, timing: LinkTiming) -> Arc<Self> {
        let uplink = Arc::new(Uplink::new(machine, address, timing));
        let supervisor = uplink.machine.spawn("broker link", Arc::clone(&uplink).supervise());
        Arc::new(Self { uplink, supervisor })
    }
}

impl Drop for RemoteBroker {
    fn drop(&mut self) {
        self.supervisor.abort();
        self.uplink.disconnect();
    }
}

impl RemoteBroker {
    /// Publishes to durable queues.
    fn publish(&self, batch: Vec<(Queue, Bytes)>) -> BoxFuture<'static, Confirms> {
        let parts = split(batch, |(_, message)| message.len());
        let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
        let messages = parts.into_iter().map(|batch| move |call| ToBroker::Publish { call, batch });
        let answers = answers(Arc::clone(&self.uplink), self.uplink.calls(messages));
        Box::pin(async move {
            let mut confirms = Vec::with_capacity(sizes.iter().sum());
            for (answer, size) in answers.await.into_iter().zip(sizes) {
                match answer {
                    Some(Answer::Confirms(part)) if part.len() == size => confirms.extend(part),
                    _ => confirms.extend(std::iter::repeat_n(Err(PublishError::Unknown), size)),
                }
            }
            confirms
        })
    }

    async fn consume(
        uplink: Arc<Uplink>,
        queue: Queue,
        options: ConsumerOptions,
    ) -> Result<Consumer, ConsumeError> {
        let consuming = timeout(limits::CALL_TIMEOUT, consume(uplink, queue, options)).await;
        consuming.unwrap_or(Err(ConsumeError::Unavailable))
    }
}

impl Inbound for RemoteBroker {
    fn publish(&self, batch: Vec<(Partition, Bytes)>) -> BoxFuture<'static, Confirms> {
        let batch = batch.into_iter().map(|(to, message)| (Queue::Inbound(to), message));
        self.publish(batch.collect())
    }

    fn consume(
        &self,
        partition: Partition,
        options: InboundOptions,
    ) -> BoxFuture<'static, Result<Box<dyn InboundConsumer>, ConsumeError>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let consumer = Self::consume(uplink, Queue::Inbound(partition), options.into()).await;
            consumer.map(|consumer| Box::new(Ordered(consumer)) as Box<_>)
        })
    }
}

impl Jobs for RemoteBroker {
    fn publish(&self, batch: Vec<Job>) -> BoxFuture<'static, Confirms> {
        let batch = batch.into_iter().map(|job| (Queue::Jobs(job.queue), job.message));
        self.publish(batch.collect())
    }

    fn consume(
        &self,
        queue: u16,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let options = ConsumerOptions::newest(prefetch);
            let consumer = Self::consume(uplink, Queue::Jobs(queue), options).await;
            let consumer = consumer.map(|consumer| Box::new(OneByOne(consumer)) as Box<_>);
            consumer.map_err(|_| BrokerUnavailable)
        })
    }
}

impl Fanout for RemoteBroker {
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        let parts = split(batch, |message| message.message.len());
        let messages = parts.into_iter().map(|batch| move |call| ToBroker::FanOut { call, batch });
        let answers = answers(Arc::clone(&self.uplink), self.uplink.calls(messages));
        Box::pin(async move {
            let taken = |answer: &Option<Answer>| matches!(answer, Some(Answer::Taken));
            if answers.await.iter().all(taken) { Ok(()) } else { Err(BrokerUnavailable) }
        })
    }

    fn consume(
        &self,
        life: GatewayLife,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let options = ConsumerOptions::newest(prefetch);
            let consumer = Self::consume(uplink, Queue::Gateway(life), options).await;
            let consumer = consumer.map(|consumer| Box::new(Unsettled::new(consumer)) as Box<_>);
            consumer.map_err(|_| BrokerUnavailable)
        })
    }
}

impl DeadLetters for RemoteBroker {
    fn put(&self, dead: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>> {
        let put = move |call| ToBroker::PutDeadLetter { call, dead };
        let calls = self.uplink.calls(std::iter::once(put));
        let answers = answers(Arc::clone(&self.uplink), calls);
        Box::pin(async move {
            match answers.await.pop().flatten() {
                Some(Answer::Confirms(confirms)) if confirms.len() == 1 => confirms[0],
                _ => Err(PublishError::Unknown),
            }
        })
    }

    fn list(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let mut found: Vec<DeadLetter> = Vec::new();
            while let Some(rest) = limit.checked_sub(found.len() as u32).filter(|rest| *rest > 0) {
                let after = found.last().map_or(after, |dead| dead.id);
                let question = |call| ToBroker::DeadLetters { call, after, limit: rest };
                match ask(&uplink, question).await {
                    Some(Answer::DeadLetters(more)) if more.is_empty() => break,
                    Some(Answer::DeadLetters(more)) => found.extend(more),
                    _ => return Err(BrokerUnavailable),
                }
            }
            Ok(found)
        })
    }

    fn requeue(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            match ask(&uplink, |call| ToBroker::RequeueDeadLetter { call, id }).await {
                Some(Answer::Requeued(Some(requeued))) => Ok(requeued),
                _ => Err(BrokerUnavailable),
            }
        })
    }
}

impl Depths for RemoteBroker {
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            match ask(&uplink, |call| ToBroker::Depths { call }).await {
                Some(Answer::Depths(depths)) => Ok(depths),
                _ => Err(BrokerUnavailable),
            }
        })
    }
}

/// A batch in parts that fit into frames.
fn split<T>(batch: Vec<T>, length: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    if batch.iter().map(&length).sum::<usize>() <= BATCH_BYTES {
        return vec![batch];
    }
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut bytes = 0;
    for item in batch {
        let length = length(&item);
        if !part.is_empty() && bytes + length > BATCH_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += length;
        part.push(item);
    }
    parts.push(part);
    parts
}

/// The answers of calls that were begun; without a link they end when there is one, or too late.
async fn answers(uplink: Arc<Uplink>, calls: Vec<Option<Call>>) -> Vec<Option<Answer>> {
    let mut answers = Vec::with_capacity(calls.len());
    let mut without_link = false;
    for call in calls {
        without_link |= call.is_none();
        answers.push(answered(call).await);
    }
    if without_link {
        // Either way it is time to answer.
        let _ = timeout(PUBLISH_PATIENCE, uplink.connected()).await;
    }
    answers
}

async fn answered(call: Option<Call>) -> Option<Answer> {
    call?.answer.await.ok()
}

/// Asks once, when there is a link; `None`: no answer in time.
async fn ask(uplink: &Uplink, question: impl FnOnce(u64) -> ToBroker) -> Option<Answer> {
    let asked = async {
        uplink.connected().await;
        let mut call = uplink.call(question)?;
        let guard = GiveUp { uplink, call: call.number };
        let answer = (&mut call.answer).await.ok();
        drop(guard);
        answer
    };
    timeout(limits::CALL_TIMEOUT, asked).await.ok().flatten()
}

/// Forgets a call whose caller has stopped waiting.
struct GiveUp<'a> {
    uplink: &'a Uplink,
    call: u64,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.uplink.give_up(self.call);
    }
}

async fn consume(
    uplink: Arc<Uplink>,
    queue: Queue,
    options: ConsumerOptions,
) -> Result<Consumer, ConsumeError> {
    /// A broker that refuses for reasons of its own is not asked in a tight loop.
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        uplink.connected().await;
        let begun =
            uplink.consume(|call, consumer| ToBroker::Consume { call, consumer, queue, options });
        if let Some((mut call, number, buffer)) = begun {
            // Made before the answer: if the caller stops waiting, the queue is given up again.
            let consumer = Consumer { uplink: Arc::clone(&uplink), number, buffer };
            let _guard = GiveUp { uplink: &uplink, call: call.number };
            match (&mut call.answer).await {
                Ok(Answer::Consuming(Ok(()))) => return Ok(consumer),
                Ok(Answer::Consuming(Err(ConsumeError::Taken))) => {
                    return Err(ConsumeError::Taken);
                }
                Ok(_) | Err(_) => {}
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A consumer at the other end of the link.
struct Consumer {
    uplink: Arc<Uplink>,
    number: u64,
    buffer: Arc<PrefetchBuffer>,
}

impl Source for Consumer {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>, ConsumerLost>> {
        Box::pin(self.buffer.next())
    }

    fn settle(&mut self, settlements: Vec<Settlement>) {
        let settle = ToBroker::Settle { consumer: self.number, settlements };
        self.uplink.send_for(&self.buffer, &settle);
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.uplink.leave(self.number);
    }
}
