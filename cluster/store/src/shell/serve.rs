//! Starts a store node, and shuts it down cleanly.

use super::input::Input;
use super::listeners::Listeners;
use super::owner::{Leases, Owner};
use super::ownership::{LookError, Ownership};
use super::pending::Pending;
use super::publisher::{Acknowledgement, Publisher};
use super::readers::Readers;
use super::server;
use super::subscriber::Subscriber;
use super::writer;
use crate::config::{Engine, ServeError, StoreConfig};
use crate::engine::weakened::weakened;
use crate::engine::{OpenError, RedbStore};
use crate::tasks::TaskSet;
use ports::broker::Brokers;
use ports::disk::until_open;
use ports::message_store::{Lease, MessageStore, StoreError};
use ports::{Listener, Machine, Shutdown, Worker, tasks};
use protocol::{Epoch, Partition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Pause before the engine is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// How often somebody looks whether a checkpoint is due.
const CHECKPOINT_LOOK: Duration = Duration::from_millis(100);

/// How long the last acknowledgements may take at the end.
const SETTLE_GRACE: Duration = Duration::from_millis(500);

/// Runs a store node until the shutdown is asked for. Deliveries whose publications are unconfirmed at
/// the end are delivered again to the next life.
pub async fn serve(
    machine: Machine,
    listener: Box<dyn Listener>,
    config: StoreConfig,
    engine: Engine,
    brokers: Brokers,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let worker = machine.tasks.worker("store");
    let place = match engine {
        Engine::Opened(store) => {
            let node = Node { machine, config, brokers, store, worker };
            return node.run(listener, shutdown).await;
        }
        Engine::Redb(place) => place,
    };
    let (disk, fsync, limits) = (Arc::clone(&machine.disk), config.design.fsync, config.limits);
    let open = move || RedbStore::open_at(Arc::clone(&disk), fsync, place, limits).map(Arc::new);
    let open = async || {
        let opened = tasks::run_on(&*worker, open.clone()).await.ok_or(ServeError::WorkerGone)?;
        opened.map_err(ServeError::Engine)
    };
    let passes = |error: &ServeError| {
        let engine = |error: &OpenError| {
            !matches!(
                error,
                OpenError::Engine(StoreError::Corrupt(_)) | OpenError::OtherPlace { .. }
            )
        };
        matches!(error, ServeError::Engine(error) if engine(error))
    };
    let redb = until_open("the store's engine", &shutdown, open, passes).await?;
    let Some(redb) = redb else { return Ok(()) };
    let background = machine.tasks.background_worker("store checkpoints");
    let checkpoints = keep_checkpoints(machine.clone(), Arc::clone(&redb), Arc::clone(&background));
    let node = Node { machine, config, brokers, store: Arc::clone(&redb) as _, worker };
    let ended = tokio::select! {
        biased;
        ended = node.run(listener, shutdown) => ended,
        damage = checkpoints => Err(ServeError::Engine(damage.into())),
    };
    // After the tasks, so that nobody reads any more, and behind the last checkpoint. What is
    // committed is durable already.
    let closed = tasks::run_on(&*background, move || redb.close()).await;
    match (ended, closed) {
        (Err(error), _) => Err(error),
        (Ok(()), Some(Err(error))) => Err(ServeError::Engine(error.into())),
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
}

impl Node {
    async fn run(self, listener: Box<dyn Listener>, shutdown: Shutdown) -> Result<(), ServeError> {
        let Self { machine, config, brokers, store, worker } = self;
        let store = weakened(store, config.design);
        let claims = machine.tasks.worker("store ownership");
        let mut ownership = Ownership::new(&config, Arc::clone(&store), claims);
        let Some(first) = first_look(&mut ownership, &shutdown).await? else { return Ok(()) };
        let (to_owner, inbox) = mpsc::unbounded_channel();
        let (posts, to_publish) = mpsc::unbounded_channel();
        let (news, heard) = mpsc::unbounded_channel();
        let (status, shown) = watch::channel(Vec::new());
        let (leases, told) = watch::channel(Leases::until_adopted(&first));
        let mut tasks = TaskSet::default();
        let (ended, mut all_ended) = mpsc::channel(1);
        let (mut epochs, mut done) = (BTreeMap::new(), BTreeMap::new());
        for partition in ownership.partitions() {
            let (subscriber, ends) =
                subscriber(&machine, &config, &brokers, partition, (&to_owner, &ended));
            epochs.insert(partition, ends.0);
            done.insert(partition, ends.1);
            tasks.add(machine.spawn("store subscriber", subscriber.run()));
        }
        drop(ended);
        let publisher = Publisher {
            machine: machine.clone(),
            brokers,
            posts: to_publish,
            done,
            owner: to_owner.clone(),
        };
        tasks.add(machine.spawn("store publisher", publisher.run()));
        tasks.add(machine.spawn("store ownership", ownership.run(heard, to_owner.clone())));
        let (writer, writing) = writer::writer(&machine, &config, Arc::clone(&store), worker);
        tasks.add(machine.spawn("store writer", writing));
        let context = server::Context {
            readers: Readers::start(&machine, store.readers()),
            machine: machine.clone(),
            config: config.clone(),
            store,
            owner: to_owner,
            status: shown,
            leases: told,
        };
        let owner = Owner {
            pending: Pending::new(config.design.receipts, config.limits, machine.traces.sampler()),
            listeners: Listeners::new(&config),
            machine,
            config,
            inbox,
            writer,
            is_writing: false,
            posts,
            ownership: news,
            epochs,
            status,
            leases,
            acquired: first,
            lost: Vec::new(),
            unconfirmed: 0,
            heads_at: None,
            receipts_since: None,
            gather_until: None,
        };
        tokio::select! {
            biased;
            ended = owner.run(shutdown) => ended?,
            error = server::accept(Arc::new(context), listener) => return Err(ServeError::Accept(error)),
        }
        // Without the owner the publisher ends, and without the publisher the subscribers, once they
        // have made the last acknowledgements. Longer than this only a subscribe call can take.
        let _ = tokio::time::timeout(SETTLE_GRACE, all_ended.recv()).await;
        Ok(())
    }
}

/// The consumer of a partition's queue, and the ends by which it is told its epoch and what is done.
fn subscriber(
    machine: &Machine,
    config: &StoreConfig,
    brokers: &Brokers,
    partition: Partition,
    (owner, ended): (&mpsc::UnboundedSender<Input>, &mpsc::Sender<()>),
) -> (Subscriber, (watch::Sender<Option<Epoch>>, mpsc::UnboundedSender<Acknowledgement>)) {
    let (epoch_sender, epoch) = watch::channel(None);
    let (done_sender, done) = mpsc::unbounded_channel();
    let subscriber = Subscriber {
        machine: machine.clone(),
        inbound: Arc::clone(&brokers.inbound),
        partition,
        epoch,
        prefetch: config.limits.inbound_prefetch,
        done,
        owner: owner.clone(),
        ended: ended.clone(),
    };
    (subscriber, (epoch_sender, done_sender))
}

/// Takes what is free before anybody is served; `None`: the shutdown was asked for meanwhile.
async fn first_look(
    ownership: &mut Ownership,
    shutdown: &Shutdown,
) -> Result<Option<Vec<Lease>>, ServeError> {
    let (mut is_first, mut acquired) = (true, Vec::new());
    while !shutdown.is_requested() {
        match ownership.look().await {
            Ok(looked) => {
                let is_lost = |lease: &Lease| {
                    looked.lost.iter().any(|lost| lost.partition == lease.partition)
                };
                acquired.retain(|lease| !is_lost(lease));
                acquired.extend(looked.acquired);
                if !ownership.is_held_up() {
                    return Ok(Some(acquired));
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(LookError::Engine(error @ StoreError::Corrupt(_))) => {
                return Err(ServeError::Engine(error.into()));
            }
            Err(LookError::Engine(error)) => {
                if std::mem::take(&mut is_first) {
                    tracing::error!(%error, "the engine does not work: trying until it does");
                } else {
                    tracing::warn!(%error, "the engine does not work; trying again");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(LookError::WorkerGone) => return Err(ServeError::WorkerGone),
        }
    }
    Ok(None)
}

/// Makes the engine's checkpoints beside the owner's rounds, until data turns out to be damaged.
async fn keep_checkpoints(
    machine: Machine,
    store: Arc<RedbStore>,
    worker: Arc<dyn Worker>,
) -> StoreError {
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
            Some(Err(error @ StoreError::Corrupt(_))) => return error,
            Some(Err(error)) => {
                tracing::warn!(%error, "a checkpoint failed; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            // The node is being torn down.
            None => std::future::pending().await,
        }
    }
}
