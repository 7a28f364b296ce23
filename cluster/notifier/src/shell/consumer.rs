//! Consumes one queue of push jobs: consume, ask the owners, attempt, settle, again after a loss.

use crate::core::attempts::Attempts;
use crate::core::hand::{self, Hand, Held};
use crate::core::retry::{Decision, Policy};
use crate::core::taken::Taken;
use crate::shell::provider::{AskAgain, Attempt, Provider};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ports::broker::{BrokerUnavailable, JobConsumer, JobDelivery, JobSettlement, Jobs};
use ports::{BoxFuture, Conversations, Machine, Shutdown};
use protocol::design::Push;
use protocol::limits;
use protocol::limits::NotifierLimits;
use protocol::records;
use protocol::store_calls::{PushAdvice, PushRef};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// One queue's consumer.
pub struct Consumer {
    pub machine: Machine,
    pub jobs: Arc<dyn Jobs>,
    /// Who says whether a push is due.
    pub owners: Arc<dyn Conversations>,
    pub choice: Push,
    pub began: Instant,
    pub provider: Arc<Provider>,
    pub policy: Policy,
    pub queue: u16,
    /// Most attempts under way.
    pub concurrency: usize,
    /// What the notifier remembers.
    pub limits: NotifierLimits,
    /// How long attempts that are under way at a shutdown may take.
    pub drain: Duration,
    pub shutdown: Shutdown,
}

/// What is in hand during one life of a consumer at the broker.
struct Work {
    jobs: Box<dyn JobConsumer>,
    hand: Hand,
    question: Option<BoxFuture<'static, Vec<(PushRef, PushAdvice)>>>,
    under_way: FuturesUnordered<BoxFuture<'static, (Held, Decision)>>,
    /// The pushes under way.
    busy: BTreeSet<PushRef>,
}

/// What is known of jobs beyond that.
struct Memory {
    attempts: Attempts,
    taken: Taken,
}

/// The pause before the queue is consumed again: short, since a broker is restarted quickly,
/// and with jitter, since all consumers lose it at once.
const CONSUME_PAUSE: Duration = Duration::from_millis(200);

impl Consumer {
    /// Consumes until the shutdown.
    pub async fn run(self) {
        let mut memory = Memory {
            attempts: Attempts::new(self.limits.remembered_jobs),
            taken: Taken::new(self.limits.taken),
        };
        while !self.shutdown.is_requested() {
            // This may hang as long as the network stalls.
            let consuming = self.jobs.consume(self.queue, self.prefetch());
            match timeout(limits::CALL_TIMEOUT, consuming).await.unwrap_or(Err(BrokerUnavailable)) {
                Ok(jobs) => self.consume(jobs, &mut memory).await,
                Err(BrokerUnavailable) => self.count("notifier_subscribe_failed_total"),
            }
            let jitter = self.machine.entropy.below(CONSUME_PAUSE.as_millis() as u64);
            tokio::select! {
                biased;
                () = self.shutdown.requested() => {}
                () = sleep(CONSUME_PAUSE + Duration::from_millis(jitter)) => {}
            }
        }
    }

    /// As many again as are under way, so that the next ones are at hand when an attempt ends, and those
    /// that wait.
    fn prefetch(&self) -> u32 {
        u32::try_from(self.concurrency.saturating_mul(2))
            .unwrap_or(u32::MAX)
            .saturating_add(self.limits.waiting)
    }

