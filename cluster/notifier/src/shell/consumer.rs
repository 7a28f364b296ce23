//! Consumes one queue of push jobs: subscribe, hold, attempt, settle, again after a loss.

use crate::core::attempts::Attempts;
use crate::core::retry::{Decision, Policy};
use crate::shell::provider::{AskAgain, Attempt, Provider};
use crate::shell::serve::ServeError;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ports::broker::{SubscribeError, SubscribeOptions};
use ports::{BoxFuture, Broker, Delivery, Machine, Queue, Settlement, Shutdown, Subscription};
use protocol::records::{self, PushJob};
use protocol::{Epoch, limits};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, sleep_until, timeout};

/// One queue's consumer.
pub struct Consumer {
    pub machine: Machine,
    pub broker: Arc<dyn Broker>,
    pub provider: Arc<Provider>,
    pub policy: Policy,
    pub queue: u16,
    pub epoch: Epoch,
    /// Most attempts under way.
    pub concurrency: usize,
    /// How long attempts that are under way at a shutdown may take.
    pub drain: Duration,
    pub shutdown: Shutdown,
}

/// A job in our hands: its delivery is not settled yet.
struct Held {
    tag: u64,
    /// The number of the next attempt at it, from 1.
    attempt: u32,
    job: PushJob,
}

/// What is in hand while one subscription lasts.
struct Work {
    subscription: Box<dyn Subscription>,
    held: VecDeque<Held>,
    under_way: FuturesUnordered<BoxFuture<'static, (Held, Decision)>>,
}

/// The pause before the queue is subscribed to again: short, since a broker is restarted quickly,
/// and with jitter, since all consumers lose it at once.
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(200);

impl Consumer {
    /// Consumes until the shutdown, or until another consumer with a higher epoch has the queue.
    pub async fn run(self) -> Result<(), ServeError> {
        let mut attempts = Attempts::default();
        let queue = Queue::Notify(self.queue);
        let options = SubscribeOptions { prefetch: self.prefetch(), epoch: self.epoch };
        while !self.shutdown.is_requested() {
            // A subscribe may hang as long as the network stalls.
            let subscribed =
                timeout(limits::CALL_TIMEOUT, self.broker.subscribe(queue, options)).await;
            match subscribed.unwrap_or(Err(SubscribeError::Unavailable)) {
                Ok(subscription) => self.consume(subscription, &mut attempts).await,
                Err(SubscribeError::Fenced { current }) => {
                    return Err(ServeError::Fenced { queue: self.queue, current });
                }
                Err(SubscribeError::Unavailable) => self.count("notifier_subscribe_failed_total"),
            }
            let jitter = self.machine.entropy.below(SUBSCRIBE_PAUSE.as_millis() as u64);
            tokio::select! {
                biased;
                () = self.shutdown.requested() => {}
                () = sleep(SUBSCRIBE_PAUSE + Duration::from_millis(jitter)) => {}
            }
        }
        Ok(())
    }

    /// As many again as are under way: the next ones are at hand when an attempt ends.
    fn prefetch(&self) -> u32 {
        u32::try_from(self.concurrency.saturating_mul(2)).unwrap_or(u32::MAX)
    }

