//! The broker without a disk, and confirms that can be withheld.

use ::broker::{BrokerConfig, BrokerEngine, EmbeddedBroker};
use bytes::Bytes;
use fakes::Memory;
use futures_util::FutureExt;
use ports::BoxFuture;
use ports::broker::{
    BrokerUnavailable, Brokers, Confirms, DeadLetters, Depths, Fanout, FanoutConsumer,
    FanoutMessage, GatewayLife, Inbound, InboundConsumer, InboundOptions, Job, JobConsumer,
    JobSettlement, Jobs, Origin, PublishError, Queue,
};
use protocol::limits::BrokerLimits;
use protocol::records::{self, ToGateway};
use protocol::{Epoch, Partition};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

/// More than waits anywhere.
const ALL: u32 = 10_000;

pub struct Broker {
    real: Arc<EmbeddedBroker>,
    withheld: Arc<Withheld>,
    /// Of the gateways' queues: with its consumer, such a queue ends.
    gateways: Mutex<BTreeMap<Queue, Box<dyn FanoutConsumer>>>,
    rival: Mutex<Option<Box<dyn InboundConsumer>>>,
}

fn partition_of(queue: Queue) -> Partition {
    let Queue::Inbound(partition) = queue else { panic!("{queue} is of no partition") };
    partition
}

/// What is answered in process is there at once.
fn now<T>(answer: BoxFuture<'_, T>) -> T {
    answer.now_or_never().expect("the broker is in this process")
}

impl Broker {
    pub fn open(memory: &Memory, limits: BrokerLimits) -> Arc<Self> {
        let engine = BrokerEngine::Memory;
        let config = BrokerConfig { engine, limits, ..BrokerConfig::default() };
        let opened = EmbeddedBroker::open(memory.machine("broker-1"), config);
        let real = now(Box::pin(opened)).expect("it has no disk");
        let withheld = Withheld { real: real.clone(), calls: Mutex::default() };
        let (gateways, rival) = (Mutex::default(), Mutex::default());
        Arc::new(Self { real, withheld: Arc::new(withheld), gateways, rival })
    }

    /// As a store node reaches it.
    pub fn brokers(&self) -> Brokers {
        Brokers {
            jobs: self.withheld.clone(),
            fanout: self.withheld.clone(),
            ..Brokers::one(self.real.clone())
        }
    }

    pub fn put(&self, queue: Queue, message: Bytes) {
        let partition = partition_of(queue);
        // It is placed by the call; nobody waits for the confirm.
        drop(Inbound::publish(&*self.real, vec![(partition, message)]));
    }

    /// Makes a gateway's queue.
    pub fn make(&self, queue: Queue) {
        let Queue::Gateway(gateway) = queue else { panic!("{queue} is of no gateway") };
        let consumer = now(Fanout::consume(&*self.real, gateway, ALL)).unwrap();
        self.gateways.lock().unwrap().insert(queue, consumer);
    }

    /// What waits in a gateway's queue, taken.
    pub fn told(&self, queue: Queue) -> Vec<ToGateway> {
        let mut gateways = self.gateways.lock().unwrap();
        let consumer = gateways.get_mut(&queue).expect("the queue was made");
        let told = std::iter::from_fn(|| consumer.next().now_or_never()).flat_map(Result::unwrap);
        told.map(|message| records::decode(&message).unwrap()).collect()
    }

    /// What waits in a queue of jobs, taken.
    pub fn jobs(&self, queue: u16) -> Vec<Bytes> {
        let mut consumer = now(Jobs::consume(&*self.real, queue, ALL)).unwrap();
        let jobs = consumer.next().now_or_never().map_or_else(Vec::new, Result::unwrap);
        let done = jobs.iter().map(|job| JobSettlement::Done { tag: job.tag }).collect();
        consumer.settle(done);
        jobs.into_iter().map(|job| job.message).collect()
    }

    /// Messages that are not settled yet, waiting or handed out.
    pub fn depth(&self, queue: Queue) -> u64 {
        let depths = now(self.real.depths()).unwrap();
        depths.into_iter().find(|(of, _)| *of == queue).map_or(0, |(_, messages)| messages)
    }

    /// Origins and reasons, in their order.
    pub fn dead(&self) -> Vec<(Origin, String)> {
        let dead = now(self.real.list(0, ALL)).unwrap();
        dead.into_iter().map(|dead| (dead.origin, dead.reason)).collect()
    }

    /// The next publish calls are not confirmed.
    pub fn withhold(&self, calls: u32, stored_all_the_same: bool) {
        *self.withheld.calls.lock().unwrap() = (calls, stored_all_the_same);
    }

    /// Another consumer has a queue.
    pub fn take_over(&self, queue: Queue, epoch: Epoch) {
        let options = InboundOptions { prefetch: 1, epoch };
        let rival = now(Inbound::consume(&*self.real, partition_of(queue), options)).unwrap();
        *self.rival.lock().unwrap() = Some(rival);
    }

    /// It leaves the queue.
    pub fn give_back(&self) {
        *self.rival.lock().unwrap() = None;
    }
}

/// What store nodes publish, and whether that is confirmed.
struct Withheld {
    real: Arc<EmbeddedBroker>,
    /// Publish calls that are not confirmed, and whether they are stored all the same.
    calls: Mutex<(u32, bool)>,
}

impl Withheld {
    /// Publishes, unless that is withheld.
    fn publish<T: Send + 'static>(
        &self,
        publish: impl FnOnce() -> BoxFuture<'static, T>,
        unknown: T,
    ) -> BoxFuture<'static, T> {
        let mut calls = self.calls.lock().unwrap();
        let (withheld, stored_all_the_same) = *calls;
        calls.0 = withheld.saturating_sub(1);
        let published = (withheld == 0 || stored_all_the_same).then(publish);
        Box::pin(async move {
            sleep(Duration::from_millis(3)).await;
            match published {
                Some(confirm) if withheld == 0 => confirm.await,
                _ => unknown,
            }
        })
    }
}

impl Jobs for Withheld {
    fn publish(&self, batch: Vec<Job>) -> BoxFuture<'static, Confirms> {
        let unknown = vec![Err(PublishError::Unknown); batch.len()];
        self.publish(|| Jobs::publish(&*self.real, batch), unknown)
    }

    fn consume(
        &self,
        _: u16,
        _: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        unreachable!("notifiers consume this")
    }
}

impl Fanout for Withheld {
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        self.publish(|| Fanout::publish(&*self.real, batch), Err(BrokerUnavailable))
    }

    fn consume(
        &self,
        _: GatewayLife,
        _: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        unreachable!("gateways consume this")
    }
}
