//! Consumes one queue of push jobs: consume, ask the owners, attempt, settle, again after a loss.

use crate::core::deliveries::Deliveries;
use crate::core::hand::{Hand, Held};
use crate::core::outcome::Outcome;
use crate::core::retry::{Decision, Policy};
use crate::core::taken::Taken;
use crate::shell::provider::{AskAgain, Attempt, Provider};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ports::broker::{
    BrokerUnavailable, DeadLetters, JobConsumer, JobDelivery, JobSettlement, Jobs, NewDeadLetter,
    Origin, PublishError,
};
use ports::{BoxFuture, Conversations, Machine, Shutdown, Span};
use protocol::design::Push;
use protocol::limits;
use protocol::limits::NotifierLimits;
use protocol::mix::mix;
use protocol::records::PushJob;
use protocol::store_calls::{PushAdvice, PushRef};
use protocol::trace::{FIRST, Step};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// One queue's consumer.
pub struct Consumer {
    pub machine: Machine,
    pub jobs: Arc<dyn Jobs>,
    /// Where pushes end that cannot be made.
    pub dead_letters: Arc<dyn DeadLetters>,
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
    deliveries: Deliveries,
    hand: Hand,
    question: Option<BoxFuture<'static, Vec<(PushRef, PushAdvice)>>>,
    under_way: FuturesUnordered<BoxFuture<'static, (Held, Decision)>>,
    /// The pushes under way.
    busy: BTreeSet<PushRef>,
    /// The deliveries of pushes that are becoming dead letters.
    dying: FuturesUnordered<BoxFuture<'static, u64>>,
}

/// The pause before the queue is consumed again: short, since a broker is restarted quickly,
/// and with jitter, since all consumers lose it at once.
const CONSUME_PAUSE: Duration = Duration::from_millis(200);

