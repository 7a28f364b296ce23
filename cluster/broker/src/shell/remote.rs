//! The adapter of the port for nodes that reach their broker over the network.
//!
//! - Publishes that are under way when the link is lost end as `Unknown`; nothing is ever published
//!   again by the adapter itself.
//! - Publishes while there is no link are not sent at all. They end as `Unknown` too, as soon as
//!   there is a link again, or after `PUBLISH_PATIENCE`: the caller's retry then goes out at once and
//!   in its order, and a caller that retries in a loop does not spin.
//! - `subscribe` tries again on its own for `limits::CALL_TIMEOUT`, then it is `Unavailable`.
//! - Questions of the admin wait as long for a link and an answer.

use super::mailbox::Mailbox;
use super::supervisor::{Call, Uplink};
use super::wire::{Answer, ToBroker};
use link::LinkTiming;
use ports::broker::{
    BrokerUnavailable, Confirms, DeadLetter, Delivery, Publication, PublishError, Queue,
    Settlement, SubscribeError, SubscribeOptions, SubscriptionLost,
};
use ports::{BoxFuture, Broker, Machine, Subscription};
use protocol::limits;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long a publish waits for a link before it ends as `Unknown`.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of messages in one frame of a batch, a larger message excepted.
const BATCH_BYTES: usize = 1024 * 1024;

/// A node's connection to the broker. Dropping it closes the link and loses its subscriptions.
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

impl Broker for RemoteBroker {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'static, Confirms> {
        let parts = split(batch);
        let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
        let messages = parts.into_iter().map(|batch| move |call| ToBroker::Publish { call, batch });
        let calls = self.uplink.calls(messages);
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let mut confirms = Vec::with_capacity(sizes.iter().sum());
            let mut without_link = false;
            for (call, size) in calls.into_iter().zip(sizes) {
                without_link |= call.is_none();
                match answered(call).await {
                    Some(Answer::Confirms(part)) if part.len() == size => confirms.extend(part),
                    _ => confirms.extend(std::iter::repeat_n(Err(PublishError::Unknown), size)),
                }
            }
            if without_link {
                // Either way it is time to answer.
                let _ = timeout(PUBLISH_PATIENCE, uplink.connected()).await;
            }
            confirms
        })
    }

    fn subscribe(
        &self,
        queue: Queue,
        options: SubscribeOptions,
    ) -> BoxFuture<'static, Result<Box<dyn Subscription>, SubscribeError>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let subscribed = timeout(limits::CALL_TIMEOUT, subscribe(uplink, queue, options)).await;
            subscribed
                .unwrap_or(Err(SubscribeError::Unavailable))
                .map(|subscription| Box::new(subscription) as Box<dyn Subscription>)
        })
    }

    fn dead_letters(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let mut letters: Vec<DeadLetter> = Vec::new();
            while let Some(rest) = limit.checked_sub(letters.len() as u32).filter(|rest| *rest > 0)
            {
                let after = letters.last().map_or(after, |letter| letter.id);
                let question = |call| ToBroker::DeadLetters { call, after, limit: rest };
                match ask(&uplink, question).await {
                    Some(Answer::Letters(more)) if more.is_empty() => break,
                    Some(Answer::Letters(more)) => letters.extend(more),
                    _ => return Err(BrokerUnavailable),
                }
            }
            Ok(letters)
        })
    }

    fn requeue_dead_letter(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            match ask(&uplink, |call| ToBroker::RequeueDeadLetter { call, id }).await {
                Some(Answer::Requeued(Some(requeued))) => Ok(requeued),
                _ => Err(BrokerUnavailable),
            }
        })
    }

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
fn split(batch: Vec<Publication>) -> Vec<Vec<Publication>> {
    let total: usize = batch.iter().map(|publication| publication.message.len()).sum();
    if total <= BATCH_BYTES {
        return vec![batch];
    }
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut bytes = 0;
    for publication in batch {
        let length = publication.message.len();
        if !part.is_empty() && bytes + length > BATCH_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += length;
        part.push(publication);
    }
    parts.push(part);
    parts
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

async fn subscribe(
    uplink: Arc<Uplink>,
    queue: Queue,
    options: SubscribeOptions,
) -> Result<RemoteSubscription, SubscribeError> {
    /// A broker that refuses for reasons of its own is not asked in a tight loop.
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        uplink.connected().await;
        let begun = uplink.subscribe(|call, subscription| ToBroker::Subscribe {
            call,
            subscription,
            queue,
            options,
        });
        if let Some((mut call, number, mailbox)) = begun {
            // Made before the answer: if the caller stops waiting, the queue is given up again.
            let subscription = RemoteSubscription { uplink: Arc::clone(&uplink), number, mailbox };
            let _guard = GiveUp { uplink: &uplink, call: call.number };
            match (&mut call.answer).await {
                Ok(Answer::Subscribed(Ok(()))) => return Ok(subscription),
                Ok(Answer::Subscribed(Err(fenced @ SubscribeError::Fenced { .. }))) => {
                    return Err(fenced);
                }
                Ok(_) | Err(_) => {}
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct RemoteSubscription {
    uplink: Arc<Uplink>,
    number: u64,
    mailbox: Arc<Mailbox>,
}

impl Subscription for RemoteSubscription {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>, SubscriptionLost>> {
        Box::pin(self.mailbox.next())
    }

    fn settle(&mut self, settlements: Vec<Settlement>) {
        let subscription = self.number;
        self.uplink.send_for(&self.mailbox, &ToBroker::Settle { subscription, settlements });
    }
}

impl Drop for RemoteSubscription {
    fn drop(&mut self) {
        self.uplink.unsubscribe(self.number);
    }
}
