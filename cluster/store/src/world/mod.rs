//! A small world for the tests of the shell: machine, network and broker in memory, on tokio's paused
//! clock.

pub mod broker;
pub mod slow;

use crate::{
    Engine, GatewayLinks, MemoryStore, Place, RemoteConversations, ServeError, SharedDirectory,
    StaticDirectory, StoreConfig, serve,
};
use broker::Broker;
use fakes::Memory;
use link::LinkTiming;
use ports::broker::Queue;
use ports::message_store::{Batch, Claim, Fenced, Lease, MessageStore, StoreError, StoreView};
use ports::{Directory, Machine, Shutdown, ShutdownTrigger};
use protocol::design::FanOut;
use protocol::limits::{BrokerLimits, StoreLimits};
use protocol::records::{Action, Inbound, SessionRef};
use protocol::{
    ClientMessageId, ConversationId, Design, GatewayId, Incarnation, NodeNumber, Partition,
    SessionId, UserId, partition,
};
use slow::Slowness;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tokio::task::AbortHandle;

pub const PARTITIONS: u16 = 4;

/// One store node and what it touches.
pub struct World {
    pub memory: Memory,
    pub broker: Arc<Broker>,
    pub config: StoreConfig,
    stores: u16,
    /// How slow this node's reads are.
    pub reads: Slowness,
    /// What all nodes share, if they do.
    shared: Option<Reachable>,
    node: Option<(AbortHandle, ShutdownTrigger)>,
}

impl World {
    pub fn new(design: Design) -> Self {
        Self::with(design, BrokerLimits::default())
    }

    /// Beside a broker of these limits.
    pub fn with(design: Design, of_broker: BrokerLimits) -> Self {
        let memory = Memory::default();
        let limits = StoreLimits { group_commit: 256, ..StoreLimits::default() };
        let gateways = GatewayLinks::new(&memory.machine("store-1"), limits);
        let config = StoreConfig {
            number: NodeNumber(1),
            partitions_total: PARTITIONS,
            directory: Arc::new(StaticDirectory::new(1)),
            gateways,
            notify_queues: 2,
            design,
            timing: LinkTiming::default(),
            retention: None,
            limits,
        };
        let broker = Broker::open(&memory, of_broker);
        let reads = Slowness::default();
        Self { memory, broker, config, stores: 1, reads, shared: None, node: None }
    }

    /// A cluster of so many store nodes with disks of their own; this is the first.
    pub fn of(stores: u16, design: Design) -> Self {
        let mut world = Self { stores, ..Self::new(design) };
        world.config.directory = Arc::new(StaticDirectory::new(stores));
        world
    }

    /// A cluster of so many store nodes over one engine; this is the first.
    pub fn sharing(stores: u16, design: Design) -> Self {
        let shared = Some(Reachable::default());
        let mut world = Self { stores, shared, ..Self::new(design) };
        world.config.directory = Arc::new(SharedDirectory::new(stores));
        world
    }

    /// Whether this node reaches the shared engine.
    pub fn reach(&self, is_reached: bool) {
        let shared = self.shared.as_ref().expect("an engine is shared");
        shared.is_cut.store(!is_reached, Ordering::Relaxed);
    }

    /// The partition of which something in the engine holds up every claim of this node.
    pub fn hold_up(&self, partition: Option<Partition>) {
        let shared = self.shared.as_ref().expect("an engine is shared");
        let stuck = partition.map_or(0, |partition| u32::from(partition.0) + 1);
        shared.stuck.store(stuck, Ordering::Relaxed);
    }

    /// How often this node has looked at the shared engine.
    pub fn views(&self) -> u64 {
        self.shared.as_ref().expect("an engine is shared").views.load(Ordering::Relaxed)
    }

    /// The world of another store node of the same cluster, with a disk of its own or the same engine.
    pub fn neighbour(&self, number: u16) -> Self {
        let mut config = StoreConfig { number: NodeNumber(number), ..self.config.clone() };
        let shared = self
            .shared
            .as_ref()
            .map(|shared| Reachable { engine: Arc::clone(&shared.engine), ..Reachable::default() });
        config.directory = self.directory();
        config.gateways = GatewayLinks::new(&self.machine("store"), config.limits);
        let (memory, broker) = (self.memory.with_own_disk(), Arc::clone(&self.broker));
        let (stores, reads) = (self.stores, Slowness::default());
        Self { memory, broker, config, stores, reads, shared, node: None }
    }

