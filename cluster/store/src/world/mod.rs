//! A small world for the tests of the shell: machine, network and broker in memory, on tokio's paused
//! clock.

pub mod broker;
pub mod network;

use crate::engine::crash_disk::CrashDisk;
use crate::{RemoteConversations, StoreConfig, serve};
use broker::FakeBroker;
use link::LinkTiming;
use network::Wires;
use ports::tasks::Job;
use ports::{BoxFuture, Entropy, Machine, Network, Shutdown, ShutdownTrigger};
use ports::{Tasks, Telemetry, WallClock, Worker};
use protocol::limits::StoreLimits;
use protocol::records::{Action, Inbound, SessionRef};
use protocol::{
    ClientMessageId, ConversationId, Design, GatewayId, Incarnation, NodeNumber, SessionId, UserId,
    partition,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::AbortHandle;

pub const PARTITIONS: u16 = 4;

/// One store node and what it touches.
pub struct World {
    pub wires: Arc<Wires>,
    pub broker: Arc<FakeBroker>,
    pub disk: CrashDisk,
    pub config: StoreConfig,
    node: Option<(AbortHandle, ShutdownTrigger)>,
}

impl World {
    pub fn new(design: Design) -> Self {
        let config = StoreConfig {
            number: NodeNumber(1),
            partitions_total: PARTITIONS,
            stores_total: 1,
            notify_queues: 2,
            design,
            timing: LinkTiming::default(),
            retention: None,
            limits: StoreLimits { group_commit: 256, ..StoreLimits::default() },
        };
        let (wires, broker) = (Arc::new(Wires::default()), Arc::new(FakeBroker::default()));
        Self { wires, broker, disk: CrashDisk::default(), config, node: None }
    }

    /// The world of another store node of the same cluster, with a disk of its own.
    pub fn neighbour(&self, number: u16) -> Self {
        let config = StoreConfig { number: NodeNumber(number), ..self.config.clone() };
        let (wires, broker) = (Arc::clone(&self.wires), Arc::clone(&self.broker));
        Self { wires, broker, disk: CrashDisk::default(), config, node: None }
    }

    pub fn machine(&self, name: &str) -> Machine {
        Machine {
            name: Arc::from(name),
            network: Arc::clone(&self.wires) as Arc<dyn Network>,
            disk: Arc::new(self.disk.clone()),
            clock: Arc::new(Clock),
            entropy: Arc::new(Dice(AtomicU64::new(7))),
            tasks: Arc::new(Runtime),
            telemetry: Arc::new(Deaf),
        }
    }

    /// Starts the node, on what is left on its disk.
    pub async fn start(&mut self) {
        let number = self.config.number;
        let machine = self.machine(&format!("store-{number}"));
        let listener = machine.network.bind(&format!("store-{}:1", number.0)).await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let node =
            serve(machine.clone(), listener, self.config.clone(), self.broker.brokers(), shutdown);
        let task = machine.spawn("node", async {
            node.await.expect("the node ends in good order");
        });
        self.node = Some((task, trigger));
    }

    /// The process dies: its disk keeps what it had, its connections break.
    pub async fn kill(&mut self) {
        if let Some((task, _)) = self.node.take() {
            task.abort();
            while !task.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        self.wires.cut();
        self.broker.lose_subscriptions();
    }

    /// The node is asked to end, and does.
    pub async fn stop(&mut self) {
        let (task, trigger) = self.node.take().expect("it runs");
        trigger.request();
        while !task.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.wires.cut();
        self.broker.lose_subscriptions();
    }

    pub fn conversations(&self) -> Arc<RemoteConversations> {
        let stores = (1..=self.config.stores_total).map(|n| format!("store-{n}:1")).collect();
        let machine = self.machine("gateway-1");
        RemoteConversations::start(
            machine,
            stores,
            PARTITIONS,
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
        self.broker
            .put(ports::broker::Queue::Inbound(partition), protocol::records::encode(&inbound));
    }

    pub fn say(&self, author: u64, conversation: ConversationId, message: u64) {
        let body = format!("{author} says {message}");
        self.send(author, conversation, message, Action::Send { body, reply_to: None, format: 1 });
    }
}

struct Clock;
impl WallClock for Clock {
    fn now_ms(&self) -> u64 {
        1_000
    }
}

struct Dice(AtomicU64);
impl Entropy for Dice {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }
}

struct Deaf;
impl Telemetry for Deaf {
    fn gauge(&self, _: &'static str, _: u64, _: u64) {}
    fn count(&self, _: &'static str, _: u64) {}
    fn time(&self, _: &'static str, _: std::time::Duration) {}
}

struct Runtime;
impl Tasks for Runtime {
    #[expect(clippy::disallowed_methods, reason = "this is what the port stands for in tests")]
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) -> AbortHandle {
        tokio::spawn(task).abort_handle()
    }

    fn wrap(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        task
    }

    fn worker(&self, _: &'static str) -> Arc<dyn Worker> {
        Arc::new(Inline)
    }
}

/// Runs jobs at once; the time that they would take passes afterwards.
struct Inline;
impl Worker for Inline {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        job();
        Box::pin(tokio::time::sleep(std::time::Duration::from_millis(2)))
    }
}
