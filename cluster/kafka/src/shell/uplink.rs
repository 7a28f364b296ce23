//! What the adapter, its consumers and its background tasks share.

use super::clients::{Clients, Context, Reading};
use super::publisher::{InLine, Outgoing, Publisher};
use super::set_up;
use crate::config::KafkaConfig;
use crate::core::topology::{Place, Shape, Topology};
use ports::broker::{PublishError, published};
use ports::tasks::run_on;
use ports::{BoxFuture, Machine, Worker};
use protocol::limits;
use protocol::trace::Sampler;
use rdkafka::admin::AdminClient;
use rdkafka::error::{KafkaError, KafkaResult};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

/// How long a publish waits for the topics before it ends as `Unknown`.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(1);

/// Between two attempts to get an answer.
const PAUSE: Duration = Duration::from_millis(100);

/// The offsets of a batch, in its order.
pub type Offsets = Vec<Result<u64, PublishError>>;

/// What everything of one node shares.
pub struct Uplink {
    pub machine: Machine,
    pub topology: Topology,
    pub clients: Clients,
    pub publisher: Publisher,
    pub limits: protocol::limits::BrokerLimits,
    /// Commits, and asks; never reads.
    pub offsets: Arc<Reading>,
    /// Makes topics and removes records. Dropping one waits for its thread, so there is one for all.
    pub admin: AdminClient<Context>,
    asking: Arc<dyn Worker>,
    ready: watch::Sender<bool>,
    removable: mpsc::UnboundedSender<(Place, u64)>,
}

/// Records that nobody needs any more: everything of a partition before an offset.
pub type Removable = mpsc::UnboundedReceiver<(Place, u64)>;

impl Uplink {
    /// Which messages are traced.
    pub fn sampler(&self) -> Sampler {
        self.machine.traces.sampler()
    }

    /// Makes the clients; none of them waits for Kafka.
    pub fn new(machine: Machine, config: &KafkaConfig) -> KafkaResult<(Self, Removable)> {
        let shape = Shape {
            partitions: config.partitions,
            job_queues: config.job_queues,
            gateways: config.gateways,
            replication: config.replication,
            limits: config.limits,
        };
        let topology = Topology::new(&config.prefix, shape);
        let clients = Clients::new(&machine, config, &topology);
        let publisher = Publisher::new(&machine, &clients, config.limits)?;
        let offsets = Arc::new(clients.reading()?);
        let admin = clients.admin()?;
        let asking = machine.tasks.worker("kafka questions");
        let (removable, removing) = mpsc::unbounded_channel();
        let ready = watch::Sender::new(false);
        let limits = config.limits;
        let uplink = Self {
            machine,
            topology,
            clients,
            publisher,
            limits,
            offsets,
            admin,
            asking,
            ready,
            removable,
        };
        Ok((uplink, removing))
    }

    /// Makes the topics, as soon as Kafka is there; then everything may begin.
    pub async fn set_up(self: Arc<Self>) {
        set_up::until_made(&self).await;
        tracing::info!(node = %self.machine.name, "the topics of Kafka are there");
        self.ready.send_replace(true);
    }

    /// Whether the topics are known to be there.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Ends when they are.
    pub async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// The same; false if it takes longer than this.
    pub async fn ready_within(&self, patience: Duration) -> bool {
        timeout(patience, self.ready()).await.is_ok()
    }

    /// Puts what must be kept in line. The future ends with the offsets.
    pub fn publish(self: &Arc<Self>, batch: Vec<Outgoing>) -> BoxFuture<'static, Offsets> {
        let (count, began) = (batch.len(), Instant::now());
        let in_line = self.is_ready().then(|| self.publisher.put(batch));
        let (confirms, uplink) = (self.confirms(in_line, count), Arc::clone(self));
        Box::pin(async move {
            let confirms = confirms.await;
            published(&*uplink.machine.telemetry, began.elapsed(), &confirms);
            confirms
        })
    }

    /// The same for what may be lost.
    pub fn tell(self: &Arc<Self>, batch: Vec<Outgoing>) -> BoxFuture<'static, Offsets> {
        let count = batch.len();
        let in_line = self.is_ready().then(|| self.publisher.put_transient(batch));
        self.confirms(in_line, count)
    }

    fn confirms(
        self: &Arc<Self>,
        in_line: Option<Vec<InLine>>,
        count: usize,
    ) -> BoxFuture<'static, Offsets> {
        let uplink = Arc::clone(self);
        Box::pin(async move {
            let Some(in_line) = in_line else {
                // Either way it is time to answer.
                uplink.ready_within(PUBLISH_PATIENCE).await;
                return vec![Err(PublishError::Unknown); count];
            };
            let confirms = uplink.publisher.confirms(in_line).await;
            if confirms.contains(&Err(PublishError::Unknown)) {
                match uplink.publisher.renew_if_broken(&uplink.clients) {
                    Ok(None) => {}
                    Ok(Some(broken)) => {
                        let closing = uplink.machine.tasks.worker("kafka closing");
                        drop(closing.run(Box::new(move || drop(broken))));
                    }
                    Err(error) => tracing::error!(%error, "there is no other publisher"),
                }
            }
            confirms
        })
    }

    /// Asks Kafka something, off the async threads.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reading) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        self.ask_on(&*self.asking, question).await
    }

    /// The same on a worker.
    pub async fn ask_on<T: Send + 'static>(
        &self,
        worker: &dyn Worker,
        question: impl FnOnce(&Reading) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        // Whoever has stopped waiting asks nothing any more: without an answer each question takes seconds.
        let waiting = Arc::new(());
        let (client, still) = (Arc::clone(&self.offsets), Arc::downgrade(&waiting));
        let asked = run_on(worker, move || match still.upgrade() {
            Some(_) => question(&client),
            None => Err(KafkaError::Canceled),
        });
        let answer = asked.await;
        drop(waiting);
        answer.unwrap_or(Err(KafkaError::Canceled))
    }

    /// The same, again and again for as long as a call may take: a topic that was just made has no leader yet,
    /// among others.
    pub async fn ask_again<T: Send + 'static>(
        &self,
        question: impl Fn(&Reading) -> KafkaResult<T> + Clone + Send + 'static,
    ) -> KafkaResult<T> {
        let began = Instant::now();
        loop {
            match self.ask(question.clone()).await {
                Err(_) if began.elapsed() < limits::CALL_TIMEOUT => sleep(PAUSE).await,
                answer => return answer,
            }
        }
    }

    /// Nobody needs what is before this offset.
    pub fn remove_before(&self, place: &Place, offset: u64) {
        // The other end is gone when the node ends.
        let _ = self.removable.send((place.clone(), offset));
    }
}
