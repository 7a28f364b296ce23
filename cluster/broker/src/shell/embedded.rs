//! The broker in process.

use super::hub::Hub;
use super::{timer, writer};
use crate::BrokerConfig;
use crate::core::{ConsumerId, Replay};
use ports::broker::{
    BrokerUnavailable, Confirms, DeadLetter, Delivery, Publication, PublishError, Queue,
    Settlement, SubscribeError, SubscribeOptions, SubscriptionLost,
};
use ports::{BoxFuture, Broker, Machine, Subscription, tasks::run_on};
use protocol::design::Fsync;
use segments::{Format, LogError, Opened, Options};
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

/// The broker's log.
const FORMAT: Format = Format { prefix: "broker", magic: *b"FRACASB1" };

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

/// A broker with its log on the machine's disk. Dropping it stops it, without a last write: see
/// [`EmbeddedBroker::flush`].
pub struct EmbeddedBroker {
    hub: Arc<Hub>,
    config: BrokerConfig,
    tasks: [AbortHandle; 2],
}

impl EmbeddedBroker {
    /// Opens the log and restores the queues.
    pub async fn open(machine: Machine, config: BrokerConfig) -> Result<Arc<Self>, OpenError> {
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
        let Opened { log, damaged, .. } = opened;
        let (messages, letters) = replay.len();
        tracing::info!(messages, letters, "broker log replayed");
        if !damaged.is_empty() {
            machine.telemetry.count("broker_damaged_segments", damaged.len() as u64);
            tracing::error!(?damaged, "closed log segments end in a bad record");
        }
        let queues = replay.finish(config.rules(), machine.clock.now_ms());
        let hub = Arc::new(Hub::new(machine.clone(), queues));
        let tasks = [
            machine.spawn("broker log", writer::run(Arc::clone(&hub), worker, log)),
            machine.spawn("broker timers", timer::run(Arc::clone(&hub))),
        ];
        Ok(Arc::new(Self { hub, config, tasks }))
    }

    /// Writes what is written lazily otherwise (settlements); false if that failed.
    pub async fn flush(&self) -> bool {
        self.hub.flush().await.unwrap_or(false)
    }

    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(super) fn config(&self) -> &BrokerConfig {
        &self.config
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.hub.close();
    }
}

impl Broker for EmbeddedBroker {
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'static, Confirms> {
        let (confirms, group) = self.hub.publish(batch);
        let hub = Arc::clone(&self.hub);
        Box::pin(async move { confirmed(&hub, confirms, group).await })
    }

    fn subscribe(
        &self,
        queue: Queue,
        options: SubscribeOptions,
    ) -> BoxFuture<'static, Result<Box<dyn Subscription>, SubscribeError>> {
        let hub = Arc::clone(&self.hub);
        Box::pin(async move {
            let (id, wake) = hub.subscribe(queue, options)?;
            Ok(Box::new(EmbeddedSubscription { hub, id, wake }) as Box<dyn Subscription>)
        })
    }

    fn dead_letters(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        let letters = self.hub.dead_letters(after, limit);
        Box::pin(std::future::ready(Ok(letters)))
    }

    fn requeue_dead_letter(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        let group = self.hub.requeue_dead_letter(id);
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

    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        let depths = self.hub.depths();
        Box::pin(std::future::ready(Ok(depths)))
    }
}

/// The confirms of a batch once its group is durable, or could not be made so.
pub(super) async fn confirmed(
    hub: &Hub,
    mut confirms: Confirms,
    group: Option<oneshot::Receiver<bool>>,
) -> Confirms {
    if let Some(group) = group
        && group.await == Ok(true)
    {
        for confirm in &mut confirms {
            if *confirm == Err(PublishError::Unknown) {
                *confirm = Ok(());
            }
        }
    }
    let count = confirms.iter().filter(|confirm| confirm.is_ok()).count();
    if count > 0 {
        hub.machine.telemetry.count("broker_confirmed_messages", count as u64);
    }
    confirms
}

struct EmbeddedSubscription {
    hub: Arc<Hub>,
    id: ConsumerId,
    wake: Arc<Notify>,
}

impl Subscription for EmbeddedSubscription {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>, SubscriptionLost>> {
        Box::pin(async move {
            loop {
                let deliveries = self.hub.take(self.id, u64::MAX)?;
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                self.wake.notified().await;
            }
        })
    }

    fn settle(&mut self, settlements: Vec<Settlement>) {
        self.hub.settle(self.id, settlements);
    }
}

impl Drop for EmbeddedSubscription {
    fn drop(&mut self) {
        self.hub.lose(self.id);
    }
}
