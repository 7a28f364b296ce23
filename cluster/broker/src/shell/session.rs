//! The broker's end of one link: one node's publishes, subscriptions and questions.

use super::embedded::confirmed;
use super::hub::Hub;
use super::wire::{Answer, FromBroker, ToBroker};
use crate::core::ConsumerId;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use link::{Link, LinkReceiver, LinkSender};
use ports::BoxFuture;
use ports::broker::{DeadLetter, Queue, SubscribeError, SubscribeOptions};
use protocol::limits::{self, BrokerLimits};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

type Sender = LinkSender<FromBroker>;

/// One link.
pub struct Session {
    hub: Arc<Hub>,
    limits: BrokerLimits,
    sender: Sender,
    /// Delivery frames that may still be sent; first come, first served among the subscriptions.
    credit: Arc<Semaphore>,
    consumers: BTreeMap<u64, Consumer>,
    answers: FuturesUnordered<BoxFuture<'static, FromBroker>>,
}

struct Consumer {
    id: ConsumerId,
    task: AbortHandle,
}

/// Serves a link until it is lost; its consumers are lost with it.
pub async fn run(hub: Arc<Hub>, link: Link<FromBroker, ToBroker>) {
    let Link { sender, receiver } = link;
    let limits = hub.read(|queues| queues.rules().limits);
    let session = Session {
        hub,
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
                let (confirms, group) = self.hub.publish(batch);
                let hub = Arc::clone(&self.hub);
                self.answers.push(
                    async move {
                        let confirms = confirmed(&hub, confirms, group).await;
                        FromBroker::Answer { call, answer: Answer::Confirms(confirms) }
                    }
                    .boxed(),
                );
            }
            ToBroker::Subscribe { call, subscription, queue, options } => {
                self.subscribe(call, subscription, queue, options);
            }
            ToBroker::Unsubscribe { subscription } => self.unsubscribe(subscription),
            ToBroker::Settle { subscription, settlements } => {
                if let Some(consumer) = self.consumers.get(&subscription) {
                    self.hub.settle(consumer.id, settlements);
                }
            }
            ToBroker::Received => {
                if self.credit.available_permits() < self.limits.frames_under_way {
                    self.credit.add_permits(1);
                }
            }
            ToBroker::DeadLetters { call, after, limit } => {
                let letters = fitting(self.hub.dead_letters(after, limit.min(limits::MAX_PAGE)));
                self.answer(call, Answer::Letters(letters));
            }
            ToBroker::RequeueDeadLetter { call, id } => self.requeue(call, id),
            ToBroker::Depths { call } => self.answer(call, Answer::Depths(self.hub.depths())),
        }
    }

    fn subscribe(&mut self, call: u64, number: u64, queue: Queue, options: SubscribeOptions) {
        self.unsubscribe(number);
        if self.consumers.len() >= limits::MAX_LINK_SUBSCRIPTIONS {
            return self.answer(call, Answer::Subscribed(Err(SubscribeError::Unavailable)));
        }
        match self.hub.subscribe(queue, options) {
            Err(error) => self.answer(call, Answer::Subscribed(Err(error))),
            Ok((id, wake)) => {
                self.answer(call, Answer::Subscribed(Ok(())));
                let forwarder = Forwarder {
                    hub: Arc::clone(&self.hub),
                    frame_bytes: self.limits.frame_bytes,
                    sender: self.sender.clone(),
                    credit: Arc::clone(&self.credit),
                    number,
                    id,
                    wake,
                };
                let task = self.hub.machine.spawn("broker subscription", forwarder.run());
                self.consumers.insert(number, Consumer { id, task });
            }
        }
    }

    fn unsubscribe(&mut self, number: u64) {
        if let Some(consumer) = self.consumers.remove(&number) {
            consumer.task.abort();
            self.hub.lose(consumer.id);
        }
    }

    fn requeue(&mut self, call: u64, id: u64) {
        let answer =
            move |requeued| FromBroker::Answer { call, answer: Answer::Requeued(requeued) };
        match self.hub.requeue_dead_letter(id) {
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
            self.hub.lose(consumer.id);
        }
    }
}

/// As many letters as fit well into one frame, at least one if there is one.
fn fitting(mut letters: Vec<DeadLetter>) -> Vec<DeadLetter> {
    let mut bytes = 0;
    let fit = letters.iter().take_while(|letter| {
        let first = bytes == 0;
        bytes += letter.message.len() + letter.reason.len() + 64;
        first || bytes <= limits::MAX_PUBLICATION_BYTES
    });
    let fit = fit.count();
    letters.truncate(fit);
    letters
}

/// Moves the deliveries of one subscription to the link.
struct Forwarder {
    hub: Arc<Hub>,
    frame_bytes: u64,
    sender: Sender,
    credit: Arc<Semaphore>,
    number: u64,
    id: ConsumerId,
    wake: Arc<Notify>,
}

impl Forwarder {
    async fn run(self) {
        while let Ok(hungry) = self.hub.hungry(self.id) {
            if !hungry {
                self.wake.notified().await;
                continue;
            }
            let Ok(permit) = self.credit.acquire().await else { return };
            let Ok(deliveries) = self.hub.take(self.id, self.frame_bytes) else { break };
            if deliveries.is_empty() {
                continue;
            }
            permit.forget();
            let message = FromBroker::Deliveries { subscription: self.number, deliveries };
            if self.sender.send(&message).is_err() {
                return;
            }
        }
        // A closed link has lost it anyway.
        let _ = self.sender.send(&FromBroker::Lost { subscription: self.number });
    }
}