impl Consumer {
    /// Consumes until the shutdown.
    pub async fn run(self) {
        let mut taken = Taken::new(self.limits.taken);
        while !self.shutdown.is_requested() {
            // This may hang as long as the network stalls.
            let consuming = self.jobs.consume(self.queue, self.prefetch());
            match timeout(limits::CALL_TIMEOUT, consuming).await.unwrap_or(Err(BrokerUnavailable)) {
                Ok(jobs) => self.consume(jobs, &mut taken).await,
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
    async fn consume(&self, jobs: Box<dyn JobConsumer>, taken: &mut Taken) {
        let mut work = Work {
            jobs,
            deliveries: Deliveries::default(),
            hand: Hand::new(self.limits.question),
            question: None,
            under_way: FuturesUnordered::new(),
            busy: BTreeSet::new(),
            dying: FuturesUnordered::new(),
        };
        loop {
            // Registered before the breaker is asked, so that no change is missed in between.
            let changed = self.provider.changed();
            self.open(&mut work);
            let blocked = self.begin(&mut work, taken);
            self.ask(&mut work);
            self.gauge(&work);
            let ask_again = until(match blocked {
                Some(AskAgain::At(at)) => Some(at),
                Some(AskAgain::AfterProbe) | None => None,
            });
            let due = until(work.hand.due_ms().map(|ms| self.began + Duration::from_millis(ms)));
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return self.drain(work, taken).await,
                Some((held, decision)) = work.under_way.next() => {
                    self.settle(&mut work, taken, held, decision);
                }
                Some(tag) = work.dying.next() => Self::done(&mut work, tag),
                answers = answered(&mut work.question) => {
                    for useless in work.hand.answered(self.now_ms(), &answers) {
                        self.count("notifier_needless_total");
                        Self::done(&mut work, useless.tag);
                    }
                }
                () = ask_again => {}
                () = due => {}
                () = changed, if blocked.is_some() => {}
                next = work.jobs.next() => match next {
                    Ok(deliveries) => {
                        for delivery in deliveries {
                            self.take(&mut work, delivery);
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

    /// Takes a delivery.
    fn take(&self, work: &mut Work, delivery: JobDelivery) {
        let JobDelivery { tag, message, .. } = delivery;
        match PushJob::decode(&message) {
            // Left in the queue it would be there for ever.
            Ok(job) if !self.provider.exists() => {
                let telemetry = &self.machine.telemetry;
                telemetry.count("notifier_discarded_total", job.users.len() as u64);
                work.jobs.settle(vec![JobSettlement::Done { tag }]);
            }
            Ok(job) if job.users.is_empty() => {
                work.jobs.settle(vec![JobSettlement::Done { tag }]);
            }
            Ok(job) => work.deliveries.take(tag, job),
            Err(error) => {
                self.count("notifier_undecodable_total");
                let reason = format!("no push job: {error}");
                work.jobs.settle(vec![JobSettlement::DeadLetter { tag, reason }]);
            }
        }
    }

    /// Opens deliveries while there is room for their users: a job of a large group may go beyond it.
    fn open(&self, work: &mut Work) {
        while work.hand.count() < self.prefetch() as usize
            && let Some(users) = work.deliveries.open()
        {
            users.for_each(|held| work.hand.take(self.now_ms(), held));
        }
    }

    /// Begins as many attempts as may be; when to ask again, if the breaker forbids the next one.
    fn begin(&self, work: &mut Work, taken: &Taken) -> Option<AskAgain> {
        if self.choice == Push::AtOnce {
            work.hand.ask_nobody();
        }
        while work.under_way.len() < self.concurrency {
            let held = work.hand.next(self.now_ms())?;
            let push = held.push();
            if taken.has(&push) {
                self.count("notifier_repeated_total");
                Self::done(work, held.tag);
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

    /// A user of a delivery needs no attempt any more.
    fn done(work: &mut Work, tag: u64) {
        if work.deliveries.done(tag) {
            work.jobs.settle(vec![JobSettlement::Done { tag }]);
        }
    }

    fn settle(&self, work: &mut Work, taken: &mut Taken, held: Held, decision: Decision) {
        let push = held.push();
        work.busy.remove(&push);
        match decision {
            Decision::Done => {
                self.count("notifier_pushed_total");
                taken.insert(push);
                Self::done(work, held.tag);
            }
            Decision::Again(after) => {
                self.count("notifier_retried_total");
                work.hand.try_again(self.now_ms() + after.as_millis() as u64, held);
            }
            Decision::DeadLetter(reason) => {
                self.count("notifier_dead_lettered_total");
                let traced = self.machine.traces.sampler().of_job(&held.job);
                let trace_id = traced.map(tracing::field::display);
                tracing::info!(user = %held.user, %reason, trace_id, "a push became a dead letter");
                let dead_letters = Arc::clone(&self.dead_letters);
                let (tag, dead) = (held.tag, self.dead_letter(&held, reason));
                work.dying.push(Box::pin(async move {
                    put(&*dead_letters, dead).await;
                    tag
                }));
            }
            Decision::Hold => {
                self.count("notifier_held_total");
                // To the back: if it is this job that makes the provider fail, another one probes next.
                work.hand.take(self.now_ms(), held);
            }
        }
    }

    /// Of a job only this user's push is dead.
    fn dead_letter(&self, held: &Held, reason: String) -> NewDeadLetter {
        let PushRef { user, conversation, sequence } = held.push();
        let who = mix(mix(user.0).wrapping_add(conversation.0));
        NewDeadLetter {
            origin: Origin::Jobs(self.queue),
            key: (u128::from(who) << 64) | u128::from(sequence.0),
            reason,
            attempts: held.attempt,
            message: held.alone().encode(),
        }
    }

    /// Finishes what was begun. What was not goes back with the consumer, which is no attempt at it.
    async fn drain(&self, mut work: Work, taken: &mut Taken) {
        let finish = async {
            while let Some((held, decision)) = work.under_way.next().await {
                self.settle(&mut work, taken, held, decision);
            }
            while let Some(tag) = work.dying.next().await {
                Self::done(&mut work, tag);
            }
        };
        if timeout(self.drain, finish).await.is_err() {
            tracing::warn!(queue = self.queue, "attempts were cut off by the shutdown");
        }
    }

    fn gauge(&self, work: &Work) {
        let limit = u64::from(self.prefetch());
        let in_hand = work.deliveries.count() as u64;
        self.machine.telemetry.gauge("notifier_jobs_in_hand", in_hand, limit);
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
    let began = Instant::now();
    let (outcome, blame) = attempt.make(&held).await;
    let random = machine.entropy.next_u64();
    tell(&machine, &held, &outcome, (began.elapsed(), random));
    let decision = policy.decide(&outcome, held.attempt, blame, random);
    (held, decision)
}

/// An attempt at the push of a traced message has ended. Its place is a number that was drawn in any case: what
/// is random is the same whether anything is traced or not.
fn tell(machine: &Machine, held: &Held, outcome: &Outcome, (took, place): (Duration, u64)) {
    let Some(trace) = machine.traces.sampler().of_job(&held.job) else { return };
    let at = trace.parent(Step::Push, place);
    let fan_out = trace.span(Step::FanOut, FIRST);
    let span = Span::new(Step::Push, at, Some(fan_out), took)
        .about([("user", held.user.0), ("attempt", held.attempt.into())]);
    machine.traces.span(match outcome {
        Outcome::Delivered => span,
        Outcome::Refused { status } => span.failed(format!("status {status}")),
        Outcome::Failed { why, .. } => span.failed(why.clone()),
    });
}

/// Puts a dead letter. If there is no room for it, it is counted by the broker.
async fn put(dead_letters: &dyn DeadLetters, dead: NewDeadLetter) {
    while dead_letters.put(dead.clone()).await == Err(PublishError::Unknown) {
        sleep(CONSUME_PAUSE).await;
    }
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
