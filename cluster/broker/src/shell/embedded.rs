//! The broker in process.

use super::shared::{Placement, Shared};
use super::writer::Storage;
use super::{gauges, writer};
use crate::consumer::{OneByOne, Ordered, Source, Unsettled};
use crate::core::{ConsumerId, ConsumerOptions, Delivery, Record, Replay, Settlement};
use crate::{BrokerConfig, BrokerEngine};
use bytes::Bytes;
use ports::broker::{
    BrokerUnavailable, Confirms, ConsumeError, ConsumerLost, DeadLetter, DeadLetters, Depths,
    Fanout, FanoutConsumer, FanoutMessage, GatewayLife, Inbound, InboundConsumer, InboundOptions,
    Job, JobConsumer, Jobs, NewDeadLetter, PublishError, Queue, published,
};
use ports::{BoxFuture, Disk, Machine, tasks::run_on};
use protocol::Partition;
use protocol::design::Fsync;
use segments::{Checked, Format, LogError, Opened, Options, Presence};
use std::future::ready;
use std::io;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The broker's log.
const FORMAT: Format = Format { prefix: "broker", magic: *b"FRACASB4" };

/// Why a broker cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its log cannot be read.
    #[error("opening the broker's log")]
    Log(#[from] LogError),
    /// The node died meanwhile.
    #[error("the node was stopped")]
    Stopped,
}

/// Whether a disk has the log of a broker.
///
/// # Errors
/// The disk refused.
pub fn is_on(disk: &dyn Disk) -> io::Result<bool> {
    Ok(FORMAT.presence(disk)? != Presence::Absent)
}

/// Reads a broker's log and changes nothing: what is sound, and what a start would say.
pub fn check(disk: &dyn Disk) -> (Checked, Result<(), LogError>) {
    segments::check::<Record>(disk, FORMAT)
}

/// A broker with its log on the machine's disk, or without one. Dropping it stops it, without a last write: see
/// [`EmbeddedBroker::flush`].
pub struct EmbeddedBroker {
    shared: Arc<Shared>,
    config: BrokerConfig,
    tasks: [AbortHandle; 2],
}

impl EmbeddedBroker {
    /// Opens the log and restores the queues.
    pub async fn open(machine: Machine, config: BrokerConfig) -> Result<Arc<Self>, OpenError> {
        let (storage, replay) = match config.engine {
            BrokerEngine::Embedded => replayed(&machine, &config).await?,
            BrokerEngine::Memory => (Storage::Memory, Replay::default()),
        };
        let queues = replay.finish(config.rules());
        let shared = Arc::new(Shared::new(machine.clone(), queues));
        let tasks = [
            machine.spawn("broker log", writer::run(Arc::clone(&shared), storage)),
            machine.spawn("broker gauges", gauges::run(Arc::clone(&shared))),
        ];
        Ok(Arc::new(Self { shared, config, tasks }))
    }

    /// Writes what is written lazily otherwise (settlements); false if that failed.
    pub async fn flush(&self) -> bool {
        self.shared.flush().await.unwrap_or(false)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn config(&self) -> &BrokerConfig {
        &self.config
    }
}

/// Opens the log; what it says.
async fn replayed(
    machine: &Machine,
    config: &BrokerConfig,
) -> Result<(Storage, Replay), OpenError> {
    let worker = machine.tasks.worker("broker log");
    let options = Options {
        disk: Arc::clone(&machine.disk),
        format: FORMAT,
        segment_bytes: config.limits.segment_bytes,
        fsync: config.design.fsync == Fsync::Always,
    };
    let replayed = move || {
        let mut replay = Replay::default();
        let opened = segments::open(options, |record, segment| replay.apply(record, segment))?;
        opened.lengths.iter().for_each(|(segment, bytes)| replay.set_length(*segment, *bytes));
        Ok::<_, LogError>((opened, replay))
    };
    let (opened, replay) = run_on(&*worker, replayed).await.ok_or(OpenError::Stopped)??;
    let Opened { log, .. } = opened;
    let (messages, dead_letters) = replay.len();
    tracing::info!(messages, dead_letters, "broker log replayed");
    Ok((Storage::Log(worker, Box::new(log)), replay))
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.close();
    }
}