    /// Until the consumer is lost or the shutdown is through. What is unsettled then goes back and
    /// comes again, to us or to the next consumer.
    async fn consume(&self, jobs: Box<dyn JobConsumer>, memory: &mut Memory) {
        let mut work = Work {
            jobs,
            hand: Hand::new(self.limits.question),
            question: None,
            under_way: FuturesUnordered::new(),
            busy: BTreeSet::new(),
        };
        loop {
            // Registered before the breaker is asked, so that no change is missed in between.
            let changed = self.provider.changed();
            let blocked = self.begin(&mut work, memory);
            self.ask(&mut work);
            self.gauge(&work);
            let ask_again = until(match blocked {
                Some(AskAgain::At(at)) => Some(at),
                Some(AskAgain::AfterProbe) | None => None,
            });
            let due = until(work.hand.due_ms().map(|ms| self.began + Duration::from_millis(ms)));
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return self.drain(work, memory).await,
                Some((held, decision)) = work.under_way.next() => {
                    self.settle(&mut work, memory, held, decision);
                }
                answers = answered(&mut work.question) => {
                    for useless in work.hand.answered(self.now_ms(), &answers) {
                        self.count("notifier_needless_total");
                        Self::forget(&mut work, memory, &useless);
                    }
                }
                () = ask_again => {}
                () = due => {}
                () = changed, if blocked.is_some() => {}
                next = work.jobs.next() => match next {
                    Ok(deliveries) => {
                        for delivery in deliveries {
                            self.take(&mut work, memory, delivery);
                        }
                    }
                    Err(lost) => {
                        tracing::info!(queue = self.queue, %lost, "consuming again");
                        return;
                    }
                },
            }
        }
    }

    /// Takes a delivery in hand.
    fn take(&self, work: &mut Work, memory: &Memory, delivery: JobDelivery) {
        let JobDelivery { tag, redelivered, message } = delivery;
        match records::decode(&message) {
            // Left in the queue it would be there for ever, and a full queue stops the owners.
            Ok(_) if !self.provider.exists() => {
                self.count("notifier_discarded_total");
                work.jobs.settle(vec![JobSettlement::Done { tag }]);
            }
            Ok(job) => {
                let attempt = memory.attempts.next(&job, redelivered);
                work.hand.take(Held::new(tag, attempt, job));
            }
            Err(error) => {
                self.count("notifier_undecodable_total");
                let reason = format!("no push job: {error}");
                work.jobs.settle(vec![JobSettlement::DeadLetter { tag, reason }]);
            }
        }
    }

    /// Begins as many attempts as may be; when to ask again, if the breaker forbids the next one.
    fn begin(&self, work: &mut Work, memory: &mut Memory) -> Option<AskAgain> {
        if self.choice == Push::AtOnce {
            work.hand.ask_nobody();
        }
        while work.under_way.len() < self.concurrency {
            let held = work.hand.next(self.now_ms())?;
            let push = hand::push(&held.job);
            if memory.taken.has(&push) {
                self.count("notifier_repeated_total");
                Self::forget(work, memory, &held);
            } else if work.busy.contains(&push) {
                work.hand.postpone(self.now_ms(), held);
            } else {
                match self.provider.attempt() {
                    Ok(attempt) => {
                        let machine = self.machine.clone();
                        work.busy.insert(push);
                        work.under_way.push(Box::pin(make(attempt, machine, self.policy, held)));
                    }
                    Err(ask_again) => {
                        work.hand.keep(held);
                        return Some(ask_again);
                    }
                }
            }
        }
        None
    }

    /// Asks the owners about what is new, one question at a time.
    fn ask(&self, work: &mut Work) {
        if let Some(pushes) = work.hand.question(self.now_ms()) {
            work.question = Some(self.owners.pushes(pushes));
        }
    }

    /// A job that needs no attempt (any more).
    fn forget(work: &mut Work, memory: &mut Memory, held: &Held) {
        memory.attempts.ended(&held.job);
        work.jobs.settle(vec![JobSettlement::Done { tag: held.tag }]);
    }

    fn settle(&self, work: &mut Work, memory: &mut Memory, held: Held, decision: Decision) {
        let tag = held.tag;
        let push = hand::push(&held.job);
        work.busy.remove(&push);
        let settlement = match decision {
            Decision::Done => {
                self.count("notifier_pushed_total");
                memory.attempts.ended(&held.job);
                memory.taken.insert(push);
                JobSettlement::Done { tag }
            }
            Decision::Again(after) => {
                self.count("notifier_retried_total");
                memory.attempts.failed(&held.job, held.attempt);
                JobSettlement::Retry { tag, after }
            }
            Decision::DeadLetter(reason) => {
                self.count("notifier_dead_lettered_total");
                memory.attempts.ended(&held.job);
                tracing::info!(user = %held.job.user, %reason, "a push became a dead letter");
                JobSettlement::DeadLetter { tag, reason }
            }
            Decision::Hold => {
                self.count("notifier_held_total");
                // To the back: if it is this job that makes the provider fail, another one probes next.
                work.hand.take(held);
                return;
            }
        };
        work.jobs.settle(vec![settlement]);
    }

    /// Finishes what was begun. What was not goes back with the consumer, which is no attempt at it.
    async fn drain(&self, mut work: Work, memory: &mut Memory) {
        let finish = async {
            while let Some((held, decision)) = work.under_way.next().await {
                self.settle(&mut work, memory, held, decision);
            }
        };
        if timeout(self.drain, finish).await.is_err() {
            tracing::warn!(queue = self.queue, "attempts were cut off by the shutdown");
        }
    }

    fn gauge(&self, work: &Work) {
        let in_hand = work.hand.count() + work.under_way.len();
        let limit = u64::from(self.prefetch());
        self.machine.telemetry.gauge("notifier_jobs_in_hand", in_hand as u64, limit);
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn count(&self, name: &'static str) {
        self.machine.telemetry.count(name, 1);
    }
}

/// One attempt, and what becomes of its job.
async fn make(attempt: Attempt, machine: Machine, policy: Policy, held: Held) -> (Held, Decision) {
    let (outcome, blame) = attempt.make(&held.job, held.attempt).await;
    let random = machine.entropy.next_u64();
    let decision = policy.decide(&outcome, held.attempt, blame, random);
    (held, decision)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn answered<T>(question: &mut Option<BoxFuture<'static, T>>) -> T {
    match question {
        Some(asked) => {
            let answer = asked.await;
            *question = None;
            answer
        }
        None => std::future::pending().await,
    }
}
