//! Power losses at any moment, torn and reordered writes, and restarts in between: nothing confirmed
//! is lost, nothing comes twice, nothing changes its order.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, EmbeddedBroker};
use fakes::{FakeDisk, FakeTelemetry};
use ports::BoxFuture;
use ports::broker::conformance::{number, text};
use ports::broker::{Brokers, Confirms, Job, JobSettlement, NewDeadLetter, Origin};
use proptest::prelude::*;
use protocol::limits::BrokerLimits;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use support::either::{Consumer, KINDS, PARTITION, QUEUE};
use support::machine_with;
use tokio::time::{sleep, timeout};

#[derive(Clone, Debug)]
enum Step {
    /// Publishes and waits for the confirms.
    Publish { queue: usize, count: u32 },
    /// Publishes and does not wait.
    Begin { queue: usize, count: u32 },
    /// Takes what is there and settles some of it.
    Consume { queue: usize, settle: Vec<u8> },
    /// The consumer of a queue is lost.
    Lose { queue: usize },
    /// A dead letter is put, and at once again.
    Put,
    /// The oldest dead letter goes back.
    RequeueDead,
    /// Time passes.
    Pass { ms: u64 },
    /// After some more changes to the disk everything fails.
    PowerOff { after: u64 },
    /// The power is lost, and comes back; opening may be interrupted as well.
    Crash { seed: u64, again_after: Option<u64> },
    /// The process is killed, and nothing on the disk is lost.
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let queue = 0..KINDS;
    let count = 1_u32..6;
    let step = prop_oneof![
        6 => (queue.clone(), count.clone()).prop_map(|(queue, count)| Step::Publish { queue, count }),
        2 => (queue.clone(), count).prop_map(|(queue, count)| Step::Begin { queue, count }),
        6 => (queue.clone(), prop::collection::vec(0_u8..10, 0..8))
            .prop_map(|(queue, settle)| Step::Consume { queue, settle }),
        1 => queue.prop_map(|queue| Step::Lose { queue }),
        1 => Just(Step::Put),
        1 => Just(Step::RequeueDead),
        2 => (0_u64..200).prop_map(|ms| Step::Pass { ms }),
        1 => (0_u64..12).prop_map(|after| Step::PowerOff { after }),
        2 => (any::<u64>(), prop::option::weighted(0.2, 0_u64..6))
            .prop_map(|(seed, again_after)| Step::Crash { seed, again_after }),
        1 => Just(Step::Kill),
    ];
    prop::collection::vec(step, 1..80)
}

/// What is known of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Published; no confirm was seen.
    Maybe,
    /// Confirmed or delivered, and not settled.
    Held,
    /// Settled; whether that is durable is not known.
    Settled,
    /// Settled, and something later was confirmed.
    Gone,
}

struct World {
    disk: FakeDisk,
    /// None while the power is off.
    broker: Option<Brokers>,
    consumers: [Option<Consumer>; 2],
    begun: Vec<(Vec<u32>, BoxFuture<'static, Confirms>)>,
    known: [BTreeMap<u32, Known>; 2],
    /// Messages that may have lost their place: dead letters that went back.
    moved: BTreeSet<u32>,
    listed: BTreeMap<u64, u32>,
    next: u32,
}

fn config() -> BrokerConfig {
    // Small segments: every run crosses many and compacts some.
    BrokerConfig {
        limits: BrokerLimits { segment_bytes: 300, ..BrokerLimits::default() },
        ..BrokerConfig::default()
    }
}

fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed | 1;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % bound
    }
}

impl World {
    async fn new() -> Self {
        let disk = FakeDisk::default();
        let machine = machine_with(&Arc::new(FakeTelemetry::default()), &disk);
        let broker = EmbeddedBroker::open(machine, config()).await.map(Brokers::one).unwrap();
        Self {
            disk,
            broker: Some(broker),
            consumers: [None, None],
            begun: Vec::new(),
            known: [BTreeMap::new(), BTreeMap::new()],
            moved: BTreeSet::new(),
            listed: BTreeMap::new(),
            next: 0,
        }
    }