    pub fn machine(&self, name: &str) -> Machine {
        self.memory.machine(name)
    }

    /// Starts the node, on what is left on its disk.
    pub async fn start(&mut self) {
        let (node, trigger) = self.node().await;
        let task = self.machine("store").spawn("node", async {
            node.await.expect("the node shuts down cleanly");
        });
        self.node = Some((task, trigger));
    }

    /// A node on what is left on its disk, to be run, and what asks it to end.
    pub async fn node(
        &self,
    ) -> (impl Future<Output = Result<(), ServeError>> + use<>, ShutdownTrigger) {
        let number = self.config.number;
        let mut machine = self.machine(&format!("store-{number}"));
        machine.tasks = self.reads.of(machine.tasks);
        let listener = machine.network.bind(&format!("store-{}:1", number.0)).await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let mut brokers = self.broker.brokers();
        if self.config.design.fan_out == FanOut::Direct {
            brokers.fanout = self.config.gateways.clone();
        }
        let (config, stores) = (self.config.clone(), self.stores);
        let engine = match &self.shared {
            Some(shared) => Engine::Opened(Arc::new(shared.clone())),
            None => Engine::Redb(Place { number, stores, partitions: PARTITIONS }),
        };
        (serve(machine, listener, config, engine, brokers, shutdown), trigger)
    }

    /// The process dies: its disk keeps what it had, its connections break.
    pub async fn kill(&mut self) {
        if let Some((task, _)) = self.node.take() {
            task.abort();
            while !task.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        self.memory.network.cut();
    }

    /// The node is asked to end, and does.
    pub async fn stop(&mut self) {
        let (task, trigger) = self.node.take().expect("it runs");
        trigger.request();
        while !task.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.memory.network.cut();
    }

    /// A directory that has learned nothing yet.
    fn directory(&self) -> Arc<dyn Directory> {
        match self.shared {
            Some(_) => Arc::new(SharedDirectory::new(self.stores)),
            None => Arc::new(StaticDirectory::new(self.stores)),
        }
    }

    pub fn conversations(&self) -> Arc<RemoteConversations> {
        let stores = (1..=self.stores).map(|n| format!("store-{n}:1")).collect();
        let machine = self.machine("gateway-1");
        RemoteConversations::start(
            machine,
            stores,
            (PARTITIONS, self.directory()),
            LinkTiming::default(),
            StoreLimits::default(),
        )
    }

    /// A gateway asks the owner to sequence something.
    pub fn send(&self, author: u64, conversation: ConversationId, message: u64, action: Action) {
        let inbound = Inbound {
            from: SessionRef {
                gateway: GatewayId(1),
                incarnation: Incarnation(1),
                session: SessionId(author),
            },
            author: UserId(author),
            conversation,
            client_message_id: ClientMessageId(message),
            action,
        };
        let partition = partition::partition_of(conversation, PARTITIONS);
        self.broker.put(Queue::Inbound(partition), protocol::records::encode(&inbound));
    }

    pub fn say(&self, author: u64, conversation: ConversationId, message: u64) {
        let body = format!("{author} says {message}");
        self.send(author, conversation, message, Action::Send { body, reply_to: None, format: 1 });
    }
}

/// A shared engine, as one node reaches it.
#[derive(Clone, Default)]
struct Reachable {
    engine: Arc<MemoryStore>,
    is_cut: Arc<AtomicBool>,
    /// The number of a partition and one more; 0: none. See `World::hold_up`.
    stuck: Arc<AtomicU32>,
    views: Arc<AtomicU64>,
}

impl Reachable {
    fn reached(&self) -> Result<&MemoryStore, StoreError> {
        if self.is_cut.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the node is cut off".to_owned()));
        }
        Ok(&self.engine)
    }
}

impl MessageStore for Reachable {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        if u32::from(claim.partition.0) + 1 == self.stuck.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("its row is locked".to_owned()));
        }
        self.reached()?.acquire(claim)
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        self.reached()?.renew(leases)
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        self.reached()?.commit(batches)
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        self.views.fetch_add(1, Ordering::Relaxed);
        self.reached()?.view()
    }
}
