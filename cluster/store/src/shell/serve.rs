//! Starts a store node, and ends it in good order.

use super::input::Input;
use super::owner::Owner;
use super::pending::Pending;
use super::publisher::Publisher;
use super::subscriber::Subscriber;
use super::writer::Writer;
use super::{round, server};
use crate::config::{ServeError, StoreConfig};
use crate::core::absences::Absences;
use crate::core::attachments::Attachments;
use crate::engine::RedbStore;
use crate::tasks::TaskSet;
use ports::broker::Brokers;
use ports::message_store::{MessageStore, StoreError};
use ports::{Listener, Machine, Shutdown, Worker, tasks};
use protocol::store_calls::PartitionStatus;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Pause before the engine is opened again.
const OPEN_PAUSE: Duration = Duration::from_millis(500);

/// How often somebody looks whether a checkpoint is due.
const CHECKPOINT_LOOK: Duration = Duration::from_millis(100);

/// How long the last acknowledgements may take at the end.
const SETTLE_GRACE: Duration = Duration::from_millis(500);

/// Runs a store node on its own disk until the shutdown is asked for. Deliveries whose publications
/// are unconfirmed at the end are delivered again to the next life.
pub async fn serve(
    machine: Machine,
    listener: Box<dyn Listener>,
    config: StoreConfig,
    brokers: Brokers,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let (disk, fsync, place) = (Arc::clone(&machine.disk), config.design.fsync, config.place());
    let limits = config.limits;
    let open = move || -> Result<Arc<dyn MessageStore>, StoreError> {
        Ok(Arc::new(RedbStore::open_at(Arc::clone(&disk), fsync, place, limits)?))
    };
    serve_engine(machine, listener, config, brokers, shutdown, open).await
}

/// The same on another engine: `open` is called on the worker, again and again while the engine is
/// unavailable.
pub async fn serve_engine(
    machine: Machine,
    listener: Box<dyn Listener>,
    config: StoreConfig,
    brokers: Brokers,
    shutdown: Shutdown,
    open: impl Fn() -> Result<Arc<dyn MessageStore>, StoreError> + Clone + Send + 'static,
) -> Result<(), ServeError> {
    let worker = machine.tasks.worker("store");
    let Some(store) = until_available(&*worker, &shutdown, open).await? else { return Ok(()) };
    let (engine, wanted) = (Arc::clone(&store), config.clone());
    let clock = Arc::clone(&machine.clock);
    let acquire = move || Writer::open(Arc::clone(&engine), wanted.clone(), clock.now_ms());
    let Some(writer) = until_available(&*worker, &shutdown, acquire).await? else { return Ok(()) };
    let checkpoints = machine.tasks.background_worker("store checkpoints");
    let node = Node { machine, config, brokers, store: Arc::clone(&store), worker, checkpoints };
    let ended = node.run(writer, listener, shutdown).await;
    // After the tasks, so that nobody reads any more, and behind the last checkpoint. What is
    // committed is durable already.
    let closed = tasks::run_on(&*node.checkpoints, move || store.close()).await;
    match (ended, closed) {
        (Err(error), _) => Err(error),
        (Ok(()), Some(Err(error))) => Err(ServeError::Engine(error)),
        (Ok(()), Some(Ok(())) | None) => Ok(()),
    }
}

/// A store node whose engine is open.
struct Node {
    machine: Machine,
    config: StoreConfig,
    brokers: Brokers,
    store: Arc<dyn MessageStore>,
    worker: Arc<dyn Worker>,
    checkpoints: Arc<dyn Worker>,
}

