//! The link of a node to RabbitMQ: kept up for as long as the node lives.

use super::link::{self, Link};
use super::publisher::Outgoing;
use super::{housekeeping, messages};
use crate::config::RabbitConfig;
use crate::core::addresses::Addresses;
use crate::core::topology::{Destination, Topology};
use bytes::Bytes;
use lapin::BasicProperties;
use ports::broker::PublishError;
use ports::{Machine, entered};
use protocol::trace::{Sampler, TraceParent};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long connecting may take, the topology included.
const LINK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a publish waits for a link, or for a blocked broker, before it ends as `Unknown`.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(1);
/// How long a publish waits for its confirm before it ends as `Unknown`.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// What the supervisor, the adapter and its consumers share.
pub struct Uplink {
    pub machine: Machine,
    pub config: RabbitConfig,
    pub topology: Arc<Topology>,
    link: watch::Sender<Option<Arc<Link>>>,
    /// Which messages are traced.
    sampler: Sampler,
    /// In line under this lock: the order of calls is the order on each channel.
    order: Mutex<()>,
}

/// The confirms of messages that were put in line, in their order.
pub type Pending = Vec<oneshot::Receiver<Result<(), PublishError>>>;

impl Uplink {
    pub fn new(machine: Machine, config: RabbitConfig) -> Self {
        let topology = Topology::new(config.prefix.clone(), config.limits);
        let topology = Arc::new(topology.with_quorum_queues(config.quorum_queues));
        let (link, sampler) = (watch::Sender::new(None), machine.traces.sampler());
        Self { machine, config, topology, link, sampler, order: Mutex::default() }
    }

    /// Keeps a link up, for ever.
    pub async fn supervise(self: Arc<Self>) {
        let random = || self.machine.entropy.next_u64();
        let mut addresses = Addresses::new(self.config.addresses.clone(), random());
        let mut failures = 0;
        loop {
            let address = addresses.current().to_owned();
            let held = self.hold(&address).await;
            match &held {
                Ok(_) => failures = 0,
                Err(error) => {
                    tracing::warn!(address, error, "cannot use RabbitMQ");
                    failures += 1;
                    // All of them have failed once: whoever has made a mistake must hear of it.
                    if failures == self.config.addresses.len() {
                        tracing::error!(
                            address,
                            error,
                            "no RabbitMQ can be used: trying until one can"
                        );
                    }
                }
            }
            sleep(addresses.lost(held.ok(), random())).await;
        }
    }

    /// Connects, and returns when that link is lost: how long it held, or why there was none.
    async fn hold(self: &Arc<Self>, address: &str) -> Result<Duration, String> {
        let opening = link::open(&self.machine, &self.config, &self.topology, address);
        let link = match timeout(LINK_TIMEOUT, opening).await {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => return Err(ports::with_causes(&error)),
            Err(_) => return Err("it does not answer".to_owned()),
        };
        let began = Instant::now();
        tracing::info!(address, "connected to RabbitMQ");
        let keeping = housekeeping::start(self, &link);
        self.link.send_replace(Some(Arc::clone(&link)));
        link.watch(|reason| {
            tracing::warn!(address, reason, "RabbitMQ takes no messages");
            self.machine.telemetry.count("broker_blocked", 1);
        })
        .await;
        keeping.abort();
        self.disconnect();
        self.machine.telemetry.count("broker_links_lost", 1);
        Ok(began.elapsed())
    }

    /// The link is lost, and with it its consumers and whatever is not confirmed.
    pub fn disconnect(&self) {
        if let Some(link) = self.link.send_replace(None) {
            link.lost.send_replace(true);
            // A channel that RabbitMQ has not closed yet would keep it.
            self.machine.spawn("rabbitmq closing", async move { link.close().await });
        }
    }

    /// The link, as soon as there is one.
    pub async fn connected(&self) -> Arc<Link> {
        let mut link = self.link.subscribe();
        // The sender lives as long as `self`.
        match link.wait_for(Option::is_some).await.map(|link| link.clone()) {
            Ok(Some(link)) => link,
            _ => std::future::pending().await,
        }
    }

    /// Puts messages in line, with nothing of another call between them; `None`: there is no link that
    /// takes any.
    pub fn put(
        &self,
        batch: impl IntoIterator<Item = (Destination, Bytes, BasicProperties)>,
    ) -> Option<Pending> {
        let link = self.link.borrow().clone().filter(|link| !link.is_blocked())?;
        // What is read out of records is read before the others have to wait.
        let continued = |(to, message, properties): (_, Bytes, _)| {
            let properties = messages::traced(properties, self.continued_by(to, &message));
            (to, message, properties)
        };
        let batch: Vec<_> = batch.into_iter().map(continued).collect();
        let _order = entered(self.order.lock());
        let in_line = batch.into_iter().map(|(to, message, properties)| {
            let (confirmed, pending) = oneshot::channel();
            link.lines.put(Outgoing { to, message, properties, confirmed });
            pending
        });
        Some(in_line.collect())
    }

    /// What the reader of a message continues, if it is traced.
    fn continued_by(&self, to: Destination, message: &[u8]) -> Option<TraceParent> {
        match to {
            Destination::Inbound(_) => self.sampler.parent_of_inbound(message),
            Destination::Jobs(_) => self.sampler.parent_of_job(message),
            Destination::Gateway(_) => self.sampler.parent_to_gateway(message),
            Destination::Dead | Destination::Takeover(_) => None,
        }
    }

    /// Of a message that is kept.
    pub fn durable(&self) -> BasicProperties {
        let [high, low] = [(); 2].map(|()| u128::from(self.machine.entropy.next_u64()));
        messages::durable(high << 64 | low)
    }

    /// The confirms of `count` messages, in time.
    pub async fn confirms(
        &self,
        pending: Option<Pending>,
        count: usize,
    ) -> Vec<Result<(), PublishError>> {
        let Some(pending) = pending else {
            // Either way it is time to answer.
            let _ = timeout(PUBLISH_PATIENCE, self.taking()).await;
            return vec![Err(PublishError::Unknown); count];
        };
        let deadline = Instant::now() + CONFIRM_TIMEOUT;
        let mut confirms = Vec::with_capacity(count);
        for one in pending {
            let told = timeout_at(deadline, one).await;
            confirms.push(told.ok().and_then(Result::ok).unwrap_or(Err(PublishError::Unknown)));
        }
        confirms
    }

    /// Ends when there is a link that takes messages.
    async fn taking(&self) {
        const LOOK: Duration = Duration::from_millis(50);
        while self.connected().await.is_blocked() {
            sleep(LOOK).await;
        }
    }
}