    /// Until the subscription is lost or the shutdown is through. What is unsettled then goes back
    /// with the subscription and comes again, to us or to the next consumer.
    async fn consume(&self, subscription: Box<dyn Subscription>, attempts: &mut Attempts) {
        let (held, under_way) = (VecDeque::new(), FuturesUnordered::new());
        let mut work = Work { subscription, held, under_way };
        loop {
            // Registered before the breaker is asked, so that no change is missed in between.
            let changed = self.provider.changed();
            let blocked = self.begin(&mut work);
            self.gauge(&work);
            let ask_again = async {
                match blocked {
                    Some(AskAgain::At(at)) => sleep_until(at).await,
                    Some(AskAgain::AfterProbe) | None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return self.drain(work, attempts).await,
                Some((held, decision)) = work.under_way.next() => {
                    self.settle(&mut work, attempts, held, decision);
                }
                () = ask_again => {}
                () = changed, if blocked.is_some() => {}
                next = work.subscription.next() => match next {
                    Ok(deliveries) => {
                        for delivery in deliveries {
                            self.take(&mut work, attempts, delivery);
                        }
                    }
                    Err(lost) => {
                        tracing::info!(queue = self.queue, %lost, "subscribing again");
                        return;
                    }
                },
            }
        }
    }

    /// Takes a delivery in hand.
    fn take(&self, work: &mut Work, attempts: &Attempts, delivery: Delivery) {
        let Delivery { tag, redelivered, message, .. } = delivery;
        match records::decode(&message) {
            // Left in the queue it would be there for ever, and a full queue stops the owners.
            Ok(_) if !self.provider.exists() => {
                self.count("notifier_discarded_total");
                work.subscription.settle(vec![Settlement::Ack(tag)]);
            }
            Ok(job) => {
                let attempt = attempts.next(&job, redelivered);
                work.held.push_back(Held { tag, attempt, job });
            }
            Err(error) => {
                self.count("notifier_undecodable_total");
                let reason = format!("no push job: {error}");
                work.subscription.settle(vec![Settlement::DeadLetter { tag, reason }]);
            }
        }
    }

    /// Begins as many attempts as may be; when to ask again, if the breaker forbids the next one.
    fn begin(&self, work: &mut Work) -> Option<AskAgain> {
        while work.under_way.len() < self.concurrency && !work.held.is_empty() {
            match self.provider.attempt() {
                Ok(attempt) => {
                    let held = work.held.pop_front()?;
                    let machine = self.machine.clone();
                    work.under_way.push(Box::pin(make(attempt, machine, self.policy, held)));
                }
                Err(ask_again) => return Some(ask_again),
            }
        }
        None
    }

    fn settle(&self, work: &mut Work, attempts: &mut Attempts, held: Held, decision: Decision) {
        let tag = held.tag;
        let settlement = match decision {
            Decision::Done => {
                self.count("notifier_pushed_total");
                attempts.ended(&held.job);
                Settlement::Ack(tag)
            }
            Decision::Again(after) => {
                self.count("notifier_retried_total");
                attempts.failed(&held.job, held.attempt);
                Settlement::Retry { tag, after }
            }
            Decision::DeadLetter(reason) => {
                self.count("notifier_dead_lettered_total");
                attempts.ended(&held.job);
                tracing::info!(user = %held.job.user, %reason, "a push became a dead letter");
                Settlement::DeadLetter { tag, reason }
            }
            Decision::Hold => {
                self.count("notifier_held_total");
                // To the back: if it is this job that makes the provider fail, another one probes next.
                work.held.push_back(held);
                return;
            }
        };
        work.subscription.settle(vec![settlement]);
    }

    /// Finishes what was begun. What was not goes back with the subscription: a `Requeue` would count
    /// against the job at the broker, and a shutdown is not its fault.
    async fn drain(&self, mut work: Work, attempts: &mut Attempts) {
        let finish = async {
            while let Some((held, decision)) = work.under_way.next().await {
                self.settle(&mut work, attempts, held, decision);
            }
        };
        if timeout(self.drain, finish).await.is_err() {
            tracing::warn!(queue = self.queue, "attempts were cut off by the shutdown");
        }
    }

    fn gauge(&self, work: &Work) {
        let in_hand = work.held.len() + work.under_way.len();
        let limit = u64::from(self.prefetch());
        self.machine.telemetry.gauge("notifier_jobs_in_hand", in_hand as u64, limit);
    }

    fn count(&self, name: &'static str) {
        self.machine.telemetry.count(name, 1);
    }
}

/// One attempt, and what becomes of its job.
async fn make(attempt: Attempt, machine: Machine, policy: Policy, held: Held) -> (Held, Decision) {
    let (outcome, blame) = attempt.make(&held.job).await;
    let random = machine.entropy.next_u64();
    let decision = policy.decide(&outcome, held.attempt, blame, random);
    (held, decision)
}
