//! The broker's end of one link: one node's publishes, consumers and questions.

use super::embedded::confirmed;
use super::shared::{Placement, Shared};
use crate::core::{ConsumerId, ConsumerOptions};
use crate::wire::{Answer, FromBroker, ToBroker};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use link::{Link, LinkReceiver, LinkSender};
use ports::BoxFuture;
use ports::broker::{ConsumeError, DeadLetter, FanoutMessage, Queue};
use protocol::limits::{self, BrokerLimits};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

type Sender = LinkSender<FromBroker>;

/// One link.
pub struct Session {
    shared: Arc<Shared>,
    limits: BrokerLimits,
    sender: Sender,
    /// Delivery frames that may still be sent; first come, first served among the consumers.
    credit: Arc<Semaphore>,
    consumers: BTreeMap<u64, Consumer>,
    answers: FuturesUnordered<BoxFuture<'static, FromBroker>>,
}

struct Consumer {
    id: ConsumerId,
    task: AbortHandle,
}

/// Serves a link until it is lost; its consumers are lost with it.
pub async fn run(shared: Arc<Shared>, link: Link<FromBroker, ToBroker>) {
    let Link { sender, receiver } = link;
    let limits = shared.read(|queues| queues.rules().limits);
    let session = Session {
        shared,
        limits,
        sender,
        credit: Arc::new(Semaphore::new(limits.frames_under_way)),
        consumers: BTreeMap::new(),
        answers: FuturesUnordered::new(),
    };
    session.serve(receiver).await;
}

impl Session {
    async fn serve(mut self, mut receiver: LinkReceiver<ToBroker>) {
        loop {
            tokio::select! {
                biased;
                Some(answer) = self.answers.next(), if !self.answers.is_empty() => {
                    self.send(&answer);
                }
                message = receiver.recv() => match message {
                    Some(message) => self.handle(message),
                    None => return,
                },
            }
        }
    }

    fn handle(&mut self, message: ToBroker) {
        match message {
            ToBroker::Publish { call, batch } => {
                let placement = self.shared.publish(batch.into_iter());
                self.confirm(call, placement);
            }
            ToBroker::FanOut { call, batch } => {
                let batch = batch.into_iter();
                // A broker that is closed loses its links in a moment.
                let _ = self.shared.publish(
                    batch.map(|FanoutMessage { to, message }| (Queue::Gateway(to), message)),
                );
                self.answer(call, Answer::Taken);
            }
            ToBroker::PutDeadLetter { call, dead } => {
                let placement = self.shared.put(dead);
                self.confirm(call, placement);
            }
            ToBroker::Consume { call, consumer, queue, options } => {
                self.consume(call, consumer, queue, options);
            }
            ToBroker::Leave { consumer } => self.leave(consumer),
            ToBroker::Settle { consumer, settlements } => {
                if let Some(consumer) = self.consumers.get(&consumer) {
                    self.shared.settle(consumer.id, settlements);
                }
            }
            ToBroker::Received => {
                if self.credit.available_permits() < self.limits.frames_under_way {
                    self.credit.add_permits(1);
                }
            }
            ToBroker::DeadLetters { call, after, limit } => {
                let some = self.shared.dead_letters(after, limit.min(limits::MAX_PAGE));
                self.answer(call, Answer::DeadLetters(fitting(some)));
            }
            ToBroker::RequeueDeadLetter { call, id } => self.requeue(call, id),
            ToBroker::Depths { call } => self.answer(call, Answer::Depths(self.shared.depths())),
        }
    }

    /// Answers when the batch is durable, or could not be made so.
    fn confirm(&self, call: u64, placement: Placement) {
        let shared = Arc::clone(&self.shared);
        let confirmed = async move {
            let confirms = confirmed(&shared, placement).await;
            FromBroker::Answer { call, answer: Answer::Confirms(confirms) }
        };
        self.answers.push(confirmed.boxed());
    }

    fn consume(&mut self, call: u64, number: u64, queue: Queue, options: ConsumerOptions) {
        self.leave(number);
        // Those that were lost to others, of whom nobody takes leave.
        self.consumers.retain(|_, consumer| !consumer.task.is_finished());
        if self.consumers.len() >= limits::MAX_LINK_SUBSCRIPTIONS {
            return self.answer(call, Answer::Consuming(Err(ConsumeError::Unavailable)));
        }
        match self.shared.consume(queue, options) {
            Err(error) => self.answer(call, Answer::Consuming(Err(error))),
            Ok((id, wake)) => {
                self.answer(call, Answer::Consuming(Ok(())));
                let forwarder = Forwarder {
                    shared: Arc::clone(&self.shared),
                    frame_bytes: self.limits.frame_bytes,
                    sender: self.sender.clone(),
                    credit: Arc::clone(&self.credit),
                    number,
                    id,
                    wake,
                };
                let task = self.shared.machine.spawn("broker consumer", forwarder.run());
                self.consumers.insert(number, Consumer { id, task });
            }
        }
    }

    fn leave(&mut self, number: u64) {
        if let Some(consumer) = self.consumers.remove(&number) {
            consumer.task.abort();
            self.shared.lose(consumer.id);
        }
    }

    fn requeue(&mut self, call: u64, id: u64) {
        let answer =
            move |requeued| FromBroker::Answer { call, answer: Answer::Requeued(requeued) };
        match self.shared.requeue_dead_letter(id) {
            None => self.send(&answer(Some(false))),
            Some(group) => self
                .answers
                .push(async move { answer((group.await == Ok(true)).then_some(true)) }.boxed()),
        }
    }

    fn answer(&self, call: u64, answer: Answer) {
        self.send(&FromBroker::Answer { call, answer });
    }

    fn send(&self, message: &FromBroker) {
        // A closed link ends the session through its receiver.
        let _ = self.sender.send(message);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for (_, consumer) in std::mem::take(&mut self.consumers) {
            consumer.task.abort();
            self.shared.lose(consumer.id);
        }
    }
}

/// As many as fit well into one frame, at least one if there is one.
fn fitting(mut some: Vec<DeadLetter>) -> Vec<DeadLetter> {
    let mut bytes = 0;
    let fit = some.iter().take_while(|dead| {
        let first = bytes == 0;
        bytes += dead.message.len() + dead.reason.len() + 64;
        first || bytes <= limits::MAX_PUBLICATION_BYTES
    });
    let fit = fit.count();
    some.truncate(fit);
    some
}

/// Moves the deliveries of one consumer to the link.
struct Forwarder {
    shared: Arc<Shared>,
    frame_bytes: u64,
    sender: Sender,
    credit: Arc<Semaphore>,
    number: u64,
    id: ConsumerId,
    wake: Arc<Notify>,
}

impl Forwarder {
    async fn run(self) {
        while let Ok(hungry) = self.shared.hungry(self.id) {
            if !hungry {
                self.wake.notified().await;
                continue;
            }
            let Ok(permit) = self.credit.acquire().await else { return };
            let Ok(deliveries) = self.shared.take(self.id, self.frame_bytes) else { break };
            if deliveries.is_empty() {
                continue;
            }
            permit.forget();
            let message = FromBroker::Deliveries { consumer: self.number, deliveries };
            if self.sender.send(&message).is_err() {
                return;
            }
        }
        // A closed link has lost it anyway.
        let _ = self.sender.send(&FromBroker::Lost { consumer: self.number });
    }
}