    fn broker(&self) -> &Brokers {
        self.broker.as_ref().expect("the power is on")
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Publish { queue, count } => {
                let settled = self.settled();
                let (messages, confirms) = self.publish(queue, count);
                let confirms = confirms.await;
                if confirms[0].is_ok() {
                    self.are_gone(&settled);
                }
                self.confirmed(&messages, &confirms);
            }
            Step::Begin { queue, count } => {
                let begun = self.publish(queue, count);
                self.begun.push(begun);
            }
            Step::Consume { queue, settle } => self.consume(queue, &settle).await,
            Step::Lose { queue } => self.consumers[queue] = None,
            Step::Put => self.put().await,
            Step::RequeueDead => self.requeue_dead().await,
            Step::Pass { ms } => sleep(Duration::from_millis(ms)).await,
            Step::PowerOff { after } => self.disk.power_off_after(after),
            Step::Crash { seed, again_after } => self.crash(seed, again_after).await,
            Step::Kill => {
                self.stop().await;
                self.disk.kill(&mut |_| 0);
                // Where the power is off already, only a crash brings it back.
                if self.open().await.is_err() {
                    self.disk.power_loss(&mut |_| 0);
                    self.open().await.unwrap();
                }
                self.judge().await;
            }
        }
    }

    fn publish(&mut self, queue: usize, count: u32) -> (Vec<u32>, BoxFuture<'static, Confirms>) {
        let messages: Vec<u32> = (self.next..self.next + count).collect();
        self.next += count;
        self.known[queue].extend(messages.iter().map(|message| (*message, Known::Maybe)));
        let texts = messages.iter().map(|message| text(*message));
        let confirms = if queue == 0 {
            let batch = texts.map(|message| (PARTITION, message)).collect();
            self.broker().inbound.publish(batch)
        } else {
            let batch = texts.map(|message| Job { queue: QUEUE, message }).collect();
            self.broker().jobs.publish(batch)
        };
        (messages, confirms)
    }

    async fn put(&mut self) {
        let message = self.next;
        self.next += 1;
        self.known[0].insert(message, Known::Maybe);
        let put = || {
            self.broker().dead_letters.put(NewDeadLetter {
                origin: Origin::Inbound(PARTITION),
                key: u128::from(message),
                reason: "poison".to_owned(),
                attempts: 1,
                message: text(message),
            })
        };
        let (first, second) = (put(), put());
        for confirm in [first.await, second.await] {
            self.confirmed(&[message], &vec![confirm]);
        }
    }

    fn confirmed(&mut self, messages: &[u32], confirms: &Confirms) {
        for (message, _) in messages.iter().zip(confirms).filter(|(_, confirm)| confirm.is_ok()) {
            for known in &mut self.known {
                if let Some(known) = known.get_mut(message).filter(|known| **known == Known::Maybe)
                {
                    *known = Known::Held;
                }
            }
        }
    }

    fn settled(&self) -> Vec<u32> {
        let all = self.known.iter().flatten();
        all.filter(|(_, known)| **known == Known::Settled).map(|(message, _)| *message).collect()
    }

    fn are_gone(&mut self, messages: &[u32]) {
        for message in messages {
            for known in &mut self.known {
                known.entry(*message).and_modify(|known| *known = Known::Gone);
            }
        }
    }

    async fn consume(&mut self, queue: usize, settle: &[u8]) {
        if self.consumers[queue].is_none() {
            self.consumers[queue] = Some(Consumer::new(self.broker(), queue, 8).await);
        }
        let Some(consumer) = &mut self.consumers[queue] else { return };
        consumer.take(5).await;
        for message in consumer.held() {
            let known = self.known[queue].get_mut(&message).unwrap();
            assert_ne!(*known, Known::Gone, "{message} was settled for good");
            // Visible is durable.
            *known = Known::Held;
        }
        match consumer {
            Consumer::Ordered(consumer, held) => {
                let through = settle.len().min(held.len());
                let done: Vec<_> = held.drain(..through).collect();
                if let Some((position, _)) = done.last() {
                    consumer.acknowledge(*position);
                }
                let settled = done.iter().map(|(_, message)| (*message, Known::Settled));
                self.known[queue].extend(settled);
            }
            Consumer::OneByOne(consumer, held) => {
                let mut settlements = Vec::new();
                for kind in settle {
                    if held.is_empty() {
                        break;
                    }
                    let (tag, message) = held.remove(*kind as usize % held.len().min(2));
                    settlements.push(if *kind == 0 {
                        JobSettlement::DeadLetter { tag, reason: "poison".to_owned() }
                    } else {
                        self.known[queue].insert(message, Known::Settled);
                        JobSettlement::Done { tag }
                    });
                }
                consumer.settle(settlements);
            }
        }
    }

    async fn requeue_dead(&mut self) {
        let letters = self.broker().dead_letters.list(0, 1).await.unwrap();
        let Some(letter) = letters.first() else { return };
        let message = number(&letter.message);
        self.moved.insert(message);
        // Whether it happened is not known without an answer.
        self.listed.remove(&letter.id);
        if let Ok(requeued) = self.broker().dead_letters.requeue(letter.id).await {
            assert!(requeued);
            let again = self.broker().dead_letters.list(0, 1).await.unwrap();
            assert_ne!(again.first().map(|again| again.id), Some(letter.id));
        }
    }

    async fn stop(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        for (messages, mut confirms) in begun {
            // What has not been confirmed by now may still become durable, or not.
            if let Ok(confirms) = timeout(Duration::ZERO, &mut confirms).await {
                self.confirmed(&messages, &confirms);
            }
        }
        for dead in self.broker().dead_letters.list(0, 1_000).await.unwrap() {
            self.listed.insert(dead.id, number(&dead.message));
        }
        self.consumers = [None, None];
        self.broker = None;
        // The tasks of the old life are gone once the runtime has had a turn.
        tokio::task::yield_now().await;
    }

    async fn crash(&mut self, seed: u64, again_after: Option<u64>) {
        self.stop().await;
        let mut random = random(seed);
        self.disk.power_loss(&mut random);
        if let Some(after) = again_after {
            self.disk.power_off_after(after);
            // Whether it opens or not, the power goes again.
            let _ = self.open().await;
            self.broker = None;
            tokio::task::yield_now().await;
            self.disk.power_loss(&mut random);
        }
        self.open().await.unwrap();
        self.judge().await;
    }

    async fn open(&mut self) -> Result<(), broker::OpenError> {
        let machine = machine_with(&Arc::new(FakeTelemetry::default()), &self.disk);
        self.broker = Some(EmbeddedBroker::open(machine, config()).await.map(Brokers::one)?);
        Ok(())
    }

    /// Looks at everything, and gives it back.
    async fn judge(&mut self) {
        let mut letters = BTreeMap::new();
        for dead in self.broker().dead_letters.list(0, 1_000).await.unwrap() {
            letters.insert(dead.id, number(&dead.message));
        }
        for (id, message) in &self.listed {
            assert_eq!(letters.get(id), Some(message), "letter {id} has changed or gone");
        }
        let dead: BTreeSet<u32> = letters.values().copied().collect();
        assert_eq!(dead.len(), letters.len(), "a message died twice");
        for queue in 0..KINDS {
            let mut consumer = Consumer::new(self.broker(), queue, 100_000).await;
            consumer.take(20).await;
            let found = consumer.held();
            drop(consumer);
            self.judge_queue(queue, &found, &dead);
        }
    }

    fn judge_queue(&mut self, queue: usize, found: &[u32], dead: &BTreeSet<u32>) {
        let placed: Vec<u32> =
            found.iter().copied().filter(|message| !self.moved.contains(message)).collect();
        assert!(placed.is_sorted(), "out of order: {placed:?}");
        let set: BTreeSet<u32> = found.iter().copied().collect();
        assert_eq!(set.len(), found.len(), "twice: {found:?}");
        assert!(set.is_disjoint(dead), "dead and alive: {found:?}, {dead:?}");
        for message in &set {
            let known = self.known[queue].get(message).copied();
            assert!(known.is_some_and(|known| known != Known::Gone), "{message}: {known:?}");
        }
        for (message, known) in &mut self.known[queue] {
            let there = set.contains(message) || dead.contains(message);
            assert!(there || *known != Known::Held, "{message} is lost");
            // The lost are lost for good, and the found stay.
            *known = if there { Known::Held } else { Known::Gone };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn confirmed_messages_survive_once_and_in_order(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.step(step).await;
            }
            world.step(Step::Crash { seed: 1, again_after: None }).await;
        });
    }
}