impl EmbeddedBroker {
    fn confirmed(&self, placement: Placement) -> BoxFuture<'static, Confirms> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { confirmed(&shared, placement).await })
    }

    fn consume(&self, queue: Queue, options: ConsumerOptions) -> Result<Consumer, ConsumeError> {
        let (id, wake) = self.shared.consume(queue, options)?;
        Ok(Consumer { shared: Arc::clone(&self.shared), id, wake })
    }
}

impl Inbound for EmbeddedBroker {
    fn publish(&self, batch: Vec<(Partition, Bytes)>) -> BoxFuture<'static, Confirms> {
        let batch = batch.into_iter().map(|(to, message)| (Queue::Inbound(to), message));
        self.confirmed(self.shared.publish(batch))
    }

    fn consume(
        &self,
        partition: Partition,
        options: InboundOptions,
    ) -> BoxFuture<'static, Result<Box<dyn InboundConsumer>, ConsumeError>> {
        let consumer = self.consume(Queue::Inbound(partition), options.into());
        Box::pin(ready(consumer.map(|consumer| Box::new(Ordered(consumer)) as Box<_>)))
    }
}

impl Jobs for EmbeddedBroker {
    fn publish(&self, batch: Vec<Job>) -> BoxFuture<'static, Confirms> {
        let batch = batch.into_iter().map(|job| (Queue::Jobs(job.queue), job.message));
        self.confirmed(self.shared.publish(batch))
    }

    fn consume(
        &self,
        queue: u16,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        let consumer = self.consume(Queue::Jobs(queue), ConsumerOptions::newest(prefetch));
        let consumer = consumer.map(|consumer| Box::new(OneByOne(consumer)) as Box<_>);
        Box::pin(ready(consumer.map_err(|_| BrokerUnavailable)))
    }
}

impl Fanout for EmbeddedBroker {
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        let batch =
            batch.into_iter().map(|FanoutMessage { to, message }| (Queue::Gateway(to), message));
        let (confirms, _) = self.shared.publish(batch);
        // All are refused, or none.
        let confirmed = confirms.into_iter().collect::<Result<(), _>>();
        Box::pin(ready(confirmed.map_err(|_| BrokerUnavailable)))
    }

    fn consume(
        &self,
        life: GatewayLife,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        let consumer = self.consume(Queue::Gateway(life), ConsumerOptions::newest(prefetch));
        let consumer = consumer.map(|consumer| Box::new(Unsettled::new(consumer)) as Box<_>);
        Box::pin(ready(consumer.map_err(|_| BrokerUnavailable)))
    }
}

impl DeadLetters for EmbeddedBroker {
    fn put(&self, dead: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>> {
        let confirms = self.confirmed(self.shared.put(dead));
        Box::pin(async move { confirms.await.pop().unwrap_or(Err(PublishError::Unknown)) })
    }

    fn list(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        Box::pin(ready(Ok(self.shared.dead_letters(after, limit))))
    }

    fn requeue(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        let group = self.shared.requeue_dead_letter(id);
        Box::pin(async move {
            match group {
                None => Ok(false),
                Some(group) => match group.await {
                    Ok(true) => Ok(true),
                    Ok(false) | Err(_) => Err(BrokerUnavailable),
                },
            }
        })
    }
}

impl Depths for EmbeddedBroker {
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        Box::pin(ready(Ok(self.shared.depths())))
    }
}

/// The confirms of a batch once its group is durable, or could not be made so.
pub(super) async fn confirmed(shared: &Shared, (mut confirms, group): Placement) -> Confirms {
    let began = Instant::now();
    if let Some(group) = group
        && group.await == Ok(true)
    {
        for confirm in &mut confirms {
            if *confirm == Err(PublishError::Unknown) {
                *confirm = Ok(());
            }
        }
    }
    published(&*shared.machine.telemetry, began.elapsed(), &confirms);
    confirms
}

/// A consumer in process.
struct Consumer {
    shared: Arc<Shared>,
    id: ConsumerId,
    wake: Arc<Notify>,
}

impl Source for Consumer {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>, ConsumerLost>> {
        Box::pin(async move {
            loop {
                let deliveries = self.shared.take(self.id, u64::MAX)?;
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                self.wake.notified().await;
            }
        })
    }

    fn settle(&mut self, settlements: Vec<Settlement>) {
        self.shared.settle(self.id, settlements);
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.lose(self.id);
    }
}