impl Node {
    async fn run(
        &self,
        writer: Writer,
        listener: Box<dyn Listener>,
        shutdown: Shutdown,
    ) -> Result<(), ServeError> {
        let Self { machine, config, brokers, store, worker, checkpoints } = self;
        let (to_owner, inbox) = mpsc::unbounded_channel();
        let (posts, to_publish) = mpsc::unbounded_channel();
        let board = Arc::new(Mutex::new(writer.status()));
        let mut tasks = TaskSet::default();
        let (ended, mut all_ended) = mpsc::channel(1);
        let (mut epochs, mut done) = (BTreeMap::new(), BTreeMap::new());
        for status in writer.status() {
            let (epoch_sender, epoch) = watch::channel(status.epoch);
            let (done_sender, acknowledgements) = mpsc::unbounded_channel();
            epochs.insert(status.partition, epoch_sender);
            done.insert(status.partition, done_sender);
            let subscriber = Subscriber {
                machine: machine.clone(),
                inbound: Arc::clone(&brokers.inbound),
                partition: status.partition,
                epoch,
                prefetch: config.limits.inbound_prefetch,
                done: acknowledgements,
                owner: to_owner.clone(),
                ended: ended.clone(),
            };
            tasks.add(machine.spawn("store subscriber", subscriber.run()));
        }
        let publisher = Publisher {
            machine: machine.clone(),
            brokers: brokers.clone(),
            posts: to_publish,
            done,
            owner: to_owner.clone(),
        };
        tasks.add(machine.spawn("store publisher", publisher.run()));
        let keeper = keep_checkpoints(machine.clone(), Arc::clone(store), Arc::clone(checkpoints));
        tasks.add(machine.spawn("store checkpoints", keeper));
        let links = self.links(to_owner, Arc::clone(&board));
        let (worker, design) = (Arc::clone(worker), config.design);
        let owner = Owner {
            desk: round::Desk { machine: machine.clone(), worker, design },
            inbox,
            posts,
            epochs,
            board,
            pending: Pending::new(config.design.receipts, config.limits),
            attachments: Attachments::default(),
            absences: Absences::new(config.limits.absences),
            began: Instant::now(),
            links: BTreeMap::new(),
            whispers: Vec::new(),
            unconfirmed: 0,
            writer: Some(writer),
            heads_at: None,
            receipts_since: None,
            gather_until: None,
            config: config.clone(),
        };
        drop(ended);
        tokio::select! {
            biased;
            ended = owner.run(shutdown) => ended?,
            error = server::accept(Arc::new(links), listener) => return Err(ServeError::Accept(error)),
        }
        // Without the owner the publisher ends, and without the publisher the subscribers, once they
        // have made the last acknowledgements. Longer than this only a subscribe call can take.
        let _ = tokio::time::timeout(SETTLE_GRACE, all_ended.recv()).await;
        Ok(())
    }

    /// What the links of callers share.
    fn links(
        &self,
        owner: mpsc::UnboundedSender<Input>,
        board: Arc<Mutex<Vec<PartitionStatus>>>,
    ) -> server::Desk {
        server::Desk {
            machine: self.machine.clone(),
            config: self.config.clone(),
            store: Arc::clone(&self.store),
            reads: self.machine.tasks.worker("store reads"),
            owner,
            board,
        }
    }
}

/// Makes the engine's checkpoints beside the owner's rounds.
async fn keep_checkpoints(machine: Machine, store: Arc<dyn MessageStore>, worker: Arc<dyn Worker>) {
    loop {
        tokio::time::sleep(CHECKPOINT_LOOK).await;
        if !store.is_checkpoint_due() {
            continue;
        }
        let (began, engine) = (Instant::now(), Arc::clone(&store));
        match tasks::run_on(&*worker, move || engine.checkpoint()).await {
            Some(Ok(())) => {
                // Not in the job itself: its writes are under way until it is over.
                store.release();
                machine.telemetry.time("store_checkpoint", began.elapsed());
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "a checkpoint failed; trying again");
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            None => return,
        }
    }
}

/// Tries until the engine can work; `None`: the shutdown was asked for meanwhile.
async fn until_available<T: Send + 'static>(
    worker: &dyn Worker,
    shutdown: &Shutdown,
    open: impl Fn() -> Result<T, StoreError> + Clone + Send + 'static,
) -> Result<Option<T>, ServeError> {
    while !shutdown.is_requested() {
        match tasks::run_on(worker, open.clone()).await.ok_or(ServeError::WorkerGone)? {
            Ok(opened) => return Ok(Some(opened)),
            Err(error @ (StoreError::Corrupt(_) | StoreError::OtherPlace { .. })) => {
                return Err(ServeError::Engine(error));
            }
            Err(error) => {
                tracing::warn!(%error, "the engine does not open; trying again");
                tokio::time::sleep(OPEN_PAUSE).await;
            }
        }
    }
    Ok(None)
}
